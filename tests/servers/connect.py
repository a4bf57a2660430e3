"""A proxy of HTTP on loopback that passes connections on when it is asked to CONNECT."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """A proxy.

    Attributes:
        port: where it listens.
        answer: first line of its answers.
        glued: whether its answer waits for the first bytes that it passes on, and comes in one piece with them.
        asked: first line, and the login, of each request.
    """

    port: int = 0
    answer: str = "HTTP/1.1 200 Connection established"
    glued: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def connect_proxy() -> Iterator[ConnectProxy]:
    """Serve until the block ends."""
    proxy = ConnectProxy()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            first, *rest = iter(lambda: self.rfile.readline().decode().strip(), "")
            login = next((line.partition(": ")[2] for line in rest if line.startswith("Proxy-Authorization")), "")
            proxy.asked.append((first, login))
            answer = f"{proxy.answer}\r\nVia: test\r\n\r\n".encode()
            if " 200 " not in proxy.answer:
                self.wfile.write(answer)
                return
            host, _, port = first.split()[1].rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.wfile.write(answer + (there.recv(1 << 16) if proxy.glued else b""))
                back = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
                back.start()
                _pass_on(self.connection, there)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()
