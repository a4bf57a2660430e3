"""An S3 that keeps nothing: swallows what is written, and serves `zeros-N`, an object of N MiB.

Run as a program it prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import re
import sys

MIB = 1 << 20
PIECE = bytes(MIB)
ETAG = b'ETag: "00000000000000000000000000000000"\r\n'
CREATED = b"<InitiateMultipartUploadResult><UploadId>void</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>00</ETag></CompleteMultipartUploadResult>"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, *_ = head.split(" ", 2)
            if "100-continue" in head.lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await swallow(reader, head.lower())
            await answer(writer, method, target)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def swallow(reader: asyncio.StreamReader, head: str) -> None:
    """Read a request body and forget it."""
    if "transfer-encoding: chunked" in head:
        while size := int((await reader.readline()).split(b";")[0], 16):
            await skip(reader, size + 2)
        while (await reader.readline()).strip():
            pass
    elif length := re.search(r"content-length: (\d+)", head):
        await skip(reader, int(length[1]))


async def skip(reader: asyncio.StreamReader, size: int) -> None:
    while size:
        piece = await reader.read(min(size, MIB))
        if not piece:
            raise ConnectionError
        size -= len(piece)


async def answer(writer: asyncio.StreamWriter, method: str, target: str) -> None:
    zeros = re.search(r"/zeros-(\d+)", target)
    if method == "GET" and zeros:
        mib = int(zeros[1])
        writer.write(b"HTTP/1.1 200 OK\r\n" + ETAG + b"Content-Length: %d\r\n\r\n" % (mib * MIB))
        for _ in range(mib):
            writer.write(PIECE)
            await writer.drain()
        return
    body = (CREATED if "uploads" in target else COMPLETED) if method == "POST" else b""
    status = b"404 Not Found" if method == "HEAD" else b"200 OK"
    writer.write(b"HTTP/1.1 " + status + b"\r\n" + ETAG + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=MIB)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
