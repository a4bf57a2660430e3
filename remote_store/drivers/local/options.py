"""Options of local files."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from remote_store.drivers.options import PATH, Options

if TYPE_CHECKING:
    from remote_store._location import Location


@dataclass(frozen=True)
class LocalOptions(Options):
    """What local files take.

    Args:
        root: folder that is the root; links to it are followed once, now.
        create: make it, and the folders above it, if it is missing.
        durable: on every write, move and delete wait until the disk has it (fsync of file and folder).
    """

    PLACE: ClassVar = ("root",)
    root: str | os.PathLike[str] = field(metadata=PATH)
    _: KW_ONLY
    create: bool = True
    durable: bool = False

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any]:
        return {"root": url.path}
