"""Backends by name: their options, and how they are made, come from the rows of `drivers.kinds`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from inspect import Parameter, cleandoc, signature
from typing import Any, ClassVar, Concatenate, ParamSpec, Self

from remote_store import _fork
from remote_store._backend import Backend
from remote_store._capabilities import CapabilitySet
from remote_store.backends._engine import EngineBackend
from remote_store.backends._fsspec import DriverBackend
from remote_store.drivers.azure.options import AzureOptions
from remote_store.drivers.base import Driver
from remote_store.drivers.gcs.options import GCSOptions
from remote_store.drivers.http.options import HTTPOptions
from remote_store.drivers.kind import Kind
from remote_store.drivers.kinds import by_name
from remote_store.drivers.local.options import LocalOptions
from remote_store.drivers.options import Options
from remote_store.drivers.s3.options import S3Options
from remote_store.drivers.sftp.options import SFTPOptions

P = ParamSpec("P")


def takes(options: Callable[P, Options]) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Give an `__init__` the signature of a dataclass of options, for type checkers and for `help`."""

    def signed(init: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *signature(options).parameters.values()]
        init.__signature__ = signature(init).replace(parameters=parameters)  # type: ignore[attr-defined]
        return init

    return signed


class Named:
    """A class of backends that states its kind, and takes what is known of that from its row."""

    kind: str
    """Name of the row."""
    CAPABILITIES: ClassVar[CapabilitySet]
    """Upper bound of what an instance can do."""
    CLASSES: ClassVar[dict[tuple[str, bool], type[Any]]] = {}
    """The class of a kind, by its name, and by whether it is asynchronous."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "kind" in vars(cls):
            row = by_name(cls.kind)
            cls.CLASSES[cls.kind, cls.is_async] = cls  # type: ignore[attr-defined]
            cls.CAPABILITIES = row.profile.capabilities
            cls.close_is_terminal = row.profile.close_is_terminal  # type: ignore[attr-defined]
            if cls.__doc__ and (docs := row.options.docs()):
                lines = "\n".join(f"    {name}: {text}" for name, text in docs.items())
                cls.__doc__ = f"{cleandoc(cls.__doc__)}\n\nArgs:\n{lines}\n"


class MadeOfOptions(Named, EngineBackend):
    """A backend that makes its driver of options.

    Args:
        kind: name of the row; a class that states it takes the options alone, as they are declared there.
        options: what it takes.
    """

    def __init__(self, kind: str, /, **options: Any) -> None:
        self.kind = kind
        self._set_up((), options)
        self._recipe = (kind,), self._recipe[1]

    def _set_up(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Begin with arguments as a user gave them; what is wrong with them is told now."""
        self._recipe = (), by_name(self.kind).options.bound(args, options)
        if not self._driver.survives_fork:
            _fork.watch(self)

    def _make_driver(self) -> Driver:
        return by_name(self.kind).driver(self._recipe[1], self.is_async)

    def public_options(self) -> dict[str, Any] | None:
        """The options that make an equal backend of the kind anywhere; None where one gives access, or the backend is
        of a class of somebody else's, or has files of its own."""
        row, (_, options) = by_name(self.kind), self._recipe
        cls = self.CLASSES.get((self.kind, self.is_async), type(self))
        told = type(self) is cls and not row.private and options.keys() <= row.options.public()
        return dict(options) if told else None

    def __reduce__(self) -> tuple[Any, ...]:
        if by_name(self.kind).private:
            raise pickle.PicklingError(
                f"a {self.kind} backend lives in one process and cannot be pickled; use a file:// or other URL to"
                " share files"
            )
        return super().__reduce__()

    def with_options(self, **options: Any) -> Self:
        """A backend like this one with some other options."""
        args, given = self._recipe
        return type(self)(*args, **{**given, **options})


class NamedBackend(MadeOfOptions, DriverBackend):
    """A backend by name; itself that of a kind without a class of its own, as other packages add them."""


def backend_of(kind: Kind, options: Mapping[str, Any]) -> Backend:
    """The backend of a kind, made of options."""
    cls = Named.CLASSES.get((kind.name, False))
    return cls(**options) if cls else NamedBackend(kind.name, **options)


class LocalBackend(NamedBackend):
    """Files in a folder of this machine (POSIX).

    Every write goes through a temporary file in the target folder and is published in one step, so nothing is lost
    or half written; nothing, links included, leads out of the root. User metadata is kept in extended attributes
    where the file system has them. Names that begin with `.~rs-` are reserved for temporary files.

    Raises:
        PermissionDenied: the root cannot be created.
        InvalidPath: the root is not a folder.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import LocalBackend
        >>> store = Store(LocalBackend("data"))  # doctest: +SKIP
    """

    kind = "local"

    @takes(LocalOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class MemoryBackend(NamedBackend):
    """Files in this process's memory, in a tree of its own; gone with the backend.

    `Store.from_url("memory://…")` gives the tree that the whole process, fsspec included, shares.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import MemoryBackend
        >>> store = Store(MemoryBackend())
    """

    kind = "memory"

    def __init__(self) -> None:
        self._set_up((), {})


class AzureBackend(NamedBackend):
    """Blobs in a container of Azure Blob Storage. Needs the extra `azure`.

    Credentials come from the arguments, from the environment variables that adlfs reads, or from where Azure's
    libraries find them. Further arguments go to `adlfs.AzureBlobFileSystem`. Whether the account has a hierarchical
    namespace, the first call finds out, or `check_health`, unless `hns` says it; until then `capabilities` lack
    `ATOMIC_MOVE`, which such an account has.

    Raises:
        ImportError: adlfs is not installed.
        ValueError: no container, a part size that Azure does not take, or an option that nothing knows.

    Example:
        >>> from remote_store.backends import AzureBackend
        >>> store = Store(AzureBackend("raw", account_name="lake"))  # doctest: +SKIP
    """

    kind = "azure"

    @takes(AzureOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class GCSBackend(NamedBackend):
    """Objects in a bucket of Google Cloud Storage. Needs the extra `gcs`.

    Credentials come from `token`, or from where Google's libraries find them (environment, `gcloud`, metadata server).
    An etag is the generation of an object. Further arguments go to `gcsfs.GCSFileSystem`.

    Raises:
        ImportError: gcsfs is not installed.
        ValueError: no bucket, a part size that is no multiple of 256 KiB, or an option that nothing knows.

    Example:
        >>> from remote_store.backends import GCSBackend
        >>> store = Store(GCSBackend("my-bucket", token="service-account.json"))  # doctest: +SKIP
    """

    kind = "gcs"

    @takes(GCSOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class HTTPBackend(NamedBackend):
    """Files of a web server, below the URL of a folder; nothing can be written. Needs the extra `http`.

    Each key is one part of a URL, whatever characters it has. Credentials and headers go to the server of `base_url`
    alone, wherever it redirects to.

    Raises:
        ImportError: aiohttp is not installed.
        ValueError: no URL of HTTP, two ways to log in, or an option that nothing knows.

    Example:
        >>> from remote_store.backends import HTTPBackend
        >>> store = Store(HTTPBackend("https://data.example.org/2026"))  # doctest: +SKIP
    """

    kind = "http"

    @takes(HTTPOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class S3Backend(NamedBackend):
    """Objects in a bucket of Amazon S3, or of a service that speaks its protocol. Needs the extra `s3`.

    Credentials come from the arguments, or from where the AWS SDK finds them (environment, profile, role). Further
    arguments go to `s3fs.S3FileSystem`.

    Raises:
        ImportError: s3fs is not installed.
        ValueError: no bucket, a part size under 5 MiB (S3's minimum), or an option that nothing knows.

    Example:
        >>> from remote_store.backends import S3Backend
        >>> store = Store(S3Backend("my-bucket", region_name="eu-central-1"))  # doctest: +SKIP
    """

    kind = "s3"

    @takes(S3Options)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class SFTPBackend(NamedBackend):
    """Files in a folder of an SFTP server. Needs the extra `sftp`.

    It connects when it is used, and again when the connection was lost. The server's host key must be known. Every
    write goes through a temporary file in the target folder and is published in one step. Names that begin with `.~rs-`
    are reserved for temporary files.

    Raises:
        ImportError: sshfs is not installed.
        ValueError: no host, a key file that is missing, or an option that nothing knows.

    Example:
        >>> from remote_store.backends import SFTPBackend
        >>> store = Store(SFTPBackend("files.example.com", "/data", username="ana"))  # doctest: +SKIP
    """

    kind = "sftp"

    @takes(SFTPOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)
