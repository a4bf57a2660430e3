"""Which credentials of Azure are meant: those of the arguments before those of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from adlfs import AzureBlobFileSystem
from azure.core.utils import parse_connection_string

PRINCIPAL = ("client_id", "client_secret", "tenant_id")
KINDS = (("connection_string",), ("credential",), ("account_key",), ("sas_token",), PRINCIPAL, ("anon",))
"""Arguments of each kind of credentials."""


OF_ACCOUNT = frozenset({"account_key", "sas_token"})
"""What gives access to one account; another must not be shown it."""
CLOUDS = ("core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn")
"""Where an account is who its host says: Azure guide, sovereign clouds."""


def unsaid(options: Mapping[str, Any]) -> frozenset[str]:
    """Arguments that the environment may not fill in, because others were given in their place, or another account.

    Args:
        options: arguments of adlfs.
    """
    given = [kind for kind in KINDS if any(options.get(name) for name in kind)]
    if given:
        return frozenset(name for kind in KINDS if kind not in given for name in kind) - {"credential", "anon"}
    own, string = (os.environ.get(f"AZURE_STORAGE_{name}") for name in ("ACCOUNT_NAME", "CONNECTION_STRING"))
    foreign = OF_ACCOUNT if own and not _is_at(own, options) else frozenset()
    return foreign | ({"connection_string"} if string and not _is_of(string, options) else frozenset())


def _is_at(own: str, options: Mapping[str, Any]) -> bool:
    """Whether the account that the arguments name, if they do, is that of the environment."""
    name, host = options.get("account_name"), str(options.get("account_host") or "")
    if name or "/" in host:  # As emulators have it: after the host.
        return own == (name or host.rpartition("/")[2])
    return host in ("", *(f"{own}.blob.{cloud}" for cloud in CLOUDS))


def _is_of(string: str, options: Mapping[str, Any]) -> bool:
    """Whether a connection string is of the account that the arguments name, if they do."""
    name, host = options.get("account_name"), options.get("account_host")
    if not name and not host:
        return True
    try:
        told = parse_connection_string(string)
    except ValueError:
        return False
    endpoint = str(told.get("blobendpoint", "")).partition("://")[2].partition("/")[0]
    account = told.get("accountname") or endpoint.partition(".")[0]
    return name in (None, account) and host in (None, endpoint or f"{account}.blob.{told.get('endpointsuffix')}")


class Filesystem(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs tells no types.
    """adlfs's own, but for credentials of the environment: there some outrank arguments of another kind."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.__dict__["_unsaid"] = unsaid(options)
        super().__init__(*args, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, None if name in self._unsaid else value)
