"""An outage is told as one, whichever package noticed it, with the place and the reason."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import ssl
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.recording import Recording
from servers.ports import free_port

from remote_store import BackendUnavailable, FsspecBackend, PermissionDenied, RemoteStoreError, StorageFull, Store


def made(names: str, text: object = "at https://user:s3cret@host/?sig=s3cret", **attributes: Any) -> Exception:
    """An error of a class of a package that need not be here: its name after the one of its base."""
    cls: type[Exception] = Exception
    for name in names.split():
        cls = type(name, (cls,), {})
    error = cls(text)
    error.__dict__.update(attributes)
    return error


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "s3cret")
LOST, SLOW = "the connection was lost", "it did not answer in time"
OUTAGES = [
    (REFUSED, "the connection was refused"),
    (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] s3cret"), "the connection was refused"),
    (socket.gaierror(-2, "s3cret"), "no such host"),
    (OSError(errno.EHOSTUNREACH, "s3cret"), "no route to the host"),
    (OSError(errno.ESTALE, "s3cret"), "stale file handle"),
    (ConnectionResetError("s3cret"), LOST),
    (EOFError(), LOST),
    (TimeoutError(), "it took too long"),
    (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] s3cret"), "TLS failed"),
    (http.client.IncompleteRead(b"s3cret"), LOST),
    (urllib.error.URLError(REFUSED), "the connection was refused"),
    (urllib.error.URLError(socket.gaierror(-2, "x")), "no such host"),
    # azure-core
    (made("AzureError ServiceRequestError", inner_exception=REFUSED), "the connection was refused"),
    (made("AzureError ServiceResponseError"), "ServiceResponseError"),
    (made("AzureError ServiceRequestError ServiceRequestTimeoutError"), "it did not accept a connection in time"),
    (made("AzureError ServiceResponseError ServiceResponseTimeoutError"), SLOW),
    (caused(made("AzureError HttpResponseError", status_code=None), made("IncompleteReadError")), LOST),
    # asyncssh, paramiko
    (made("DisconnectError ConnectionLost", code=11), LOST),
    (made("SFTPError SFTPNoConnection", code=6), LOST),
    (made("DisconnectError HostKeyNotVerifiable", code=9), "the server's host key is not trusted"),
    (made("SSHException"), "SSHException"),
    # requests and urllib3, httpx, aiohttp
    (made("RequestException ConnectionError", made("MaxRetryError", reason=REFUSED)), "the connection was refused"),
    (made("RequestException ConnectionError ProxyError"), "a proxy or gateway on the way failed"),
    (made("RequestException Timeout ReadTimeout"), SLOW),
    (made("RequestException ConnectionError ConnectTimeout"), "it did not accept a connection in time"),
    (caused(made("TransportError NetworkError ConnectError"), REFUSED), "the connection was refused"),
    (made("TransportError TimeoutException ReadTimeout"), SLOW),
    (made("ClientError ClientConnectionError ClientProxyConnectionError"), "a proxy or gateway on the way failed"),
    (made("ClientError ClientPayloadError"), LOST),
    # A class that nobody knows, on top of one that is known.
    (caused(made("Wrapped"), caused(made("Again"), REFUSED)), "the connection was refused"),
]


@pytest.fixture
def fs() -> Recording:
    fs = Recording()
    fs.host, fs.port = "files.example", 2222
    fs.pipe_file("/f", b"1")
    return fs


@pytest.mark.parametrize(("native", "reason"), OUTAGES, ids=lambda value: repr(value)[:60])
def test_an_outage_names_the_place_and_the_reason(fs: Recording, native: Exception, reason: str) -> None:
    store = Store(FsspecBackend(fs))
    fs.fail = dict.fromkeys(("info", "ls", "cat_file", "pipe_file"), native)
    for call in (lambda: store.exists("f"), lambda: store.read_bytes("f"), lambda: list(store.list_files("d")),
                 lambda: store.write("f", b"2", overwrite=True)):  # fmt: skip
        with pytest.raises(BackendUnavailable) as caught:
            call()
        expected = f"Storage cannot be reached at files.example:2222: {reason}"
        assert caught.value.message.lower() == expected.lower()
        assert "s3cret" not in str(caught.value) + repr(caught.value)
        assert caught.value.__cause__ is native
    fs.fail = {}
    assert store.read_bytes("f") == b"1"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "Permission denied at files.example:2222: the credentials were not accepted"),
        (403, "Permission denied at files.example:2222"),
    ],
)
def test_a_refusal_names_the_place(fs: Recording, status: int, message: str) -> None:
    store = Store(FsspecBackend(fs))
    fs.fail = dict.fromkeys(("info", "cat_file", "pipe_file"), made("HttpResponseError", status_code=status))
    for call in (lambda: store.exists("f"), lambda: store.read_bytes("f"),
                 lambda: store.write("f", b"2", overwrite=True)):  # fmt: skip
        with pytest.raises(PermissionDenied) as caught:
            call()
        assert caught.value.message == message
    fs.fail = {}
    assert store.read_bytes("f") == b"1"


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"host": "files.example"}, "files.example"),
        ({"host": "files.example", "port": 21}, "files.example:21"),
        ({"host": "user:s3cret@files.example"}, "files.example"),
        ({"url": "http://[files.example/webhdfs"}, ""),
        ({"storage_options": {"host": "files.example", "port": 22}}, "files.example:22"),
        ({"storage_args": ("files.example",)}, "files.example"),
        ({"account_url": "https://box.example/?sig=s3cret"}, "box.example:443"),
        ({"service_client": SimpleNamespace(url="http://127.0.0.1:9/box?sig=s3cret")}, "127.0.0.1:9"),
        ({"url": "https://user:s3cret@files.example:9870/webhdfs"}, "files.example:9870"),
        ({}, ""),
    ],
    ids=repr,
)
def test_the_place_is_what_the_filesystem_tells(attributes: dict[str, Any], place: str) -> None:
    class Away(Recording):
        def __init__(self, host: str = "") -> None:
            super().__init__()

    fs = Away()
    fs.__dict__.update(attributes)
    fs.fail = {"ls": REFUSED}
    with pytest.raises(BackendUnavailable) as caught:
        Store(FsspecBackend(fs)).ping()
    at = f" at {place}" if place else ""
    assert caught.value.message == f"Storage cannot be reached{at}: the connection was refused"


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (made("DisconnectError PermissionDenied", code=14), PermissionDenied),
        (caused(PermissionError("s3cret"), made("DisconnectError PermissionDenied", code=14)), PermissionDenied),
        (made("SSHException AuthenticationException"), PermissionDenied),
        (made("HttpResponseError ClientAuthenticationError", status_code=401), PermissionDenied),
        (made("GoogleAuthError RefreshError"), PermissionDenied),
        (made("SFTPError SFTPNoSpaceOnFilesystem", code=14), StorageFull),
        (made("SFTPError SFTPQuotaExceeded", code=15), StorageFull),
        (caused(made("Wrapped"), KeyError("x")), RemoteStoreError),
    ],
    ids=repr,
)
def test_what_is_no_outage_is_not_called_one(
    fs: Recording, native: Exception, expected: type[RemoteStoreError]
) -> None:
    fs.fail = {"cat_file": native}
    with pytest.raises(expected) as caught:
        Store(FsspecBackend(fs)).read_bytes("f")
    assert type(caught.value) is expected
    assert "s3cret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY])
def test_a_plain_os_error_is_told_by_its_number(fs: Recording, number: int) -> None:
    """As those of smbprotocol are, whose class is always the same."""
    native = type("SMBOSError", (OSError,), {})()
    native.errno = number
    fs.fail = {"cat_file": native}
    with pytest.raises(RemoteStoreError) as plain:
        Store(FsspecBackend(fs)).read_bytes("f")
    fs.fail = {"cat_file": OSError(number, "x")}
    with pytest.raises(RemoteStoreError) as own:
        Store(FsspecBackend(fs)).read_bytes("f")
    assert type(plain.value) is type(own.value) is not RemoteStoreError


# --- as they happen


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def http_outage(url: str, **options: Any) -> str:
    pytest.importorskip("aiohttp")
    with Store.from_url(url, retries=0, **options) as store, pytest.raises(BackendUnavailable) as caught:
        store.exists("f")
    return caught.value.message


def test_http_outages_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    stem = "Storage cannot be reached at"
    refused = f"127.0.0.1:{free_port()}"
    assert http_outage(f"http://{refused}/x") == f"{stem} {refused}: the connection was refused"
    unknown = "no-such-host.invalid"
    assert http_outage(f"http://{unknown}/x") == f"{stem} {unknown}:80: no such host ({unknown})"
    with silent() as port:
        told = http_outage(f"http://user@127.0.0.1:{port}/x", timeout=0.2)
        assert told == f"{stem} 127.0.0.1:{port}: it did not answer within 0.2 s"
    monkeypatch.setenv("http_proxy", f"http://{refused}")
    told = http_outage("http://files.example/x", client_kwargs={"trust_env": True})
    assert told == f"{stem} files.example:80: the proxy {refused} failed"


def test_failing_tls_is_told() -> None:
    async def serve_plain() -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            told = await asyncio.to_thread(http_outage, f"https://127.0.0.1:{port}/x")
            assert told == f"Storage cannot be reached at 127.0.0.1:{port}: TLS failed (wrong version number)"

    asyncio.run(serve_plain())


def test_a_refused_ftp_server_is_told() -> None:
    port = free_port()
    with pytest.raises(BackendUnavailable, match=f"at 127.0.0.1:{port}: the connection was refused"):
        Store.from_url(f"ftp://127.0.0.1:{port}/x")
