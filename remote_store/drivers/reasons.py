"""Why a storage cannot be reached, worked out from what a package raised; imports none of the packages."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

DENIED = frozenset({
    "SFTPPermissionDenied", "SFTPWriteProtect", "PermissionDenied",  # asyncssh
    "AuthenticationException",  # paramiko
    "ClientAuthenticationError", "CredentialUnavailableError",  # azure
    "DefaultCredentialsError", "RefreshError",  # google-auth
    "LogonFailure", "SMBAuthenticationError",  # smbprotocol
})  # fmt: skip
"""Classes of refused or missing credentials."""

OUTAGES = frozenset({
    "ConnectionError", "EOFError", "SSLError", "gaierror",  # the standard library, requests
    "BadStatusLine", "IncompleteRead", "URLError",  # http.client, urllib
    "ChunkedEncodingError", "Timeout",  # requests
    "MaxRetryError", "NewConnectionError", "ProtocolError",  # urllib3
    "NetworkError", "ProxyError", "RemoteProtocolError", "TimeoutException",  # httpx
    "ClientConnectionError", "ClientPayloadError",  # aiohttp
    "IncompleteReadError", "ServiceRequestError", "ServiceResponseError",  # azure-core
    "HTTPClientError",  # botocore
    "ChannelOpenError", "DisconnectError", "SFTPConnectionLost", "SFTPNoConnection",  # asyncssh
    "SSHException",  # paramiko
    "TransportError",  # google-auth
    "SMBConnectionClosed",  # smbprotocol
})  # fmt: skip
"""Classes that mean a lost or impossible connection."""

SILENCE = frozenset({"Timeout", "TimeoutError", "TimeoutException"})
"""Classes that mean that no answer came in time: requests, the standard library, httpx."""

FULL = frozenset({"SFTPNoSpaceOnFilesystem", "SFTPQuotaExceeded"})
"""Classes that mean that no space is left (asyncssh)."""

_PROXY, _TLS, _NO_HOST = "a proxy or gateway on the way failed", "TLS failed", "no such host"
_REASONS: tuple[tuple[str, frozenset[str]], ...] = (
    ("the URL of the service is not usable", frozenset({"EndpointProviderError"})),
    (_PROXY, frozenset({
        "ClientHttpProxyError", "ClientProxyConnectionError", "ProxyConnectionError", "ProxyError",
    })),
    ("the server's host key is not trusted", frozenset({"BadHostKeyException", "HostKeyNotVerifiable"})),
    (_TLS, frozenset({"ClientSSLError", "SSLError"})),
    (_NO_HOST, frozenset({"ClientConnectorDNSError", "NameResolutionError", "gaierror"})),
    ("the connection was refused", frozenset({"ConnectionRefusedError", "ECONNREFUSED"})),
    ("no route to the host", frozenset({"EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"})),
    ("it did not accept a connection in time", frozenset({
        "ConnectTimeout", "ConnectTimeoutError", "ConnectionTimeoutError", "ServiceRequestTimeoutError",
    })),
    ("it did not answer in time", frozenset({
        "ReadTimeout", "ReadTimeoutError", "ServiceResponseTimeoutError", "SocketTimeoutError", "WriteTimeout",
    })),
    ("it took too long", frozenset({"ETIMEDOUT", "Timeout", "TimeoutError", "TimeoutException"})),
    ("the connection was lost", frozenset({
        "BadStatusLine", "BrokenPipeError", "ChunkedEncodingError", "ClientPayloadError", "ConnectionAbortedError",
        "ConnectionClosedError", "ConnectionLost", "ConnectionResetError", "ECONNABORTED", "ECONNRESET", "EOFError",
        "EPIPE", "IncompleteRead", "IncompleteReadError", "ProtocolError", "ReadError", "RemoteProtocolError",
        "SFTPConnectionLost", "SFTPNoConnection", "SMBConnectionClosed", "ServerDisconnectedError", "WriteError",
    })),
)  # fmt: skip
"""Reason, and the classes and error numbers that mean it; the most specific first: a proxy's refusal is no host's."""

_NUMBER = re.compile(r"\[Errno (\d+)\]")
_DEPTH = 20


def kinds(error: BaseException | None) -> set[str]:
    """Names of the classes of an error."""
    return {kind.__name__ for kind in type(error).__mro__} if error is not None else set()


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, wherever the packages keep those."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _DEPTH:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, None if one.__suppress_context__ else one.__context__, *one.args]
        inner += [getattr(one, name, None) for name in ("reason", "inner_exception", "os_error")]
        inner.append(_arguments(one).get("error"))
        waiting += [other for other in inner if isinstance(other, BaseException)]


def is_outage(error: BaseException) -> bool:
    """Whether an error, or one that led to it, means an outage."""
    return any(kinds(one) & OUTAGES or number_of(one) == errno.ECONNREFUSED for one in chain(error))


def is_silence(error: BaseException) -> bool:
    """Whether an error, or one that led to it, means that a deadline passed: what is asked next would wait as long."""
    return any(kinds(one) & SILENCE for one in chain(error))


def number_of(error: BaseException | None) -> int | None:
    """The `errno` of an error; where several attempts to connect failed, it is only in the text."""
    if not isinstance(error, OSError):
        return None
    if error.errno is None and (found := _NUMBER.search(str(error))):
        return int(found[1])
    return error.errno


def reason(error: BaseException) -> str:
    """Why there is no connection, in words without secrets; the name of the class where nothing else is known."""
    links = list(chain(error))
    signs = set().union(*map(kinds, links)) | {errno.errorcode.get(number_of(one) or 0, "") for one in links}
    found = next((reason for reason, names in _REASONS if signs & names), "")
    if (detail := {_PROXY: _proxy, _TLS: _tls, _NO_HOST: _lookup}.get(found)) is not None:
        return detail(links)
    number = number_of(error) or 0
    return found or (os.strerror(number) if number in errno.errorcode else type(error).__name__)


def _arguments(error: BaseException) -> dict[str, Any]:
    """The values that botocore puts into the text of an error."""
    arguments = getattr(error, "kwargs", None)
    return arguments if isinstance(arguments, dict) else {}


def _proxy(links: list[BaseException]) -> str:
    """Which proxy failed, where botocore or aiohttp names it."""
    for one in links:
        if proxy := host_of(str(_arguments(one).get("proxy_url", ""))):
            return f"the proxy {proxy} failed"
        if "ClientProxyConnectionError" in kinds(one) and (host := getattr(one, "host", None)):
            return f"the proxy {host_and_port(host, getattr(one, 'port', None))} failed"
    return _PROXY


def _tls(links: list[BaseException]) -> str:
    """What OpenSSL reported, which names neither a host nor a file."""
    for name in ("verify_message", "reason"):
        for one in links:
            if isinstance(text := getattr(one, name, None), str) and "SSLError" in kinds(one):
                return f"{_TLS} ({text.replace('_', ' ').lower()})"
    return _TLS


def _lookup(links: list[BaseException]) -> str:
    unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
    failed = any(isinstance(one, socket.gaierror) and one.errno not in unknown for one in links)
    reason = "the name of the host cannot be looked up" if failed else _NO_HOST
    # Which may be that of a proxy.
    host = next((one.host for one in links if "ClientConnectorError" in kinds(one) and hasattr(one, "host")), "")
    return f"{reason} ({host_and_port(host, None)})" if host else reason


def host_and_port(host: str, port: object) -> str:
    """A place as errors name it, without a user name before the host."""
    host = host.rpartition("@")[2]
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def host_of(url: str) -> str:
    """Host and port of a URL, and nothing else of it; `""` where it names no host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    return host_and_port(host, port or {"http": 80, "https": 443}.get(parts.scheme)) if host else ""
