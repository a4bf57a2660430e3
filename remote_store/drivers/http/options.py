"""Options of HTTP."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from remote_store.drivers.options import SECRET, RemoteOptions, check_http

if TYPE_CHECKING:
    from remote_store._location import Location

PARTS = re.compile(
    r"(?P<scheme>https?)://(?:(?P<login>[^/?#]*)@)?(?P<host>[^/?#@]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
"""A URL of HTTP without a fragment, which no server is sent."""
ALLOWED = "%/:=&?~#+!$,;'@()*[]"
"""What stays as it is in a URL that somebody wrote; anything else is percent-encoded (RFC 3986)."""
OURS = re.compile(r"accept-encoding|range|if-[\w-]+|content-[\w-]+|host|connection|transfer-encoding", re.I)
"""Headers that the driver writes itself, or that would make another request of it."""
TAKEN = frozenset(
    {
        "auth",
        "auto_decompress",
        "base_url",
        "connector",
        "connector_owner",
        "headers",
        "loop",
        "raise_for_status",
        "timeout",
    }
)
"""Arguments of sessions that are options of the backend, or are the driver's own."""


class Site(NamedTuple):
    """What a URL of HTTP says.

    Args:
        url: of the folder that is the root, without a slash at its end, a login and a query.
        login: user name and password; None without.
        query: as it was written, which a signature may depend on.
    """

    url: str
    login: tuple[str, str] | None
    query: str


def site_of(url: str) -> Site:
    """The parts of a URL, or `ValueError`, which does not show it."""
    check_http("base_url", url)
    found = PARTS.fullmatch(url)
    if found is None:
        raise ValueError("base_url must name a host, and have no fragment ('#')")
    try:
        named = urlsplit(f"{found['scheme']}://{found['host']}")
        valid = bool(named.hostname) and named.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("base_url must name a host, and no other port than a number from 1 to 65535")
    user, _, password = (found["login"] or "").partition(":")
    login = None if found["login"] is None else (unquote(user), unquote(password))
    path = quote(found["path"].rstrip("/"), safe=ALLOWED)
    return Site(f"{found['scheme']}://{found['host'].lower()}{path}", login, quote(found["query"] or "", safe=ALLOWED))


def query_of(params: str | Mapping[str, Any] | None) -> str:
    """The text of a query, without its question mark."""
    if params is None or isinstance(params, str):
        return quote((params or "").removeprefix("?"), safe=ALLOWED)
    return urlencode(params, quote_via=quote)


def basic(user: str, password: str) -> str:
    """The value of `Authorization` for a login (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `ValueError`, which shows no value, for headers that would spoil requests."""
    for name, value in headers.items():
        if (
            not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
            or not isinstance(value, str)
            or not value.isprintable()
        ):
            raise ValueError("headers must be texts of printable characters, by names as HTTP knows them")
        if OURS.fullmatch(name):
            raise ValueError(f"headers must not have {name!r}: the driver sets it as each request needs it")


@dataclass(frozen=True)
class HTTPOptions(RemoteOptions):
    """What HTTP takes.

    Args:
        base_url: of the folder that is the root, percent-encoded where it must be; a login and a query in it go with
            each request, as `username`, `password` and `params` do.
        headers: sent with each request to the server of `base_url`, and to no other.
        username: for HTTP's Basic authentication.
        password: for HTTP's Basic authentication.
        token: sent as `Authorization: Bearer`.
        params: query of each request, such as a signature: a text, sent as it is, or a mapping.
        index: list folders by reading the pages of links that web servers make of them; one further request for each
            file that is listed tells its size.
        client_kwargs: further arguments of `aiohttp.ClientSession`, such as `{"trust_env": True}` for the proxies that
            the environment names.
    """

    PLACE: ClassVar = ("base_url",)
    ALIASES: ClassVar = {
        "url": "base_url",
        "root": "base_url",
        "user": "username",
        "query": "params",
        "verify": "ca_bundle",
    }
    UNTAKEN: ClassVar = frozenset(
        {
            "batch_size", "block_size", "cache_options", "cache_type", "encoded", "get_client", "same_scheme",
            "simple_links", "size_policy", "storage_options", "use_listings_cache",
        }
    )  # fmt: skip
    TABLES: ClassVar = dict.fromkeys(("cookies", "trust_env", "trace_configs"), "client_kwargs")
    base_url: str
    _: KW_ONLY
    headers: Mapping[str, str] | None = field(default=None, metadata=SECRET)
    username: str | None = None
    password: str | None = field(default=None, metadata=SECRET)
    token: str | None = field(default=None, metadata=SECRET)
    params: str | Mapping[str, str] | None = field(default=None, metadata=SECRET)
    index: bool = False
    client_kwargs: Mapping[str, Any] | None = field(default=None, metadata=SECRET)

    def __post_init__(self) -> None:
        site = site_of(self.base_url)
        if site.login is not None or site.query:
            raise ValueError("a login and a query in base_url are options of their own: username, password, params")
        check_headers(self.headers or {})
        given = [name for name in (self.headers or {}) if name.lower() == "authorization"]
        if len(given) + (self.token is not None) + (self.username is not None) > 1:
            raise ValueError("give one way to log in: username= and password=, token=, or a header Authorization")
        if self.password is not None and self.username is None:
            raise ValueError("password needs username")
        if ":" in (self.username or ""):
            raise ValueError("username must have no colon, which Basic authentication cannot carry")
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise ValueError("token must be a text without blanks and line ends")
        for name in sorted(TAKEN & (self.client_kwargs or {}).keys()):
            raise ValueError(f"client_kwargs must not have {name!r}, which the backend sets itself")
        super().__post_init__()

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any]:
        return {"base_url": "::".join(url.chain)}  # "::" belongs to it, as in an address of IPv6.

    @classmethod
    def bound(cls, arguments: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name; what is secret in the URL becomes an option that is."""
        bound = super().bound(arguments, given)
        if not isinstance(url := bound.get("base_url"), str):
            return bound
        site = site_of(url)
        told: dict[str, Any] = {"params": site.query} if site.query else {}
        if site.login is not None:
            told |= {"username": site.login[0], "password": site.login[1]}
        if twice := sorted(told.keys() & {name for name, value in bound.items() if value is not None}):
            raise ValueError(f"the URL tells the option {twice[0]!r} already")
        return {**bound, "base_url": site.url, **told}
