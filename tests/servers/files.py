"""Web servers on loopback that give out the files of a folder: one that can be told how to behave, and Python's own."""

from __future__ import annotations

import gzip
import html
import http.server
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from servers.double import Double
from servers.double_answers import HTML, Answer, Request
from servers.double_http import listening

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

BEHAVIOURS: dict[str, dict[str, Any]] = {
    "as it should": {},
    "no ranges": {"ranges": False},
    "no lengths": {"sized": False},
    "no lengths and no ranges": {"sized": False, "ranges": False},
    "compressed": {"packed": True},
    "compressed and no lengths": {"packed": True, "sized": False},
    "no HEAD": {"heads": False},
    "weak etags": {"etag": "W/"},
    "no etags": {"etag": None},
    "neither etags nor times": {"etag": None, "dated": False},
}
"""How servers behave: arguments of `FileServer.having`."""


@dataclass
class FileServer(Double):
    """A server that can be told to behave otherwise, one request for another by a hook, or all by `having`.

    Attributes:
        root: the folder.
        asked: each request.
        heads: whether it answers HEAD; else with 405.
        ranges: whether it gives ranges.
        etag: before the quotes of each ETag; None for none at all.
        dated: whether it tells when files changed.
        sized: whether it tells how long bodies are.
        packed: whether it sends everything compressed.
        login: the value of `Authorization` that it wants.
        query: what it wants to find in each query.
    """

    root: Path = Path()
    asked: list[Request] = field(default_factory=list, repr=False)
    heads: bool = True
    ranges: bool = True
    etag: str | None = ""
    dated: bool = True
    sized: bool = True
    packed: bool = False
    login: str = ""
    query: str = ""

    @property
    def lines(self) -> list[str]:
        """Method and path of each request."""
        return [f"{request.method} {request.path}" for request in self.asked]

    def fresh_folder(self) -> Path:
        """A folder that no other test uses."""
        folder = self.root / self.fresh_prefix()
        folder.mkdir()
        return folder

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self.requests.clear()

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        self.asked.append(request)
        if self.login and request.headers.get("Authorization") != self.login:
            return Answer(401, b"who are you?", HTML)
        if self.query and self.query not in self.requests[-1].partition("?")[2]:
            return Answer(403, b"no signature", HTML)
        if request.method == "HEAD" and not self.heads:
            return Answer(405)
        path = self.root / unquote(request.path, errors="surrogateescape").lstrip("/")
        try:
            path.stat()
        except OSError:  # Missing, below a file, or too long.
            return Answer(404, b"<html>no such page</html>", HTML)
        if path.is_dir():
            if not request.path.endswith("/"):
                return Answer(301, headers={"Location": request.path + "/"})
            return Answer(200, page_of(path).encode(errors="surrogateescape"), HTML)
        if request.path.endswith("/"):
            return Answer(404, b"<html>no such page</html>", HTML)
        answer = self._file(request, path)
        return answer._replace(body=b"") if request.method == "HEAD" and not self.sized else answer

    def _file(self, request: Request, path: Path) -> Answer:
        body, stat = path.read_bytes(), path.stat()
        headers = {"Content-Type": "text/plain", "Accept-Ranges": "bytes" if self.ranges else "none"}
        if self.etag is not None:
            headers["ETag"] = f'{self.etag}"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"'
        if self.dated:
            headers["Last-Modified"] = formatdate(stat.st_mtime, usegmt=True)
        if self.packed:
            return Answer(200, gzip.compress(body), {**headers, "Content-Encoding": "gzip"}, self.sized)
        asked = _RANGE.fullmatch(request.headers.get("Range", "")) if self.ranges and request.method == "GET" else None
        if asked and request.headers.get("If-Range", headers.get("ETag")) in (
            headers.get("ETag"),
            headers.get("Last-Modified"),
        ):
            first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
            if first >= len(body):
                return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            return Answer(206, body[first : last + 1], headers, self.sized)
        return Answer(200, body, headers, self.sized)


def page_of(folder: Path) -> str:
    """A page of links, as nginx makes one."""
    lines = ['<a href="../">../</a>', '<a href="?C=N;O=D">Name</a>', '<a href="/elsewhere/x">x</a>']
    for entry in sorted(folder.iterdir()):
        name = entry.name + "/" * entry.is_dir()
        link = quote(name, errors="surrogateescape")
        lines.append(
            f'<a href="{html.escape("./" * (":" in link) + link)}">{html.escape(name)}</a>  27-Nov-2026 10:00  12K'
        )
    return "<html><head><title>Index</title></head><body><pre>\n" + "\n".join(lines) + "\n</pre></body></html>"


@contextmanager
def file_server(root: Path, certificate: Path | None = None) -> Iterator[FileServer]:
    """Serve a folder until the block ends."""
    server = FileServer(root=root)
    with listening(server, certificate) as server.endpoint:
        yield server


@contextmanager
def served_folder() -> Iterator[FileServer]:
    """Serve a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, file_server(Path(folder)) as server:
        yield server


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up."""


@contextmanager
def plain_server(root: Path) -> Iterator[str]:
    """The URL of Python's own server, which knows neither ranges nor etags."""
    server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=os.fspath(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
