"""What stores return: frozen values."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from remote_store._paths import RemotePath

UNKNOWN_TIME = dt.datetime.min.replace(tzinfo=dt.UTC)
"""The `modified_at` of a file whose time the filesystem does not tell."""

SignedMethod = Literal["GET", "PUT"]
"""What a signed URL is good for."""

METADATA_LIMIT = 2048
"""User metadata of one file, keys and values together [bytes of UTF-8]: S3's limit, the smallest there is."""


@runtime_checkable
class PathEntry(Protocol):
    """What a file and a folder have in common."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> RemotePath: ...


class _EqualByPath:
    """Two descriptions of the same kind are equal when they describe the same path."""

    path: RemotePath

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)


@dataclass(frozen=True)
class ContentDigest:
    """A whole-object checksum that the service vouches for.

    Args:
        algorithm: such as `"md5"` or `"crc32c"`; stripped and lower-cased.
        value: hexadecimal; stripped and lower-cased.

    Raises:
        ValueError: either is empty, or `value` is not hexadecimal.
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        for name in ("algorithm", "value"):
            object.__setattr__(self, name, getattr(self, name).strip().lower())
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
        if self.value.strip("0123456789abcdef"):
            raise ValueError(f"digest value must be hexadecimal, not {self.value!r}")


@dataclass(frozen=True, eq=False)
class FileInfo(_EqualByPath):
    """A file. Equal by path.

    Args:
        path: store-relative; can be fed straight back.
        name: last segment of the path.
        size: content length [bytes].
        modified_at: aware, UTC; `datetime.min` when the filesystem does not tell.
        digest: whole-object checksum, when the service vouches for one.
        etag: unquoted.
        content_type: media type.
        metadata: user metadata as the service kept it; always None in listings.
        extra: what else the filesystem tells.
    """

    path: RemotePath
    name: str
    size: int
    modified_at: dt.datetime
    digest: ContentDigest | None = None
    etag: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FolderEntry(_EqualByPath):
    """A folder in a listing. Equal by path."""

    path: RemotePath
    name: str


@dataclass(frozen=True, eq=False)
class FolderInfo(_EqualByPath):
    """A folder with totals over all files below it. Equal by path.

    Args:
        path: store-relative.
        file_count: files below it.
        total_size: their sizes added up [bytes].
        modified_at: the newest known time among them (aware, UTC), else None.
        extra: what else the filesystem tells.
    """

    path: RemotePath
    file_count: int
    total_size: int
    modified_at: dt.datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Last segment of the path; `"."` for the root."""
        return self.path.name


@dataclass(frozen=True)
class WriteResult:
    """What a write, or `head`, tells about a file.

    Args:
        path: store-relative.
        size: bytes written.
        source: `"native"` from the write's own response, `"basic"` from what was sent, `"sidecar"` from `head`.
        digest: whole-object checksum, when the service vouches for one.
        etag: unquoted.
        version_id: of a versioned container.
        last_modified: only where the reply carries it (aware, UTC).
        metadata: a write echoes what was passed, `head` tells what was kept.
    """

    path: RemotePath
    size: int
    source: Literal["native", "basic", "sidecar"] = "basic"
    digest: ContentDigest | None = None
    etag: str | None = None
    version_id: str | None = None
    last_modified: dt.datetime | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ResolutionPlan:
    """Where a key leads, worked out without I/O.

    Args:
        kind: name of the backend.
        backend: the same.
        key: store-relative.
        native_path: what the filesystem underneath calls it.
        details: more about the place; read-only, without secrets.
    """

    kind: str
    backend: str
    key: str
    native_path: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))

    def __reduce__(self) -> tuple[Any, ...]:
        return ResolutionPlan, (self.kind, self.backend, self.key, self.native_path, dict(self.details))


def place_in(details: Mapping[str, Any]) -> dict[str, Any]:
    """What of the details of a plan names the place: bucket or container, host, root."""
    return {name: details[name] for name in ("bucket", "container", "host", "root") if details.get(name)}


_new, _path_of = object.__new__, RemotePath.from_key
M = TypeVar("M", FileInfo, FolderEntry, FolderInfo, WriteResult)


def file_info(
    key: str,
    size: int,
    modified_at: dt.datetime = UNKNOWN_TIME,
    etag: str | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    digest: ContentDigest | None = None,
) -> FileInfo:
    """A `FileInfo` of a normalized key; listings make thousands, and a frozen `__init__` takes 3 times as long."""
    info = _new(FileInfo)
    fields = info.__dict__  # Filled one by one, which takes half as long as `update`.
    fields["path"] = _path_of(key)
    fields["name"] = key[key.rfind("/") + 1 :]
    fields["size"] = size
    fields["modified_at"] = modified_at
    fields["digest"] = digest
    fields["etag"] = etag
    fields["content_type"] = content_type
    fields["metadata"] = metadata
    fields["extra"] = {} if extra is None else extra
    return info


def write_result(
    key: str, size: int, native: bool, metadata: Mapping[str, str] | None, reply: Mapping[str, Any]
) -> WriteResult:
    """The `WriteResult` of a normalized key, with the fields that the write's reply carries."""
    result = _new(WriteResult)
    result.__dict__.update(_NOTHING_TOLD)
    result.__dict__.update(
        reply,
        path=RemotePath.from_key(key),
        size=size,
        source="native" if native else "basic",
        metadata=metadata,
    )
    return result


_NOTHING_TOLD = dict.fromkeys(("digest", "etag", "version_id", "last_modified"))


def at_path(item: M, key: str) -> M:
    """The same model under another path; `dataclasses.replace` takes 5 times as long."""
    moved = _new(type(item))
    moved.__dict__.update(item.__dict__, path=RemotePath.from_key(key))
    return moved


def folder_entry(key: str) -> FolderEntry:
    """The `FolderEntry` of a normalized key."""
    return FolderEntry(RemotePath.from_key(key), key[key.rfind("/") + 1 :])


def as_head(info: FileInfo) -> WriteResult:
    """What `head` tells of a file."""
    return WriteResult(
        info.path,
        info.size,
        "sidecar",
        digest=info.digest,
        etag=info.etag,
        version_id=info.extra.get("version_id"),
        last_modified=None if info.modified_at == UNKNOWN_TIME else info.modified_at,
        metadata=info.metadata,
    )


class FolderTotals:
    """Adds up the files of a folder."""

    def __init__(self) -> None:
        self.count = self.size = 0
        self.newest = UNKNOWN_TIME

    def add(self, file: FileInfo) -> None:
        self.count += 1
        self.size += file.size
        if file.modified_at > self.newest:
            self.newest = file.modified_at

    def info(self, key: str) -> FolderInfo:
        newest = None if self.newest == UNKNOWN_TIME else self.newest
        return FolderInfo(RemotePath.from_key(key), self.count, self.size, newest)


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    """User metadata in its one shape; `{}` is None.

    Raises:
        ValueError: not str to str, an empty key, a leading underscore, a key that is not ASCII, or more than
            2,048 bytes in all.
    """
    if metadata is None or metadata == {}:
        return None
    if not isinstance(metadata, Mapping):
        raise ValueError(f"metadata must be a mapping of str to str, not {type(metadata).__name__}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValueError("metadata keys and values must be str")
        if not key:
            raise ValueError("metadata keys must not be empty")
        if key.startswith("_"):
            raise ValueError(f"metadata key {key!r} must not start with an underscore")
        if not key.isascii():
            raise ValueError(f"metadata key {key!r} must be ASCII")
    size = sum(len(text.encode("utf-8", "surrogatepass")) for pair in metadata.items() for text in pair)
    if size > METADATA_LIMIT:
        raise ValueError(f"metadata takes {size} bytes; at most {METADATA_LIMIT} are allowed")
    return dict(metadata)


_WORD = r"[\w!#$%&'*+.^`|~-]+"
_PARAMETER = rf"[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|\"[\t !#-\[\]-~]*\")"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:{_PARAMETER})*", re.ASCII)
"""RFC 9110, section 8.3.1, without escapes in quoted values."""
CONTENT_TYPE_LIMIT = 255
"""The longest content type [characters]."""


def is_content_type(text: object) -> bool:
    """Whether a text is a media type such as `"text/csv; charset=utf-8"`."""
    return isinstance(text, str) and len(text) <= CONTENT_TYPE_LIMIT and _MEDIA_TYPE.fullmatch(text) is not None


def check_content_type(content_type: str) -> str:
    """A content type in its one shape.

    Raises:
        ValueError: no media type, or longer than 255 characters.
    """
    if not is_content_type(content_type):
        raise ValueError(
            f"content_type must be a media type such as 'text/csv; charset=utf-8', of at most {CONTENT_TYPE_LIMIT}"
            f" characters, not {content_type!r}"
        )
    return content_type


def check_signing(expires_in: int, method: str, longest: int) -> None:
    """Raise `ValueError` unless a URL can be signed for this method of HTTP, and for that long [s]."""
    if method not in ("GET", "PUT"):
        raise ValueError(f"method must be 'GET' or 'PUT', not {method!r}")
    if type(expires_in) is not int or not 1 <= expires_in <= longest:
        raise ValueError(f"expires_in must be whole seconds from 1 to {longest}, not {expires_in!r}")
