"""S3 servers on loopback: moto in this process, which counts requests, and ministack as a second opinion."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from remote_store import Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.view import View
from servers.ports import free_port
from servers.processes import running, wait_until_up

KEY, SECRET = "AKIATESTKEY", "s3cret-access-key"
BUCKET = "test-bucket"
_serial = itertools.count()

Environ = dict[str, Any]


class Answer(NamedTuple):
    """What a server answers; its length is left untold where it is not `sized`."""

    status: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/xml"),)
    sized: bool = True


Hook = Callable[[Environ, Callable[[], Answer]], Answer | None]
"""Answers a request itself, or lets it pass (None); the second argument carries the request out."""


@dataclass
class S3Server:
    """An endpoint with a bucket, and what it was asked.

    Attributes:
        endpoint: URL.
        requests: method and path with query of each request, where the server counts.
        hook: sees each request first, where the server counts.
        client: see the function of this name.
        pid: its process, where it has one of its own.
    """

    endpoint: str
    requests: list[str] = field(default_factory=list)
    hook: Hook | None = None
    client: Any = None
    pid: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of an `S3Backend`."""
        return {"key": KEY, "secret": SECRET, "endpoint_url": self.endpoint, "region_name": "us-east-1"}

    def fresh_prefix(self) -> str:
        """A prefix that no other test uses."""
        return f"prefix-{next(_serial)}-{os.getpid()}"

    @contextmanager
    def hooked(self, hook: Hook) -> Iterator[None]:
        """Let `hook` see each request first."""
        self.hook = hook
        try:
            yield
        finally:
            self.hook = None


@contextmanager
def moto() -> Iterator[S3Server]:
    """moto behind a counter of requests."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _lock_etags()
    _list_what_was_there()
    served, judging = S3Server(""), threading.Lock()
    s3, others = create_backend_app("s3"), DomainDispatcherApplication(create_backend_app)

    def app(environ: Environ, start_response: Any) -> Any:
        # What is plainly S3's goes past moto's dispatcher, which lists the folder of its services for each request.
        plain = environ["PATH_INFO"] != "/" and not environ["PATH_INFO"].startswith("/moto-api/")
        return (s3 if plain else others)(environ, start_response)

    def counting(environ: Environ, start_response: Any) -> Any:
        query = environ.get("QUERY_STRING", "")
        served.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}" + (f"?{query}" if query else ""))
        answer = served.hook and served.hook(environ, lambda: _carried_out(app, environ))
        if not answer and {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"} & environ.keys() and environ.get("CONTENT_LENGTH"):
            content(environ)
            with judging:  # moto looks, then writes: on a busy machine two of its threads both find nothing there.
                answer = _judged_end(app, environ)
                if not answer:
                    return app(environ, start_response)
        if not answer:
            return app(environ, start_response)
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        length = [("Content-Length", str(len(answer.body)))] if answer.sized else []
        start_response(answer.status, [*headers, *length])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    served.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        _create_bucket(served)
        yield served
    finally:
        client(served).close()
        server.shutdown()
        thread.join(10)
        server.server_close()


def _judged_end(app: Callable[..., Any], environ: Environ) -> Answer | None:
    """A refusal of the end of an upload in parts by its If-Match, which moto overlooks there, and judges for HEAD."""
    if "HTTP_IF_MATCH" not in environ or environ["REQUEST_METHOD"] != "POST":
        return None
    nothing = {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0", "QUERY_STRING": ""}
    status = _carried_out(app, {**environ, **nothing, "REQUEST_METHOD": "HEAD"}).status
    if status.startswith("200"):
        return None
    return refusal(status, "NoSuchKey" if status.startswith("404") else "PreconditionFailed")


def _list_what_was_there() -> None:
    """Let moto list a copy of its keys and what they had: it looked up each again, and failed where one was deleted."""
    from moto.s3.utils import _VersionedKeyStore

    def items(self: Any) -> Iterator[tuple[str, Any]]:
        return ((key, versions[-1]) for key, versions in self._self_iterable().items() if versions)

    _VersionedKeyStore.items = _VersionedKeyStore.iteritems = items
    _VersionedKeyStore.values = _VersionedKeyStore.itervalues = lambda self: (value for _, value in items(self))


def _lock_etags() -> None:
    """Let moto work out an ETag under the lock of readers, whose place in the content it moves: they got 0 bytes."""
    from moto.s3.models import FakeKey

    etag = FakeKey.etag.fget
    if not hasattr(etag, "__wrapped__"):

        @functools.wraps(etag)
        def locked(key: Any) -> Any:
            with key.lock:
                return etag(key)

        FakeKey.etag = property(locked)


def empty(server: S3Server) -> None:
    """Let moto forget all but the bucket: to list some keys it looks at every key that there is."""
    urllib.request.urlopen(f"{server.endpoint}/moto-api/reset", data=b"").close()
    _create_bucket(server)
    server.requests.clear()


def _carried_out(app: Callable[..., Any], environ: Environ) -> Answer:
    told: list[Any] = []
    body = b"".join(app(environ, lambda status, headers, *_: told.extend((status, tuple(headers)))))
    return Answer(told[0], body, told[1])


def refusal(status: str, code: str, message: str = "") -> Answer:
    """What S3 answers when it refuses."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def content(environ: Environ) -> bytes:
    """The body of a request, which can still be carried out; one that breaks off is none, as to any server."""
    length = int(environ["CONTENT_LENGTH"])
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise ConnectionResetError
    set_content(environ, body)
    return body


def set_content(environ: Environ, body: bytes) -> None:
    """Carry out a request with another body."""
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


def hang_up(environ: Environ) -> NoReturn:
    """Lose the reply to a request."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


@contextmanager
def ministack() -> Iterator[S3Server]:
    """ministack in a process of its own."""
    port = free_port()
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3"}
    settings |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}  # Signed URLs are verified.
    settings["IOT_MTLS_ENABLED"] = "0"  # Its MQTT port would be open on every interface.
    with running("ministack", env={**os.environ, **settings}) as process:
        served = S3Server(f"http://127.0.0.1:{port}", pid=process.pid)
        wait_until_up(process, lambda: _ask(served.endpoint))
        _create_bucket(served)
        yield served
        client(served).close()


def _ask(endpoint: str) -> None:
    with suppress(urllib.error.HTTPError):  # Which is an answer.
        urllib.request.urlopen(endpoint, timeout=1).close()


def client(server: S3Server) -> Any:
    """The plain SDK client of a server, to prepare and to look."""
    if server.client is None:
        import boto3

        login = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        server.client = boto3.client("s3", endpoint_url=server.endpoint, **login)
    return server.client


def _create_bucket(server: S3Server) -> None:
    client(server).create_bucket(Bucket=BUCKET)


@asynccontextmanager
async def view_of(kind: str, server: S3Server, prefix: str, **options: Any) -> AsyncIterator[View]:
    """A `sync` or `async` store below a prefix of the bucket, one of obstore's fast lane where `-fast` follows."""
    way, _, engine = kind.partition("-")
    options = {**server.options, **({"engine": engine} if engine else {}), **options}
    if way == "sync":
        with Store(S3Backend(BUCKET, prefix, **options)) as store:
            yield View(store)
    else:
        async with AsyncStore(AsyncS3Backend(BUCKET, prefix, **options)) as async_store:
            yield View(async_store)
