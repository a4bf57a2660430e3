"""What is known of each kind of storage: one row a kind, which everything else reads. No SDK is needed.

URLs, backends by name, configurations and their schema, the command line, certification and the tables of the docs come
from these rows. Packages add rows of their own through entry points of the group `remote_store.drivers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from remote_store.drivers.azure.options import AzureOptions
from remote_store.drivers.gcs.options import GCSOptions
from remote_store.drivers.http.options import HTTPOptions
from remote_store.drivers.kind import Kind
from remote_store.drivers.local.options import LocalOptions
from remote_store.drivers.profiles import (
    AZURE,
    FTP,
    GCS,
    GENERIC,
    HTTP,
    LOCAL,
    MEMORY,
    OBSTORE,
    S3,
    SFTP,
    SMB,
    WEBDAV,
    Profile,
)
from remote_store.drivers.s3.options import S3Options
from remote_store.drivers.sftp.options import SFTPOptions

GROUP = "remote_store.drivers"
"""Entry points of this group add kinds: the name is that of the kind, the value its `Kind`."""
_PUBLISHING = "remote_store.drivers.publishing"

KINDS = (
    Kind(
        name="local",
        protocols=("file", "local"),
        profile=LOCAL,
        title="a local folder",
        options=LocalOptions,
        make="remote_store.drivers.local:make",
        over="remote_store.drivers.local:over",
        filesystem="fsspec.implementations.local:LocalFileSystem",
        hosted=False,
        readahead=256 << 10,
        near=True,
        placed=True,
    ),
    Kind(
        name="memory",
        protocols=("memory",),
        profile=MEMORY,
        make="remote_store.drivers.memory:make",
        over="remote_store.drivers.memory.driver:MemoryDriver",
        filesystem="fsspec.implementations.memory:MemoryFileSystem",
        hosted=False,
        runs="inline",
        readahead=256 << 10,
        near=True,
        private=True,
    ),
    Kind(
        name="s3",
        protocols=("s3", "s3a"),
        profile=S3,
        title="S3",
        options=S3Options,
        make="remote_store.drivers.s3:make",
        over="remote_store.drivers.s3:over",
        filesystem="s3fs.core:S3FileSystem",
        package="s3fs",
        extra="s3",
        container="bucket",
        runs="native",
        readahead=50 << 20,  # As much as s3fs.
        placed=True,
        loggers={
            "aiobotocore": ".credentials .regions .retries.adaptive .tokens .utils",
            "botocore": ".args .auth .awsrequest .client .compress .configprovider .credentials .discovery .endpoint "
            ".endpoint_provider .handlers .history .hooks .httpchecksum .httpsession .monitoring .paginate .parsers "
            ".regions .response .retries.adaptive .retries.special .retries.standard .retryhandler .session .tokens "
            ".useragent .utils .waiter",
            "s3fs": "",
        },
    ),
    Kind(
        name="azure",
        protocols=("az", "abfs", "abfss"),
        profile=AZURE,
        title="Azure",
        options=AzureOptions,
        make="remote_store.drivers.azure:make",
        over="remote_store.drivers.azure:over",
        filesystem="adlfs.spec:AzureBlobFileSystem",
        package="adlfs",
        extra="azure",
        container="container",
        runs="native",
        placed=True,
        loggers={
            "adlfs": ".spec",
            "azure.core": ".async_paging .exceptions .pipeline._base .pipeline.policies._base "
            ".pipeline.policies._redirect .pipeline.policies._retry_async .pipeline.policies._universal "
            ".pipeline.policies.http_logging_policy .pipeline.transport._aiohttp .pipeline.transport._requests_basic",
            **dict.fromkeys(
                ("azure.storage.blob", "azure.storage.filedatalake"),
                "._shared.authentication ._shared.base_client ._shared.base_client_async ._shared.policies "
                "._shared.policies_async ._shared.request_handlers ._shared.response_handlers",
            ),
            "azure.identity": "._internal.aad_client_base ._internal.decorators ._internal.get_token_mixin "
            "._internal.utils ._credentials.chained ._credentials.default ._credentials.environment "
            "._credentials.managed_identity .aio._internal.decorators .aio._internal.get_token_mixin "
            ".aio._credentials.chained .aio._credentials.default .aio._credentials.environment "
            ".aio._credentials.managed_identity",
            "msal": ".application .authority .managed_identity .oauth2cli.assertion .oauth2cli.authcode "
            ".oauth2cli.oauth2 .oauth2cli.oidc .token_cache",
        },
    ),
    Kind(
        name="gcs",
        protocols=("gs", "gcs"),
        profile=GCS,
        title="Google Cloud Storage",
        options=GCSOptions,
        make="remote_store.drivers.gcs:make",
        over="remote_store.drivers.gcs:over",
        filesystem="gcsfs.core:GCSFileSystem",
        subclasses=("gcsfs.extended_gcsfs:ExtendedGcsFileSystem",),
        package="gcsfs",
        extra="gcs",
        container="bucket",
        runs="native",
        placed=True,
        loggers={
            "gcsfs": ".credentials",
            "google": ".auth .auth.transport .auth.transport.requests .auth._default .auth.compute_engine._metadata "
            ".oauth2 .oauth2._client",
        },
    ),
    Kind(
        name="http",
        protocols=("http", "https"),
        profile=HTTP,
        title="HTTP",
        options=HTTPOptions,
        make="remote_store.drivers.http:make",
        over="remote_store.drivers.http:over",
        filesystem="fsspec.implementations.http:HTTPFileSystem",
        package="aiohttp",
        extra="http",
        runs="native",
        placed=True,
        quoted=True,
    ),
    Kind(
        name="sftp",
        protocols=("sftp", "ssh"),
        profile=SFTP,
        title="SFTP",
        options=SFTPOptions,
        make="remote_store.drivers.sftp:make",
        over="remote_store.drivers.sftp:over",
        filesystem="sshfs.spec:SSHFileSystem",
        subclasses=("remote_store.drivers.sftp.filesystem:SFTPFileSystem",),
        package="sshfs",
        extra="sftp",
        runs="native",
        placed=True,
        loggers={"asyncssh": ".sftp"},
    ),
    Kind(
        name="obstore",
        protocols=(),
        profile=OBSTORE,
        over="remote_store.drivers.obstore:over",
        filesystem="obstore.fsspec:FsspecStore",
        subclasses=tuple(
            f"obstore.fsspec:FsspecStore_{protocol}"
            for protocol in ["abfs", "abfss", "adl", "az", "azure", "file", "gcs", "gs", "memory", "s3", "s3a"]
        ),
        runs="native",
    ),
    Kind("ftp", ("ftp",), FTP, over=f"{_PUBLISHING}:over_ftp", filesystem="fsspec.implementations.ftp:FTPFileSystem"),
    Kind(
        name="webdav",
        protocols=("webdav", "dav"),
        profile=WEBDAV,
        over=f"{_PUBLISHING}:over_webdav",
        filesystem="webdav4.fsspec:WebdavFileSystem",
        package="webdav4",
        extra="webdav",
        loggers={"httpx": "", "httpcore": ".connection .http11 .http2 .proxy"},
    ),
    Kind(
        name="smb",
        protocols=("smb",),
        profile=SMB,
        over=f"{_PUBLISHING}:over_smb",
        filesystem="fsspec.implementations.smb:SMBFileSystem",
        package="smbprotocol",
        extra="smb",
    ),
    # The generic driver serves the next ones.
    Kind("obs", ("obs",), GENERIC, container="bucket"),
    Kind("oss", ("oss",), GENERIC, container="bucket"),
)
"""The rows of this package."""
OTHER = Kind("any other fsspec", (), GENERIC)
"""What holds of a filesystem that is of none of these kinds."""


def by_protocol(protocol: str) -> Kind:
    """The kind of storage that a protocol leads to; for one that no row knows, what holds of any other.

    Raises:
        ImportError: the package that adds it does not fit this version.
    """
    return _found(protocol, lambda kind: protocol in kind.protocols)


def by_name(name: str) -> Kind:
    """The kind of a backend's name; otherwise as `by_protocol`."""
    return _found(name, lambda kind: kind.name == name)


def _found(what: str, fits: Callable[[Kind], bool]) -> Kind:
    ours = next(filter(fits, KINDS), None)
    if ours and ours.over:
        return ours
    added = _added().get(what)
    if isinstance(added, str):
        raise ImportError(added)
    rows = (row for row in _added().values() if isinstance(row, Kind) and fits(row))
    return next(rows, ours or replace(OTHER, name=what))


def known() -> list[Kind]:
    """All kinds, those of other packages included, which may bring drivers for ours that have none."""
    rows = {row.name: row for row in (*KINDS, *_added().values()) if isinstance(row, Kind)}
    return list((rows | {row.name: row for row in KINDS if row.over}).values())


def loaded() -> Iterable[Kind]:
    """The kinds that can be in use: those of other packages only if something asked for them."""
    return known() if _added.cache_info().currsize else KINDS


def profiles(rows: Iterable[Kind]) -> dict[str, Profile]:
    """Profile of each kind that has a driver of its own, by name, and that of all others."""
    return {row.name: row.profile for row in (*rows, OTHER) if row.over or row.make or row is OTHER}


def public_names() -> frozenset[str]:
    """Names of options that tell where a storage is and how it works, and nothing that gives access, for any kind."""
    options = [row.options for row in (*known(), OTHER)]
    public = frozenset[str]().union(*(one.public() for one in options))
    return public.difference(*(one.marked("secret") for one in options))


@cache
def _added() -> dict[str, Kind | str]:
    """What entry points add, by their names: a row, or why there is none."""
    from importlib.metadata import entry_points  # Ten milliseconds that most programs never need.

    return {entry.name: _row(entry) for entry in entry_points(group=GROUP)}


def _row(entry: Any) -> Kind | str:
    where = f"the entry point {entry.name!r} of {GROUP} ({entry.value})"
    try:
        kind = entry.load()
        if isinstance(kind, Kind):
            _check_row(kind)
            return kind
    except (Exception, SystemExit) as error:  # Whatever is wrong with one package, the others work.
        return f"{where} cannot be loaded: {type(error).__name__}: {error}"
    given = kind.__name__ if hasattr(kind, "__name__") else type(kind).__name__
    return f"{where} gives {given}, which is no Kind: name it in the field `over` of a remote_store.drivers.kind.Kind"


def _check_row(kind: Kind) -> None:
    """Raise `TypeError` for a row that would harm others, since every question about any kind reads all rows."""
    texts = (kind.name, *kind.loggers, *kind.loggers.values())
    if not isinstance(kind.protocols, tuple) or not all(isinstance(one, str) for one in (*kind.protocols, *texts)):
        raise TypeError("name, protocols (a tuple) and loggers of a Kind must be texts")
    if not kind.name or not isinstance(kind.profile, Profile):
        raise TypeError("a Kind needs a name, and a Profile")
