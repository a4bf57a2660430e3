"""What one kind of storage is, as a row of data."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from remote_store._hints import arguments, install, nearest
from remote_store.drivers.options import Options
from remote_store.drivers.profiles import Profile

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver

OURS = frozenset({"args", "asynchronous", "kwargs", "loop", "self", "skip_instance_cache", "use_listings_cache"})
"""Arguments of filesystems that are no options."""


@dataclass(frozen=True)
class Kind:
    """One kind of storage.

    Args:
        name: of its backends, of `backend =` in a configuration, of its column in tables.
        protocols: of its URLs.
        profile: what its driver can do, and where it deviates from the contract.
        title: what messages call it; the name unless given.
        options: a subclass of `Options`: what its backend takes.
        make: `"module:function"` of `(options, asynchronous) -> Driver`. Kinds without it have no backend by name;
            fsspec opens their URLs.
        over: `"module:function"` of `(fs, root, name) -> Driver | None`: the driver over a filesystem of fsspec that
            others made; None leaves it to the generic driver.
        filesystem: `"module:Class"`, exactly the filesystem that `over` takes; unless given, `over` takes any that
            fsspec knows by one of `protocols`.
        subclasses: of `filesystem`, spelled alike, that `over` takes as well.
        package: that must be installed.
        extra: of this package that installs it.
        container: what its containers are called, and the option that names one; `""` where there are none.
        hosted: whether its URLs begin with a host or a container, which a slash ends.
        runs: how the verbs of its driver run, as in `Driver`; an `AsyncStore` serves "thread" ones in threads.
        readahead: what an open file fetches ahead at most [bytes].
        near: whether no round trip is worth saving.
        placed: whether a resolved path tells by itself which file it is, wherever it is seen.
        quoted: whether its URLs are percent-encoded, and may end in a query, which is no part of a key.
        private: whether each backend by name has files of its own, in its process alone.
        loggers: package that logs → what the names of its loggers add to that, separated by blanks.
    """

    name: str
    protocols: tuple[str, ...]
    profile: Profile
    title: str = ""
    options: type[Options] = Options
    make: str = ""
    over: str = ""
    filesystem: str = ""
    subclasses: tuple[str, ...] = ()
    package: str = ""
    extra: str = ""
    container: str = ""
    hosted: bool = True
    runs: Literal["inline", "thread", "native"] = "thread"
    readahead: int = 5 << 20
    near: bool = False
    placed: bool = False
    quoted: bool = False
    private: bool = False
    loggers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.options.__repr__ = Options.__repr__  # type: ignore[method-assign]  # A dataclass would show secrets.

    def speaks_to(self, cls: str) -> bool:
        """Whether `over` takes filesystems of a class, given as `"module:Class"`, by what it is."""
        return bool(self.filesystem) and cls in (self.filesystem, *self.subclasses)

    @property
    def takes_rest(self) -> bool:
        """Whether options without a field go to its filesystem."""
        return bool(self.filesystem) and "rest" in self.options.__dataclass_fields__

    @property
    def install(self) -> str:
        """How to get its package; `""` where none is needed."""
        return install(self.package, self.extra) if self.package else ""

    def filesystem_class(self) -> Any:
        """The class of fsspec that its driver speaks to.

        Raises:
            ImportError: its package is not installed.
        """
        try:
            importlib.import_module(self.filesystem.partition(":")[0].partition(".")[0])
            return load(self.filesystem)
        except ImportError as error:
            raise ImportError(f"{self.title or self.name} needs {self.package}: {self.install}") from error

    def driver(self, given: Mapping[str, Any], asynchronous: bool) -> Driver:
        """A driver made of options.

        Raises:
            ImportError: its package is not installed.
            TypeError: an option that it needs is not given.
            ValueError: an option that it does not know, or a value that it refuses.
        """
        if needed := [name for name in self.options.required() if name not in given]:
            raise TypeError(f"{self.title or self.name} needs {' and '.join(needed)}")
        known = {name: value for name, value in given.items() if name in self.options.names()}
        rest = {name: value for name, value in given.items() if name not in known}
        options = self.options(**known)
        if rest:
            object.__setattr__(options, "rest", rest)
        if self.package:
            self.filesystem_class()
        self._check(rest)
        make: Callable[[Options, bool], Driver] = load(self.make)
        return make(options, asynchronous)

    def _check(self, rest: Mapping[str, Any]) -> None:
        known = set(self.options.names())
        if rest and self.takes_rest:
            known |= arguments(self.filesystem_class()) - OURS - self.options.UNTAKEN
        for name in sorted(rest.keys() - known):
            raise ValueError(f"unknown option {name!r} for {self.title or self.name}{self._hint(name, known)}")

    def _hint(self, name: str, known: Iterable[str]) -> str:
        if table := self.options.TABLES.get(name):
            return f"; it goes into {table}={{{name!r}: …}}"
        if near := nearest(name, known, self.options.ALIASES):
            return f"; did you mean {near!r}?"
        return "" if self.takes_rest else f"; it takes {', '.join(self.options.names()) or 'none'}"


def load(name: str) -> Any:
    """What a `"module:name"` stands for."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
