"""A web server that keeps what it is asked, and answers each request with 503; with a certificate it speaks TLS."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class WebServer:
    """A server on loopback.

    Attributes:
        port: where it listens.
        asked: first line and headers of each request.
    """

    port: int
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[WebServer]:
    """Serve until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.requestline, dict(self.headers)))
            self.send_error(503)

        do_HEAD = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served = WebServer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = made.add_extension(x509.SubjectAlternativeName([address]), False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(private + signed.public_bytes(pem))
    return folder / "cert.pem"
