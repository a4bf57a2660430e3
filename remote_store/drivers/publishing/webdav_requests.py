"""What a WebDAV server is asked (RFC 4918), by the HTTP client of webdav4."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from errno import EIO, ENOTDIR
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from httpx import RemoteProtocolError
from webdav4.client import HTTPError
from webdav4.multistatus import MultiStatusResponse

from remote_store.io.content import PART

MISTAKEN = re.compile(r"[?;\x00-\x1f]")
"""Characters that wsgidav takes for the end of a target's name, or drops, however they are quoted."""
MOST_REDIRECTS = 5
PROPERTIES = b"""<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>\
<getlastmodified/><getetag/><getcontenttype/></prop></propfind>"""


class Requests:
    """What the server is asked, under the names that fsspec has for it; paths begin at the base URL."""

    def __init__(self, fs: Any) -> None:
        self._client = fs.client

    def _url(self, path: str) -> Any:
        base = self._client.base_url
        folder = base.raw_path.partition(b"?")[0].rstrip(b"/")
        return base.copy_with(raw_path=folder + b"/" + quote(path.lstrip("/")).encode())

    def _ask(self, method: str, path: str, *, content: Any = None, **headers: str) -> Any:
        """The answer, of whose body nothing is read where it is a good one.

        Raises:
            HTTPError: it is another one.
        """
        http = self._client.http
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = http.build_request(
            method, self._url(path), content=content, headers={"Accept-Encoding": "identity", **named}
        )
        asks = method in ("GET", "PROPFIND")
        try:
            answer = http.send(request, stream=True, follow_redirects=False)
        except RemoteProtocolError:
            if not asks:
                raise
            answer = http.send(request, stream=True, follow_redirects=False)  # The server had hung up meanwhile.
        for _ in range(MOST_REDIRECTS if asks else 0):
            if not (onward := _onward(answer)):
                break
            answer.close()
            request = http.build_request(method, onward, content=content, headers=request.headers)
            answer = http.send(request, stream=True, follow_redirects=False)
        if not 200 <= answer.status_code < 300:
            with closing(answer):
                answer.read()
            raise HTTPError(answer)
        return answer

    def _do(self, method: str, path: str, **options: Any) -> None:
        with closing(self._ask(method, path, **options)) as answer:
            answer.read()  # A connection with content left is not used again.
            if answer.status_code == HTTPStatus.MULTI_STATUS:  # Of what some part failed.
                answer.status_code = max(part.status_code or 0 for part in _parts(answer))
                raise HTTPError(answer)

    # --- questions

    def _found(self, path: str, depth: str) -> list[Any]:
        headers = {"depth": depth, "content_type": "application/xml"}
        asking = partial(self._ask, "PROPFIND", path, content=PROPERTIES, **headers)
        with closing(self._client.with_retry(asking)) as answer:
            answer.read()
            return sorted(_parts(answer), key=lambda part: len(part.path_norm))

    def info(self, path: str) -> dict[str, Any]:
        return _entry(path, self._found(path, "0")[0])

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        own, *others = self._found(path, "1")
        if own.properties.resource_type != "directory":
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
        names = [(part.path_norm[len(own.path_norm.rstrip("/")) + 1 :], part) for part in others]
        return [_entry(f"{path}/{name}", part) for name, part in names if name and "/" not in name]

    # --- content

    def open(self, path: str, mode: str, start: int = 0, end: int | None = None) -> Body | None:
        """What a file has from a byte on, up to `end` at least; None where it ends before."""
        try:
            headers = {"range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
            answer = self._client.with_retry(partial(self._ask, "GET", path, **headers))
        except HTTPError as error:
            if error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise
        body = Body(answer)
        told = re.match(r"bytes (\d+)-", answer.headers.get("content-range", ""))
        first = int(told[1]) if told and answer.status_code == HTTPStatus.PARTIAL_CONTENT else 0
        if first > start:
            body.close()
            raise OSError(EIO, "another range than was asked for came")
        body.skip(start - first)
        return body

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        body = self.open(path, "rb", start, end)
        if body is None:
            return b""
        with closing(body):
            return body.take(end - start) if end is not None else b"".join(iter(partial(body.read, PART), b""))

    def pipe_file(self, path: str, data: bytes) -> None:
        self._do("PUT", path, content=data)

    def put_file(self, local: str, path: str) -> None:
        with open(local, "rb") as file:
            self._do("PUT", path, content=file)

    # --- names

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        parent = path.rstrip("/").rpartition("/")[0]
        for again in (True, False):
            try:
                return self._do("MKCOL", f"{path}/")
            except HTTPError as error:
                if again and error.status_code == HTTPStatus.CONFLICT and parent:
                    self.makedirs(parent)
                elif self._is_folder(path):  # Others have made it in the same moment, which wsgidav answers 500.
                    return None
                else:
                    raise

    def _is_folder(self, path: str) -> bool:
        try:
            return bool(self.info(path)["type"] == "directory")
        except HTTPError:
            return False

    def move(self, src: str, dst: str, overwrite: bool) -> None:
        self._to("MOVE", src, dst, overwrite)

    def cp_file(self, src: str, dst: str) -> None:
        self._to("COPY", src, dst, True)

    def _to(self, method: str, src: str, dst: str, overwrite: bool) -> None:
        if MISTAKEN.search(dst):
            raise NotImplementedError(method)
        target = str(self._url(dst).copy_with(userinfo=b""))
        self._do(method, src, destination=target, overwrite="T" if overwrite else "F")

    def rm_file(self, path: str) -> None:
        self._do("DELETE", path)

    def rmdir(self, path: str) -> None:
        self._do("DELETE", f"{path}/")

    rm_tree = rmdir


def _onward(answer: Any) -> Any:
    """Where an answer leads on the same server, by the same method; None elsewhere, where headers must not go."""
    location = answer.headers.get("location") if answer.is_redirect else None
    target = answer.url.join(location) if location else None
    same = target is not None and (target.scheme, target.host, target.port) == (
        answer.url.scheme,
        answer.url.host,
        answer.url.port,
    )
    return target if same else None


class Body:
    """A file as it arrives."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._chunks: Iterator[bytes] = answer.iter_bytes()
        self._rest = b""
        packed = "content-encoding" in answer.headers
        self._left = -1 if packed else int(answer.headers.get("content-length", -1))

    def read(self, size: int) -> bytes:
        """Some of what is next, at most `size` bytes; nothing at the end."""
        while not self._rest and (chunk := next(self._chunks, None)) is not None:
            self._rest = chunk
            self._left -= len(chunk)
            if not self._left:  # A connection is used again once the end was seen.
                next(self._chunks, None)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def take(self, size: int) -> bytes:
        """So many bytes, or all up to the end."""
        pieces = []
        while size and (data := self.read(size)):
            pieces.append(data)
            size -= len(data)
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        while size and (data := self.read(min(size, PART))):
            size -= len(data)

    def close(self) -> None:
        self._answer.close()


def _parts(answer: Any) -> list[Any]:
    """What a multi-status answer has; one at least."""
    try:
        if parts := [*MultiStatusResponse(answer.text).responses.values()]:
            return parts
    except (AssertionError, SyntaxError, ValueError):  # No XML, or not that of WebDAV.
        pass
    answer.status_code = HTTPStatus.OK
    raise HTTPError(answer)


def _entry(path: str, part: Any) -> dict[str, Any]:
    found = part.properties
    if found.resource_type == "directory":
        return {"name": path, "type": "directory"}
    return {
        "name": path,
        "type": "file",
        "size": found.content_length,
        "modified": found.modified,
        "etag": None if (found.etag or "").startswith("W/") else found.etag,
        "content_type": found.content_type,
    }
