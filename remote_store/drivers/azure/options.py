"""Options of Azure Blob Storage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from remote_store.drivers.options import SECRET, RemoteOptions, check_whole

if TYPE_CHECKING:
    from remote_store._location import Location

LARGEST_PART = 4000 << 20
"""Put Block takes no larger one [bytes]: Blob Storage REST API, Put Block."""
_HOST = re.compile(r"([a-z0-9]+)\.(?:blob|dfs)\.(.+)")
_PUBLIC = "core.windows.net"
_ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,63}")  # Anything else would make another host of it.
_CONTAINER = re.compile(r"\$?[A-Za-z0-9][A-Za-z0-9_.-]*")
NO_LOGIN = "a URL of Azure takes no credentials: pass account_key=, sas_token= or credential="


@dataclass(frozen=True)
class AzureOptions(RemoteOptions):
    """What Azure Blob Storage takes.

    Args:
        container: its name; the container must exist.
        root: prefix that is the root.
        account_name: of the storage account; `AZURE_STORAGE_ACCOUNT_NAME` unless given, as for the other credentials.
        account_key: one of the account's keys.
        connection_string: account, key and address in one.
        sas_token: shared access signature, as the query of a URL.
        credential: of `azure.identity.aio`, or another that the SDK takes; `DefaultAzureCredential` unless any of
            these options is given.
        client_id: of a service principal.
        client_secret: of a service principal.
        tenant_id: of a service principal.
        anon: send requests without credentials, as public containers allow.
        account_host: host of the account in another cloud than the public one.
        hns: whether the account has a hierarchical namespace. Unless given, one question finds out, which the first
            call asks, or `ping`; until then `capabilities` are those of an account without, which lack `ATOMIC_MOVE`.
        part_size: content up to here is one request; longer streams go in blocks of this size [bytes].
        max_concurrency: blocks in flight; at most one more is held in memory.
        reject_write_under_file_ancestor: refuse to write below a blob, at the price of one request for each folder
            above, all at once.
    """

    PLACE: ClassVar = ("container", "root", "account_name")
    ALIASES: ClassVar = {"key": "account_key", "account": "account_name", "sas": "sas_token", "token": "sas_token"}
    container: str
    root: str = ""
    _: KW_ONLY
    account_name: str | None = None
    account_key: str | None = field(default=None, metadata=SECRET)
    connection_string: str | None = field(default=None, metadata=SECRET)
    sas_token: str | None = field(default=None, metadata=SECRET)
    credential: object | None = field(default=None, metadata=SECRET)
    client_id: str | None = None
    client_secret: str | None = field(default=None, metadata=SECRET)
    tenant_id: str | None = None
    anon: bool | None = None
    account_host: str | None = None
    hns: bool | None = None
    part_size: int = 8 << 20
    max_concurrency: int = 4
    reject_write_under_file_ancestor: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.container, str) or not self.container:
            raise ValueError("Azure needs a container: AzureBackend('my-container'), or az://my-container/prefix")
        if "/" in self.container:
            raise ValueError("a container is a name, such as 'raw'; a prefix in it is the argument `root`")
        if not _CONTAINER.fullmatch(self.container):
            raise ValueError("a container is a name of letters, digits and hyphens, and nothing else")
        if self.account_name is not None and not _ACCOUNT.fullmatch(str(self.account_name)):
            raise ValueError("account_name is a name of letters, digits and hyphens; a host is account_host=")
        for name in ("hns", "anon"):
            if not isinstance(getattr(self, name), bool | None):
                raise ValueError(f"{name} must be True, False or None")
        check_whole("part_size", self.part_size, 1, f" byte, not {self.part_size!r}")
        if self.part_size > LARGEST_PART:
            raise ValueError("part_size must be at most 4000 MiB, which is the most that Azure takes")
        check_whole("max_concurrency", self.max_concurrency, 1, f", not {self.max_concurrency!r}")
        super().__post_init__()

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any] | None:
        # Such as abfss://container@account.dfs.core.windows.net/path.
        container, _, host = url.host.rpartition("@")
        if ":" in container or (url.has_credentials and not container) or re.search(r"[?&]sig=", url.path):
            raise ValueError(NO_LOGIN)
        if not container:
            return {"container": url.host, "root": url.path}
        account: Mapping[str, str] = {"account_host": host}
        if found := _HOST.fullmatch(host):
            account = {"account_name": found[1]}
            if found[2] != _PUBLIC:  # Another cloud, whose host adlfs takes for blobs alone.
                account = {**account, "account_host": f"{found[1]}.blob.{found[2]}"}
        return {"container": container, "root": url.path, **account}
