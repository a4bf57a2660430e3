"""How a double is reached: HTTP/1.1 by aiohttp, in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

from servers.double import Double
from servers.double_answers import Answer, CarryOut, Hook, Request

WAITING = 64
"""Hooks that may run, or wait, at a time."""
LONGEST_LINE = 1 << 16
"""Of a request: two names of 1024 bytes, percent-encoded, are longer than aiohttp takes otherwise [bytes]."""
POLL = 0.001
"""How often to look whether a transport has sent all [s]."""
AT_ONCE = 0.01
"""How long connections may go on when the server ends; 0 would be without bound [s]."""
REASONS = {308: "Resume Incomplete", 499: "Client Closed Request"}
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextmanager
def listening(served: Double, certificate: Path | None = None) -> Iterator[str]:
    """The endpoint of a server, until the block ends; with a certificate, and its key, it speaks TLS."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop, over = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=loop.run_forever, name="double", daemon=True)
    thread.start()
    hooks = ThreadPoolExecutor(WAITING, "double-hook")
    try:
        handler = _handler(served, hooks, over)
        server, listener = asyncio.run_coroutine_threadsafe(_start(handler, context), loop).result()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            over.set()
            asyncio.run_coroutine_threadsafe(_stop(server, listener), loop).result()
    finally:
        hooks.shutdown(wait=False, cancel_futures=True)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(handler: Handler, context: ssl.SSLContext | None) -> tuple[web.Server, asyncio.Server]:
    server = web.Server(handler, access_log=None, auto_decompress=False, max_line_size=LONGEST_LINE)
    return server, await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=1024, ssl=context)


async def _stop(server: web.Server, listener: asyncio.Server) -> None:
    listener.close()
    await server.shutdown(AT_ONCE)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _handler(served: Double, hooks: ThreadPoolExecutor, over: threading.Event) -> Handler:
    carry_out = served.carry_out

    async def handle(raw: web.BaseRequest) -> web.StreamResponse:
        target = raw.raw_path
        path, _, query = target.partition("?")
        served.requests.append(f"{raw.method} {target}")
        try:
            body = await raw.content.read()
        except (OSError, web.PayloadAccessError, asyncio.IncompleteReadError):  # A request that broke off is none.
            return _reset(raw)
        request = Request(raw.method, path, dict(parse_qsl(query, True)), CIMultiDict(raw.headers), body, over)
        if delay := served.delay(request):
            await asyncio.sleep(delay)
        if not served.hook:
            return await _send(raw, carry_out(request))
        try:
            loop, hook = asyncio.get_running_loop(), served.hook
            answer = await loop.run_in_executor(hooks, _hooked, hook, request, lambda: carry_out(request))
        except ConnectionResetError:
            return _reset(raw)
        return await _send(raw, answer)

    return handle


def _hooked(hook: Hook, request: Request, carry_out: CarryOut) -> Answer:
    """What a hook answers, or the double, which carries a request out once."""
    done: list[Answer] = []

    def once() -> Answer:
        if not done:
            done.append(carry_out())
        return done[0]

    return hook(request, once) or once()


async def _send(raw: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    reason = REASONS.get(answer.status)
    if answer.sized and answer.sent is None:
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers, reason=reason)
    response = web.StreamResponse(status=answer.status, headers=answer.headers, reason=reason)
    if answer.sized:
        response.content_length = len(answer.body)
    else:
        response.enable_chunked_encoding()
    await response.prepare(raw)
    if answer.sent is not None:
        await response.write(answer.body[: answer.sent])
        # What waits in the transport would be lost with the connection.
        while raw.transport and raw.transport.get_write_buffer_size():
            await asyncio.sleep(POLL)
        return _reset(raw)
    await response.write(answer.body)
    await response.write_eof()
    return response


def _reset(raw: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection, instead of closing it in peace."""
    if transport := raw.transport:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()
