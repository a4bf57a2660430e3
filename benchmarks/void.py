"""Services that keep nothing: they swallow what is written, and serve objects and listings that their names describe.

`zeros-N` is an object of N MiB, `some-N` one of 16 KiB, `small-N` one of 1 KiB, and `listed-N/` a folder of N objects.
Run as a program it prints its port, serves after a delay from as many processes as it is told until its standard input
ends, and then prints for each how many requests there were and how many of them waited at once. `/storage/` and
`/upload/` are Google Cloud Storage, `/devstoreaccount1/` is Azure, all else is S3, which serves a file, too, where it
is given the path of one. `/counted` tells what one process has counted since it was asked last.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

MIB = 1 << 20
PIECE = bytes(MIB)
SMALL = bytes(1024)
"""Of objects `small-N`."""
SOME = bytes(16 << 10)
"""Of objects `some-N`."""
STAMP = b"0000000000000001"
TELLS = b'ETag: "00000000000000000000000000000000"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
TELLS += b"X-Goog-Generation: " + STAMP + b"\r\nx-ms-request-id: void\r\nx-ms-blob-type: BlockBlob\r\n"
CREATED = b"<InitiateMultipartUploadResult><UploadId>void</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>00</ETag></CompleteMultipartUploadResult>"
PAGE = 1000
LISTED = (
    "<Contents><Key>%s%07d</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;00000000000000000000000000000000&quot;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass>"
    "</Contents>"
)
Answer = tuple[bytes, bytes, bytes]
"""Status, further headers and body."""


@dataclass
class Request:
    """A request, and of its body what describes objects."""

    method: str
    target: str
    headers: dict[str, str]
    described: bytes = b""

    @classmethod
    def read(cls, head: bytes) -> Request:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        return cls(method, target, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)})

    def header(self, name: str, pattern: str) -> re.Match[str] | None:
        return re.match(pattern, self.headers.get(name, ""), re.IGNORECASE)


class Void:
    """The services.

    Args:
        delay: of each answer [s].
        file: one that is there, under its name.
    """

    def __init__(self, delay: float, file: str = "") -> None:
        self.delay, self.file = delay, f"/{Path(file).name}"
        self.content = memoryview(Path(file).read_bytes() if file else b"")
        self.requests = self.waiting = self.most = self.sent = 0

    @property
    def counted(self) -> str:
        """What there was: requests, the most that waited at once, and bytes sent of the file."""
        return json.dumps({"requests": self.requests, "most": self.most, "sent": self.sent})

    def is_of_file(self, target: str) -> bool:
        return bool(self.content) and target.partition("?")[0].endswith(self.file)

    def tell(self) -> Iterator[bytes]:
        """What was counted, from here on anew."""
        told = self.counted.encode()
        self.requests = self.most = self.sent = 0
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told

    def send_file(self, request: Request) -> Iterator[bytes]:
        for piece in of_object(request, len(self.content), self.content):
            self.sent += len(piece)  # With what is said before the content.
            yield piece


class Connection(asyncio.Protocol):
    """One connection, without the tasks and streams of asyncio, which would take longer than the answers."""

    def __init__(self, void: Void) -> None:
        self._void, self._data = void, bytearray()
        self._asked = self._requests()
        self._pieces: Iterator[bytes] = iter(())
        next(self._asked)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._data += data
        next(self._asked)

    def _requests(self) -> Generator[None, None, None]:
        """Read requests and let them be answered; yields where more has to come."""
        while True:
            head = yield from self._until(b"\r\n\r\n")
            request = Request.read(head)
            if request.header("expect", "100-continue"):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if request.header("transfer-encoding", "chunked"):
                while size := int((yield from self._until(b"\r\n")).split(b";")[0], 16):
                    yield from self._skip(size + 2)
                while (yield from self._until(b"\r\n")):
                    pass
            else:
                yield from self._swallow(request, int(request.headers.get("content-length", 0)))
            self._count(request)

    def _until(self, end: bytes) -> Generator[None, None, bytes]:
        while (found := self._data.find(end)) < 0:
            yield
        taken = bytes(self._data[:found])
        del self._data[: found + len(end)]
        return taken

    def _swallow(self, request: Request, size: int) -> Generator[None, None, None]:
        kept = (
            size if "?delete" in request.target else min(size, 1024) if "uploadType=multipart" in request.target else 0
        )
        while len(self._data) < kept:
            yield
        request.described = bytes(self._data[:kept])
        yield from self._skip(size)

    def _skip(self, size: int) -> Generator[None, None, None]:
        while size > len(self._data):
            size -= len(self._data)
            self._data.clear()
            yield
        del self._data[:size]

    def _count(self, request: Request) -> None:
        void = self._void
        if request.target == "/counted":
            return self._send(void.tell())
        void.requests += 1
        void.waiting += 1
        void.most = max(void.most, void.waiting)
        if void.delay:
            asyncio.get_running_loop().call_later(void.delay, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        self._void.waiting -= 1
        is_of_file = self._void.is_of_file(request.target)
        self._send(self._void.send_file(request) if is_of_file else answer(request))

    def _send(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.resume_writing()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while not self._paused and not self._transport.is_closing():
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._transport.write(piece)


def answer(request: Request) -> Iterator[bytes]:
    """The pieces of a reply."""
    found = re.search(r"(zeros|small|some)-(\d+)", request.target)
    if found and request.method in ("GET", "HEAD"):
        size = {"small": len(SMALL), "some": len(SOME)}.get(found[1], int(found[2]) * MIB)
        return of_object(request, size)
    services = {"/storage/": google_answer, "/upload/": google_answer, "/devstoreaccount1/": azure_answer}
    of: Callable[[Request], Answer]
    of = next((answer for start, answer in services.items() if request.target.startswith(start)), s3_answer)
    status, more, body = of(request)
    head = b"HTTP/1.1 " + status + b"\r\n" + TELLS + more + b"Content-Length: %d\r\n\r\n" % len(body)
    return iter((head + (b"" if request.method == "HEAD" else body),))


def of_object(request: Request, size: int, content: memoryview | None = None) -> Iterator[bytes]:
    """An object of so many zeros, unless content is given."""
    first, last, status = 0, size - 1, b"200 OK"
    if asked := request.header("range", r"bytes=(\d+)-(\d*)"):
        first, last = int(asked[1]), min(int(asked[2] or last), last)
    # Azure's SDK asks for the first piece, which is all of it here.
    if asked or request.header("x-ms-range", "bytes=0-"):
        status = b"206 Partial Content\r\nContent-Range: bytes %d-%d/%d" % (first, last, size)
    left = last + 1 - first
    head = b"HTTP/1.1 " + status + b"\r\n" + TELLS + b"Content-Length: %d\r\n\r\n" % left
    if request.method == "HEAD":
        yield head
        return
    while head or left:
        length = min(left, len(SOME) if head else MIB)
        yield head + (PIECE[:length] if content is None else bytes(content[first : first + length]))
        head, first, left = b"", first + length, left - length


def s3_answer(request: Request) -> Answer:
    if request.method == "HEAD":
        return b"404 Not Found", b"", b""
    if request.method == "GET":
        return s3_listing(request)
    if request.method == "POST":
        if "?delete" in request.target:
            return b"200 OK", b"", s3_deleted(request.described)
        return b"200 OK", b"", CREATED if "uploads" in request.target else COMPLETED
    return b"200 OK", b"", b""


def s3_deleted(asked: bytes) -> bytes:
    keys = [] if b"<Quiet>true" in asked else re.findall(rb"<Key>.*?</Key>", asked)
    return b"<DeleteResult>%b</DeleteResult>" % b"".join(b"<Deleted>%b</Deleted>" % key for key in keys)


def s3_listing(request: Request) -> Answer:
    asked = parse_qs(urlsplit(request.target).query)
    prefix, first = asked.get("prefix", [""])[0], int(asked.get("continuation-token", ["0"])[0])
    return b"200 OK", b"", s3_page(prefix, first, int(asked.get("max-keys", [str(PAGE)])[0]))


@lru_cache(128)
def s3_page(prefix: str, first: int, most: int) -> bytes:
    """A page of a listing, which has all objects of a folder whether they were deleted or not."""
    found = re.match(r"(?:.*/)?listed-(\d+)/$", prefix)
    end = int(found[1]) if found else 0
    last = min(first + most, end)
    token = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < end else ""
    told = f"<Prefix>{prefix}</Prefix><KeyCount>{last - first}</KeyCount><MaxKeys>{most}</MaxKeys>{token}"
    told += f"<IsTruncated>{str(last < end).lower()}</IsTruncated>"
    objects = "".join(LISTED % (prefix, number) for number in range(first, last))
    return f"<ListBucketResult><Name>bucket</Name>{told}{objects}</ListBucketResult>".encode()


def google_answer(request: Request) -> Answer:
    if request.method == "GET":
        return b"404 Not Found", b"", b'{"error": {"errors": [{"reason": "notFound"}]}}'
    if "uploadType=resumable" in request.target and request.method == "POST":
        return b"200 OK", f"Location: http://{request.headers['host']}/upload/void\r\n".encode(), b""
    part = request.header("content-range", r"bytes \d+-(\d+)/\*")
    if part:
        return b"308 Resume Incomplete", f"Range: bytes=0-{part[1]}\r\n".encode(), b""
    size, checksum = stored(request)
    return b"200 OK", b"", b'{"size": "%d", "crc32c": "%s", "generation": "%s"}' % (size, checksum.encode(), STAMP)


def stored(request: Request) -> tuple[int, str]:
    """Size and checksum of what a request would store."""
    last = request.header("content-range", r"bytes \S+/(\d+)")
    if last:
        told = request.header("x-goog-hash", "crc32c=(.*)")
        return int(last[1]), told[1] if told else ""
    length = request.headers.get("content-length")
    found = re.search(rb'"crc32c": "([^"]+)"', request.described)
    if not (length and found):
        return 0, ""
    boundary, before = request.described.index(b"\r\n"), request.described.index(b"\r\n\r\n", found.end()) + 4
    return int(length) - before - boundary - 6, found[1].decode()


def azure_answer(request: Request) -> Answer:
    if request.method == "PUT":
        return b"201 Created", b"", b""
    return b"404 Not Found", b"x-ms-error-code: BlobNotFound\r\n", b""


def azure_options(endpoint: str) -> dict[str, Any]:
    """Arguments of a backend."""
    account = "AccountName=devstoreaccount1;AccountKey=a2V5"
    return {"connection_string": f"{account};BlobEndpoint={endpoint}/devstoreaccount1;", "hns": False}


async def serve(delay: float, file: str, listening: socket.socket) -> None:
    """Serve until standard input ends."""
    void = Void(delay, file)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(void), sock=listening, backlog=1024)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    # In one write, which those of other processes cannot cut into.
    sys.stdout.write(void.counted + "\n")


def listen(processes: int) -> list[socket.socket]:
    """Sockets of one port, among which the system shares connections out."""
    sockets = [socket.socket() for _ in range(processes)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind(("127.0.0.1", sockets[0].getsockname()[1]))
        each.listen(1024)
    return sockets


def main(delay: float, processes: int, file: str) -> None:
    mine, *others = listen(processes)
    print(mine.getsockname()[1], flush=True)
    for other in others:
        if not os.fork():
            mine, others = other, []
            break
    asyncio.run(serve(delay, file, mine))
    for _ in others:
        os.wait()


@contextmanager
def serving(delay: float = 0, processes: int = 1, file: str = "") -> Iterator[tuple[str, dict[str, int]]]:
    """The services in processes of their own: their URL, and what they counted, once the block has ended."""
    command, counted = [sys.executable, __file__, str(delay), str(processes), file], dict[str, int]()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}", counted
        finally:
            process.stdin.close()
            for line in process.stdout:
                for name, number in json.loads(line).items():
                    counted[name] = counted.get(name, 0) + number


def counted_at(endpoint: str) -> dict[str, int]:
    """What there was since this was asked last."""
    with urlopen(f"{endpoint}/counted") as reply:
        counted: dict[str, int] = json.load(reply)
        return counted


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
