"""Services that keep nothing: they swallow what is written, and serve `zeros-N`, an object of N MiB, after a delay.

Run as a program it prints its port, serves until its standard input ends, and prints how many requests there were and
how many of them waited at once. `/storage/` and `/upload/` are Google Cloud Storage, `/devstoreaccount1/` is Azure,
all else is S3, which serves a file, too, where it is given the path of one. `/counted` tells what there was since
`/counted` was asked last.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

MIB = 1 << 20
PIECE = bytes(MIB)
SMALL = bytes(1024)
"""Of objects `small-N`."""
STAMP = b"0000000000000001"
TELLS = b'ETag: "00000000000000000000000000000000"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
TELLS += b"X-Goog-Generation: " + STAMP + b"\r\nx-ms-request-id: void\r\nx-ms-blob-type: BlockBlob\r\n"
CREATED = b"<InitiateMultipartUploadResult><UploadId>void</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>00</ETag></CompleteMultipartUploadResult>"


@dataclass
class Request:
    """A request, and of its body what describes an object."""

    method: str
    target: str
    head: str
    described: bytes = b""

    def header(self, name: str, pattern: str) -> re.Match[str] | None:
        return re.search(rf"^{name}: {pattern}", self.head, re.IGNORECASE | re.MULTILINE)


class Void:
    """The services.

    Args:
        delay: of each answer [s].
        file: one that is there, under its name.
    """

    def __init__(self, delay: float, file: str = "") -> None:
        self._delay = delay
        self._name, self._content = f"/{Path(file).name}", memoryview(Path(file).read_bytes() if file else b"")
        self.requests = self.waiting = self.most = self.sent = 0

    @property
    def counted(self) -> bytes:
        """What there was: requests, the most that waited at once, and bytes sent of the file."""
        return json.dumps({"requests": self.requests, "most": self.most, "sent": self.sent}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split(" ", 2)
                request = Request(method, target, head)
                if request.header("Expect", "100-continue"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await swallow(reader, request)
                if target == "/counted":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.counted) + self.counted)
                    self.requests = self.most = self.sent = 0
                    continue
                await self._wait()
                if self._content and target.partition("?")[0].endswith(self._name):
                    await self._serve_file(writer, request)
                else:
                    await answer(writer, request)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # The last is for a client that keeps its connection when all ends.
        finally:
            writer.close()

    async def _wait(self) -> None:
        self.requests += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(self._delay)
        self.waiting -= 1

    async def _serve_file(self, writer: asyncio.StreamWriter, request: Request) -> None:
        size, span = len(self._content), request.header("Range", r"bytes=(\d+)-(\d*)")
        start, end = (int(span[1]), min(int(span[2] or size) + 1, size)) if span else (0, size)
        status = b"206 Partial Content\r\nContent-Range: bytes %d-%d/%d" % (start, end - 1, size) if span else b"200 OK"
        more = b"Accept-Ranges: bytes\r\nContent-Length: %d\r\n\r\n" % (end - start)
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + TELLS + more)
        while request.method == "GET" and start < end:
            writer.write(self._content[start : min(start + MIB, end)])
            await writer.drain()
            self.sent += min(MIB, end - start)
            start += MIB


async def swallow(reader: asyncio.StreamReader, request: Request) -> None:
    """Read a request body and forget it."""
    if request.header("Transfer-Encoding", "chunked"):
        while size := int((await reader.readline()).split(b";")[0], 16):
            await skip(reader, size + 2)
        while (await reader.readline()).strip():
            pass
    elif length := request.header("Content-Length", r"(\d+)"):
        size = int(length[1])
        if "uploadType=multipart" in request.target:  # What describes the object comes first.
            request.described = await reader.readexactly(min(size, 1024))
            size -= len(request.described)
        await skip(reader, size)


async def skip(reader: asyncio.StreamReader, size: int) -> None:
    while size:
        piece = await reader.read(min(size, MIB))
        if not piece:
            raise ConnectionError
        size -= len(piece)


async def answer(writer: asyncio.StreamWriter, request: Request) -> None:
    found = re.search(r"(zeros|small)-(\d+)", request.target)
    if request.method == "GET" and found:
        pieces = [SMALL] if found[1] == "small" else [PIECE] * int(found[2])
        size = sum(map(len, pieces))
        status = b"200 OK"
        if request.header("x-ms-range", "bytes=0-"):  # Azure's SDK asks for the first piece, which is all of it here.
            status = b"206 Partial Content\r\nContent-Range: bytes 0-%d/%d" % (size - 1, size)
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + TELLS + b"Content-Length: %d\r\n\r\n" % size)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return
    services = {"/storage/": google_answer, "/upload/": google_answer, "/devstoreaccount1/": azure_answer}
    of = next((answer for start, answer in services.items() if request.target.startswith(start)), s3_answer)
    status, more, body = of(request)
    writer.write(b"HTTP/1.1 " + status + b"\r\n" + TELLS + more + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def s3_answer(request: Request) -> tuple[bytes, bytes, bytes]:
    """Status, further headers and body."""
    if request.method == "HEAD":
        return b"404 Not Found", b"", b""
    return b"200 OK", b"", (CREATED if "uploads" in request.target else COMPLETED) if request.method == "POST" else b""


def google_answer(request: Request) -> tuple[bytes, bytes, bytes]:
    if request.method == "GET":
        return b"404 Not Found", b"", b'{"error": {"errors": [{"reason": "notFound"}]}}'
    if "uploadType=resumable" in request.target and request.method == "POST":
        host = request.header("Host", "(.*)\r")
        assert host
        return b"200 OK", f"Location: http://{host[1]}/upload/void\r\n".encode(), b""
    part = request.header("Content-Range", r"bytes \d+-(\d+)/\*")
    if part:
        return b"308 Resume Incomplete", f"Range: bytes=0-{part[1]}\r\n".encode(), b""
    size, checksum = stored(request)
    return b"200 OK", b"", b'{"size": "%d", "crc32c": "%s", "generation": "%s"}' % (size, checksum.encode(), STAMP)


def stored(request: Request) -> tuple[int, str]:
    """Size and checksum of what a request would store."""
    last = request.header("Content-Range", r"bytes \S+/(\d+)")
    if last:
        told = request.header("X-Goog-Hash", "crc32c=(.*)\r")
        return int(last[1]), told[1] if told else ""
    length = request.header("Content-Length", r"(\d+)")
    found = re.search(rb'"crc32c": "([^"]+)"', request.described)
    if not (length and found):
        return 0, ""
    boundary, before = request.described.index(b"\r\n"), request.described.index(b"\r\n\r\n", found.end()) + 4
    return int(length[1]) - before - boundary - 6, found[1].decode()


def azure_answer(request: Request) -> tuple[bytes, bytes, bytes]:
    if request.method == "PUT":
        return b"201 Created", b"", b""
    return b"404 Not Found", b"x-ms-error-code: BlobNotFound\r\n", b""


def azure_options(endpoint: str) -> dict[str, Any]:
    """Arguments of a backend."""
    account = "AccountName=devstoreaccount1;AccountKey=a2V5"
    return {"connection_string": f"{account};BlobEndpoint={endpoint}/devstoreaccount1;", "hns": False}


async def main(delay: float, file: str = "") -> None:
    """Serve until standard input ends."""
    void = Void(delay, file)
    server = await asyncio.start_server(void.serve, "127.0.0.1", 0, limit=MIB, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    print(void.counted.decode())


@contextmanager
def serving(delay: float = 0, file: str = "") -> Iterator[tuple[str, dict[str, int]]]:
    """The services in a process of their own: their URL, and what they counted, once the block has ended."""
    command, counted = [sys.executable, __file__, str(delay), file], dict[str, int]()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}", counted
        finally:
            process.stdin.close()
            counted |= json.loads(process.stdout.read())


def counted_at(endpoint: str) -> dict[str, int]:
    """What there was since this was asked last."""
    with urlopen(f"{endpoint}/counted") as reply:
        counted: dict[str, int] = json.load(reply)
        return counted


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), *sys.argv[2:]))
