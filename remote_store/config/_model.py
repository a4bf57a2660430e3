"""The form of a configuration, checked as it is loaded."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)
from pydantic import ValidatorFunctionWrapHandler as Handler

from remote_store.config import _checks as checks
from remote_store.config._errors import ConfigError, Problem, error
from remote_store.config._kinds import ALIASES, KINDS, own_options
from remote_store.config._values import Url, each, filled, hidden, names_in, plain, printable

Placeholder = Annotated[str, Field(pattern=r"\$\{\w+\}")]
Options = Annotated[dict[str, Any], Field(default_factory=dict, validate_default=True)]


class _Model(BaseModel):
    """Forbids what it does not know, prints no input, and raises `ConfigError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
    NAMED: ClassVar[int]
    """How many parts of the place that pydantic gives to an error name something of ours."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as invalid:
            problems = self._problems(invalid)
        else:
            return
        # Outside of the `except`: no traceback may lead to an error that knows the input.
        raise ConfigError(*problems)

    @classmethod
    def _problems(cls, invalid: ValidationError) -> list[Problem]:
        found: dict[str, list[Problem]] = {}
        for item in invalid.errors(include_url=False, include_input=False):
            path = [str(part) for part in item["loc"][: cls.NAMED]]
            cause = item.get("ctx", {}).get("error")
            if isinstance(cause, ConfigError):
                problems = [problem.below(*path) for problem in cause.problems]
            else:
                what = cls._unknown(path[0]) if item["type"] == "extra_forbidden" else str(cause or item["msg"])
                problems = [Problem(".".join(path), what)]
            # Of a field that may be several things, the first is what was meant.
            found.setdefault(".".join(path), problems)
        return [problem for problems in found.values() for problem in problems]

    @classmethod
    def _unknown(cls, name: str) -> str:
        if cls.NAMED == 1 and any(name in own_options(kind) for kind in KINDS):
            return "unknown field; an option: move it into `options`"
        close = get_close_matches(name, cls.model_fields, 1)
        return "unknown field; " + (
            f"did you mean `{close[0]}`?" if close else f"known are {', '.join(cls.model_fields)}"
        )


class StoreConfig(_Model):
    """One store: where it is, by `backend` with `options` or by `url`, and what rules its requests.

    Any text may hold `${NAME}`, which stands for an environment variable when the store is made; `$${` is a plain
    `${`.
    """

    NAMED = 1
    LATE: ClassVar[bool] = True
    """Whether placeholders are still to be filled."""

    backend: str | None = None
    """Kind of backend: local, memory (a tree of its own), s3, or any protocol of fsspec. Give this or `url`."""
    url: Annotated[Url | None, Field(validate_default=True)] = None
    """Such as `s3://bucket/prefix`, `file:///data`, `memory://x`, or a path. Give this or `backend`."""
    root: str = ""
    """Folder below that is the root of the store."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Placeholder | None = None
    """Deadline of one call of the SDK with its retries, and of each chunk of a stream [s]."""
    retries: Annotated[int, Field(ge=0)] | Placeholder | None = None
    """How often the SDK tries a failed request again."""
    reject_write_under_file_ancestor: bool | Placeholder | None = None
    """Whether to look for files above before a write, where the service does not."""
    storage_options: Options
    """Arguments of the fsspec filesystem, passed on unchecked."""
    options: Options
    """Arguments of the backend, checked; each is taken by its class or by its fsspec filesystem."""

    @field_validator("backend", "root", *checks.POLICIES, mode="wrap")
    @classmethod
    def _check_scalar(cls, value: Any, handler: Handler, info: ValidationInfo) -> Any:
        if cls.LATE and isinstance(value, str) and names_in(value):
            return value
        value = handler(value)
        if value is not None and (what := checks.scalar_problem(str(info.field_name), value, cls._kind(info.data))):
            raise error(what)
        return value

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: Url | None, info: ValidationInfo) -> Url | None:
        if "backend" in info.data and (info.data["backend"] is None) == (url is None):
            raise error("give `url` or `backend`, not both" if url else "missing; give `url` or `backend`")
        if url is not None:
            names_in(plain(url))
            if what := checks.url_problem(plain(url), cls.LATE):
                raise error(what)
        return url

    @field_validator("storage_options", "options")
    @classmethod
    def _check_options(cls, value: dict[str, Any], info: ValidationInfo) -> Any:
        options, kind, problems = plain(value), cls._kind(info.data), []
        if cls.LATE:
            each(options, lambda where, leaf: problems.extend(_malformed(where, leaf)))
        if kind and info.field_name == "options":
            fields = plain(info.data)
            options = checks.OptionCheck(fields["url"] or "", cls.LATE, fields, problems).run(kind, options)
        elif options and kind in KINDS and not KINDS[kind].protocol:
            problems.append(Problem("", f"backend {kind!r} has no fsspec filesystem of its own; use `options`"))
        if problems:
            raise ConfigError(*problems)
        return hidden(options)

    @field_serializer("storage_options", "options", when_used="json")
    def _print_options(self, options: dict[str, Any]) -> Any:
        return printable(options)

    @classmethod
    def _kind(cls, fields: Mapping[str, Any]) -> str:
        if not {"backend", "url"} <= fields.keys():
            return ""
        backend, url = fields["backend"] or "", plain(fields["url"]) or ""
        obscure = cls.LATE and "${" in backend
        protocol: str = checks.protocol_of(url, cls.LATE) if url else "" if obscure else backend
        return ALIASES.get(protocol, protocol)

    @property
    def kind(self) -> str:
        """The kind of backend; `""` while a placeholder hides it."""
        return self._kind(dict(self))

    def filled(self) -> Filled:
        """This store with the environment in its placeholders.

        Raises:
            ConfigError: a variable is not set, or its value does not fit.
        """
        problems: list[Problem] = []

        def fill(where: str, leaf: Any) -> Any:
            if not isinstance(leaf, str):
                return leaf
            unset = [name for name in names_in(leaf) if name not in os.environ]
            problems.extend(Problem(where, f"the environment variable {name} is not set") for name in unset)
            return leaf if unset else filled(leaf)

        fields = each({name: plain(getattr(self, name)) for name in sorted(self.model_fields_set)}, fill)
        if problems:
            raise ConfigError(*problems)
        return Filled(**fields)


class Filled(StoreConfig):
    """A store whose placeholders are filled."""

    LATE = False


def _malformed(where: str, leaf: Any) -> list[Problem]:
    try:
        names_in(leaf if isinstance(leaf, str) else "")
    except ValueError as malformed:
        return [Problem(where, str(malformed))]
    return []


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

    NAMED = 2

    stores: dict[Annotated[str, Field(min_length=1)], StoreConfig]
    """The stores by name."""
    _file: str = PrivateAttr("")

    @property
    def file(self) -> str:
        """Absolute path of the file this came from; `""` when it came from code."""
        return self._file

    @classmethod
    def load(cls, source: Config | Mapping[str, Any] | str | os.PathLike[str]) -> Config:
        """A configuration from a TOML file, a dict or an equal one.

        Args:
            source: path, dict with a table `stores`, or `Config`.

        Raises:
            ConfigError: the file is missing, cannot be read or is no TOML, or something in it is wrong.
        """
        if isinstance(source, Config):
            return source
        if isinstance(source, Mapping):
            return cls(**{str(name): value for name, value in source.items()})
        if not isinstance(source, (str, os.PathLike)):
            raise TypeError(f"a configuration is a path, a dict or a Config, not {type(source).__name__}")
        file = os.path.abspath(os.path.expanduser(os.fspath(source)))
        tables = _read(file)
        try:
            config = cls(**tables)
        except ConfigError as wrong:
            raise _in_file(file, wrong.problems) from None
        config._file = file
        return config

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """A JSON schema of configuration files, for editors."""
        from remote_store.config._schema import schema

        return schema(cls)

    def filled(self, name: str) -> Filled:
        """A store with the environment in its placeholders.

        Raises:
            ConfigError: no such store, a variable is not set, or its value does not fit.
        """
        if name not in self.stores:
            known = ", ".join(sorted(self.stores)) or "none"
            raise _in_file(self._file, [Problem("", f"no store {name!r}; known are {known}")])
        try:
            return self.stores[name].filled()
        except ConfigError as wrong:
            raise self.named(name, wrong) from None

    def named(self, name: str, wrong: ConfigError) -> ConfigError:
        """An error, with the file and the name of the store that it is about."""
        return _in_file(self._file, [problem.below("stores", name) for problem in wrong.problems])


def _in_file(file: str, problems: Iterable[Problem]) -> ConfigError:
    return ConfigError(*(Problem(": ".join(filter(None, (file, one.where))), one.what) for one in problems))


def _read(file: str) -> dict[str, Any]:
    try:
        with open(file, "rb") as source:
            return tomllib.load(source)
    except FileNotFoundError:
        what = "no such file"
    except OSError as failed:
        what = f"cannot be read: {failed.strerror}"
    except UnicodeDecodeError as failed:
        what = f"is not UTF-8 (at line {failed.object[: failed.start].count(10) + 1})"
    except tomllib.TOMLDecodeError as failed:
        what = f"is not TOML: {failed}"
    # Outside of the `except`: what could not be parsed may hold secrets.
    raise error(what, file)
