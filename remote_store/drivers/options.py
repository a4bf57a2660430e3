"""Options of backends as data: names, types, defaults, what they mean, and which are secret. No SDK is needed."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, MISSING, dataclass, field, fields
from inspect import cleandoc, signature
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from remote_store._location import Location

_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)
"""An argument, or several, in a docstring."""


SECRET = {"secret": True}
"""Metadata of a field whose value may give access: no text shows it."""
PATH = {"path": True}
"""Metadata of a field that is a path on this machine: backends keep it as an absolute one."""


@dataclass(frozen=True)
class Options:
    """What a backend takes, as a frozen dataclass: one for each kind of storage.

    A subclass has a field for each option, and tells of it under "Args:" in its docstring. The signatures of the
    backend and of its asynchronous twin, the checks of configurations and their JSON schema are made from these.
    Fields with `metadata=SECRET` are hidden.
    """

    PLACE: ClassVar[tuple[str, ...]] = ()
    """Options that a URL tells."""
    PUBLIC: ClassVar[frozenset[str]] = frozenset(
        {
            "account_name", "anon", "asynchronous", "block_size", "cache_regions", "cache_storage", "cache_type",
            "check_files", "compression", "container_name", "default_block_size", "default_cache_type",
            "default_fill_cache", "default_location", "encoding", "endpoint_url", "expiry_time", "fixed_upload_size",
            "host", "listings_expiry_time", "location", "max_paths", "port", "profile", "project", "protocol",
            "requester_pays", "skip_instance_cache", "target_protocol", "timeout", "use_listings_cache", "use_ssl",
            "version_aware",
        }
    )  # fmt: skip
    """Names, beyond those of the fields, whose values are no secrets: here what filesystems of fsspec take."""
    ALIASES: ClassVar[Mapping[str, str]] = {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "aws_session_token": "token",
        "profile_name": "profile",
        "region": "region_name",
        "endpoint": "endpoint_url",
        "access_key": "key",
        "secret_key": "secret",
        "session_token": "token",
    }
    """What boto3 and others call an option → what it is called here."""
    UNTAKEN: ClassVar[frozenset[str]] = frozenset()
    """Options of the filesystem that its driver does not heed, and so refuses."""
    TABLES: ClassVar[Mapping[str, str]] = {}
    """Argument of the SDK → the option that takes it, in a table."""

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any] | None:
        """The options that a URL tells, those of `PLACE`; None where the filesystem of fsspec is to make of it what it
        will.

        Raises:
            ValueError: credentials in it.
        """
        return None

    @classmethod
    def lacking(cls, given: Mapping[str, Any]) -> dict[str, str]:
        """Options that must be given too, and what else could be done."""
        return dict.fromkeys(cls.required(), "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    # --- read from the fields

    @classmethod
    def names(cls) -> list[str]:
        """The options, in the order of the arguments."""
        return [*signature(cls).parameters]

    @classmethod
    def required(cls) -> list[str]:
        """The options without a default."""
        return [one.name for one in fields(cls) if one.default is one.default_factory is MISSING]

    @classmethod
    def public(cls) -> frozenset[str]:
        """Names whose values are no secrets."""
        return cls.PUBLIC.union(cls.names()) - cls.marked("secret")

    @classmethod
    def marked(cls, mark: str) -> set[str]:
        """The options that are `"secret"`, or a `"path"`."""
        return {one.name for one in fields(cls) if one.metadata.get(mark)}

    @classmethod
    def docs(cls) -> dict[str, str]:
        """What each option means."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            for names, text in _ENTRY.findall(cleandoc(base.__doc__ or "")):
                found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
        return {name: found[name] for name in cls.names() if name in found}

    @classmethod
    def bound(cls, arguments: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, paths absolute; those that are no options stay as they are."""
        known = {name: value for name, value in given.items() if name in cls.names()}
        bound = signature(cls).bind_partial(*arguments, **known).arguments
        for name in cls.marked("path") & bound.keys():
            if bound[name] is not None:
                bound[name] = os.path.abspath(os.path.expanduser(os.fspath(bound[name])))
        return {**bound, **given, **bound}


@dataclass(frozen=True)
class RemoteOptions(Options):
    """What every service takes.

    Args:
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].
        retries: how often the SDK tries a failed request again; S3: 3 times unless given.
        ca_bundle: file of the certificates to trust instead of those that the SDK brings (PEM).
        proxy: URL of the proxy through which all requests go.
    """

    _: KW_ONLY
    timeout: float = 60
    retries: int | None = None
    ca_bundle: str | None = field(default=None, metadata=PATH)
    proxy: str | None = None
    rest: Mapping[str, Any] = field(default_factory=dict, init=False, repr=False)
    """Options that have no field, for the filesystem of fsspec."""

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        if self.retries is not None:
            check_whole("retries", self.retries, 0, self._in_table("retries"))
        if self.proxy is not None:
            check_http("proxy", self.proxy)
        if self.ca_bundle is not None:
            _check_certificates(self.ca_bundle)

    @classmethod
    def _in_table(cls, name: str) -> str:
        table = cls.TABLES.get(name)
        return f"; what the SDK takes by this name goes into {table}={{{name!r}: …}}" if table else ""


def check_seconds(name: str, value: object) -> None:
    """Raise `ValueError` unless the value of an option is a number of seconds, above 0 and finite."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):  # type: ignore[operator]
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}")


def check_whole(name: str, value: object, least: int, more: str = "") -> None:
    """Raise `ValueError` unless the value of an option is a whole number, `least` or above."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}{more}")


def check_engine(value: object) -> None:
    """Raise `ValueError` unless the value of an option names an engine."""
    if value not in (None, "fast"):
        raise ValueError(f"engine must be 'fast' or None, not {value!r}")


def check_http(name: str, value: object) -> None:
    """Raise `ValueError`, which does not show what may hold a login, unless an option is a URL of HTTP."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError(f"{name} must begin with http:// or https://")


def _check_certificates(file: str) -> None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:
        why = "it has no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"ca_bundle {file!r} cannot be used: {why}") from error
