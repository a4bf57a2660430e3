"""The form of a configuration, checked as it is loaded."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

import pydantic
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from remote_store._errors import InvalidPath
from remote_store._hints import nearest
from remote_store._location import Location
from remote_store._paths import key_of
from remote_store.config._options import POLICIES, TEXTS, Float, Int, Placeholder, add_kinds, check, named_kinds
from remote_store.config._values import ConfigError, each, filled, hidden, is_malformed, is_unsafe, plain
from remote_store.drivers.kind import Kind
from remote_store.drivers.kinds import by_name, by_protocol

_PLAIN = {
    "missing": "missing",
    "string_pattern_mismatch": "a name has no `/` and no `\\`, and is not empty or of dots alone",
}
"""Kind of an error of pydantic → what to say instead."""


class _Model(BaseModel):
    """Forbids what it does not know, prints no input, and raises `ConfigError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
    ELSE: ClassVar[str]
    """What to do with a field that is like none of ours."""
    DEPTH: ClassVar[int]
    """How many parts of the place that pydantic gives to an error name something of ours."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as invalid:
            error = self._told(invalid)
        else:
            return
        # Outside of the `except`: no traceback may lead to an error that knows the input.
        raise error

    @classmethod
    def _told(cls, invalid: pydantic.ValidationError) -> ConfigError:
        found: dict[str, ConfigError] = {}
        for item in invalid.errors(include_url=False, include_input=False):
            where = ".".join(str(part) for part in item["loc"][: cls.DEPTH])
            what = _PLAIN.get(item["type"], item["msg"])
            if item["type"] == "extra_forbidden":
                close = nearest(where, cls.model_fields)
                what = f"unknown field; did you mean `{close}`?" if close else f"unknown field; {cls.ELSE}"
            error = item.get("ctx", {}).get("error")
            if not isinstance(error, ConfigError):
                error = ConfigError(("", what))
            # Of a field that may be several things, the first is what was meant.
            found.setdefault(where, error.within(where))
        return ConfigError(*(problem for error in found.values() for problem in error.problems))


class StoreConfig(_Model):
    """One store: where it is, by `backend` with `options` or by `url`, and what rules its requests.

    Any text may hold `${NAME}`, which stands for an environment variable when the store is made, or `${NAME:-default}`,
    where it may be unset or empty; `$${` is a plain `${`.
    """

    model_config = ConfigDict(json_schema_extra=add_kinds)
    ELSE = "remove it, or move it into `options` if the backend takes it"
    DEPTH = 1
    LATE: ClassVar[bool] = True
    """Whether placeholders are still to be filled."""

    backend: str | None = None
    """Kind of backend, as the table that `remote-store matrix` shows names it. Give this or `url`."""
    url: str | None = None
    """Any URL of fsspec, such as `s3://bucket/prefix`, `memory://x`, or a path. Give this or `backend`."""
    root: str = ""
    """Folder below that is the root of the store."""
    timeout: Annotated[Float, Field(gt=0, allow_inf_nan=False)] | Placeholder | None = None
    """Deadline of one call of the SDK with its retries, and of each chunk of a stream [s]."""
    retries: Annotated[Int, Field(ge=0)] | Placeholder | None = None
    """How often the SDK tries a failed request again."""
    reject_write_under_file_ancestor: bool | Placeholder | None = None
    """Whether to look for files above before a write, where the service does not."""
    ca_bundle: str | None = None
    """File of the certificates to trust instead of those that the SDK brings (PEM)."""
    proxy: str | SecretStr | None = None
    """URL of the proxy through which all requests go."""
    options: dict[str, Any] = {}
    """Arguments of the backend, checked; each is taken by its class or by its fsspec filesystem."""
    storage_options: dict[str, Any] = {}
    """Arguments of the fsspec filesystem that its signature does not show, passed on unchecked."""

    @pydantic.field_validator("options", "storage_options", "proxy")
    @classmethod
    def _hide(cls, value: Any, field: pydantic.ValidationInfo) -> Any:
        return hidden({field.field_name: value})[field.field_name]

    @pydantic.field_serializer("options", "storage_options", "proxy", when_used="json")
    def _mask(self, value: Any) -> Any:
        return each(value, lambda _, leaf: leaf if isinstance(leaf, (int, float, type(None))) else str(leaf))

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if problems := [*self._misplaced()] or [*self._unfit()]:
            raise ConfigError(*problems)
        return self

    def _misplaced(self) -> Iterator[tuple[str, str]]:
        places: list[str] = []
        each(plain(dict(self)), lambda where, leaf: places.append(where) if is_malformed(leaf) else None)
        for where in places if self.LATE else ():
            yield where, "malformed placeholder: expected ${NAME} or ${NAME:-default}; a literal ${ is written $${"
        url = self.url or ""
        if (self.url is None) == (self.backend is None):
            yield "url", "missing; give `url` or `backend`" if self.url is None else "give `url` or `backend`, not both"
        elif is_unsafe(url):
            yield "url", "takes no credentials and no query: give `options`, or leave it to the SDK's own chain"
        elif self.kind is None:
            yield "url", "malformed; expected 'protocol://path', or a path on this machine"
        elif self.url is None and self.kind not in ("", *named_kinds()):
            known = ", ".join(named_kinds())
            yield "backend", f"unknown; known are {known}; for any other protocol of fsspec, give `url`"
        elif self.url is not None and self.row.make and self.row.container and not Location.parse(url).host:
            yield "url", f"no {self.row.container}; expected {self.row.protocols[0]}://{self.row.container}/prefix"

    def _unfit(self) -> Iterator[tuple[str, str]]:
        try:
            key_of(self.root)
        except InvalidPath as error:
            yield "root", error.message
        for name in POLICIES:
            value = getattr(self, name)
            if value is not None and self.kind and name not in self.row.options.names():
                yield name, f"backend {self.kind!r} has no way to honour it; remove it"
            elif isinstance(value, str) and name not in TEXTS and not self.LATE:
                yield name, "expected a value, not a placeholder once more"
        if self.storage_options and self.row.make and not self.row.takes_rest:
            yield "storage_options", f"backend {self.kind!r} has no fsspec filesystem of its own; use `options`"
        for name, what in self.checked_options()[1]:
            yield f"options.{name}", what

    @property
    def kind(self) -> str | None:
        """A backend with a class of its own, or a protocol; `""` while a placeholder hides it, None if malformed."""
        if self.LATE and "${" in (self.backend or (self.url or "").partition("://")[0]):
            return ""
        if self.backend is not None:
            return self.backend
        try:
            protocol = Location.parse(self.url or "").protocol
        except ValueError:
            return None
        row = by_protocol(protocol)
        return row.name if row.make else protocol

    @property
    def row(self) -> Kind:
        """What is known of its kind."""
        return by_name(self.kind or "")

    @property
    def native(self) -> bool:
        """Whether an asynchronous twin of the backend works without threads, and shares nothing with it."""
        return self.row.make != "" and self.row.runs == "native"

    def checked_options(self) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Options as their types want them, and what is wrong with them."""
        fields = plain(dict(self))
        if not self.kind:
            return fields["options"], []
        return check(self.kind, fields["options"], fields["storage_options"], self.url or "", self.LATE)

    def filled(self) -> StoreConfig:
        """This store with the environment in its placeholders; raises `ConfigError` where it is not set or wrong."""
        unset: list[tuple[str, str]] = []

        def fill(where: str, leaf: Any) -> Any:
            try:
                return filled(leaf) if isinstance(leaf, str) else leaf
            except KeyError as error:
                unset.append((where, f"the environment variable {error.args[0]} is not set"))

        fields = each(plain(dict(self)), fill)
        if unset:
            raise ConfigError(*unset)
        return _Filled(**fields)


class _Filled(StoreConfig):
    LATE = False


class Config(_Model):
    """Stores by name.

    Args:
        stores: name → `StoreConfig`, or a dict of its fields.

    Raises:
        ConfigError: all that is wrong, one problem per line. Nothing is contacted to find out.

    Example:
        >>> config = Config(stores={"raw": {"url": "s3://lake/raw", "timeout": 20}})
        >>> config.stores["raw"].timeout
        20.0
    """

    ELSE = "remove it, or move it below `stores` if it is a store, as in [stores.raw]"
    DEPTH = 2
    stores: dict[Annotated[str, Field(pattern=r"^[^/\\]*[^/\\.][^/\\]*$")], StoreConfig]
    """The stores by name, which is a segment of a path: no `/` or `\\`, and not of dots alone."""
    _file: str = pydantic.PrivateAttr("")

    @classmethod
    def load(cls, source: Config | Mapping[str, Any] | str | os.PathLike[str]) -> Config:
        """A configuration from the path of a TOML file, or from a dict with a table `stores`.

        Raises:
            ConfigError: the file cannot be read or is no TOML, or something in it is wrong.
        """
        if isinstance(source, Config):
            return source
        if isinstance(source, Mapping):
            return cls(**source)
        file = os.path.abspath(os.path.expanduser(source))
        try:
            with open(file, "rb") as toml:
                config = cls(**tomllib.load(toml))
        except ConfigError as wrong:
            error = wrong
        except (OSError, ValueError) as failed:
            error = ConfigError(("", f"cannot be read: {getattr(failed, 'strerror', None) or failed}"))
        except RecursionError:
            error = ConfigError(("", "cannot be read: too many tables and lists within one another"))
        else:
            config._file = file
            return config
        # Outside of the `except`: what could not be parsed may hold secrets.
        raise error.within(file, ": ")
