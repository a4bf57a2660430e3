"""Which credentials of Azure are meant: those of the arguments before those of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from adlfs import AzureBlobFileSystem
from azure.core.utils import parse_connection_string

PRINCIPAL = ("client_id", "client_secret", "tenant_id")
KINDS = (("connection_string",), ("credential",), ("account_key",), ("sas_token",), PRINCIPAL, ("anon",))
"""Arguments of each kind of credentials."""


OF_ACCOUNT = frozenset({"account_key", "sas_token"})
"""What gives access to one account; another must not be shown it."""
CLOUDS = re.compile(
    r"([a-z0-9]+)(?:-secondary)?\.(?:blob\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)"
    r"|z[0-9]{2}\.blob\.storage\.azure\.net)"
)
"""Hosts of Azure, which begin with the account: Azure guide, sovereign clouds; storage account overview, endpoints."""


def unsaid(options: Mapping[str, Any]) -> frozenset[str]:
    """Arguments that the environment may not fill in, because others were given in their place, or another account.

    Args:
        options: arguments of adlfs.
    """
    if given := _given(options):
        return frozenset(name for kind in KINDS if kind not in given for name in kind) - {"credential", "anon"}
    own, string = _set("account_name"), _set("connection_string")
    foreign = OF_ACCOUNT if own and not _is_at(own, options) else frozenset()
    return foreign | ({"connection_string"} if string and not _is_of(string, options) else frozenset())


def is_strange(options: Mapping[str, Any]) -> bool:
    """Whether the arguments name a host that may be anybody's, and give no credentials for it; nor does a connection
    string of the environment, for that very host."""
    if _given(options) or not options.get("account_host"):
        return False
    string = _set("connection_string")
    return not (CLOUDS.fullmatch(str(options["account_host"])) or (string and _is_of(string, options)))


def _given(options: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The kinds of credentials that arguments give."""
    return [kind for kind in KINDS if any(options.get(name) for name in kind)]


def _set(name: str) -> str | None:
    """What the environment says in place of an argument of adlfs."""
    return os.environ.get(f"AZURE_STORAGE_{name.upper()}")


def _is_at(own: str, options: Mapping[str, Any]) -> bool:
    """Whether the account that the arguments name, if they do, is that of the environment."""
    host = CLOUDS.fullmatch(str(options.get("account_host") or f"{own}.blob.core.windows.net"))
    return host is not None and host[1] == own and options.get("account_name") in (None, own)


def _is_of(string: str, options: Mapping[str, Any]) -> bool:
    """Whether a connection string is of the account that the arguments name, if they do."""
    name, host = options.get("account_name"), options.get("account_host")
    if not name and not host:
        return True
    try:
        told = parse_connection_string(string)
    except ValueError:
        return False
    endpoint = str(told.get("blobendpoint", "")).partition("://")[2].rstrip("/")
    account = told.get("accountname") or endpoint.partition(".")[0]
    return name in (None, account) and host in (None, endpoint or f"{account}.blob.{told.get('endpointsuffix')}")


class Filesystem(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs tells no types.
    """adlfs's own, but for credentials of the environment: there some outrank arguments of another kind.

    Attributes:
        withheld: whether it has credentials that were not used, as they are not meant for the account, or the host.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        strange, unused = is_strange(options), unsaid(options)
        if strange:
            # Tokens that Azure's libraries find open all accounts of who has them.
            options["anon"], unused = True, frozenset(name for kind in KINDS for name in kind) - {"anon"}
        self.__dict__["_unsaid"] = unused
        self.__dict__["withheld"] = strange or (not _given(options) and any(map(_set, unused & OF_ACCOUNT)))
        super().__init__(*args, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, None if name in self._unsaid else value)
