"""Content types: kept with a file, told, and taken along."""

from __future__ import annotations

from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store.certify.rules import check, equal, refused
from remote_store.certify.view import View

CSV = "text/csv; charset=utf-8"
BAD: tuple[Any, ...] = (
    "",
    "text",
    "text/",
    "/csv",
    "text/csv;",
    "text/csv\r\nx: y",
    "te xt/csv",
    "ü/x",
    "a/" + "b" * 255,
    5,
)


async def _told(s: View, path: str) -> str | None:
    content_type: str | None = (await s.get_file_info(path)).content_type
    return content_type


@check("CONTENT-TYPE")
async def what_is_no_content_type_is_a_value_error(s: View) -> None:
    """The shape of a content type outranks everything, capabilities and paths included."""
    for bad in BAD:
        for path in ("f", ""):
            await refused(
                ValueError, partial(s.write, path, b"", content_type=bad), f"content type {bad!r}", "media type"
            )
    equal(await s.exists("f"), False, "the file afterwards")


@check("CONTENT-TYPE", Capability.CONTENT_TYPE, needs=[Capability.METADATA])
async def a_content_type_is_kept(s: View) -> None:
    """`get_file_info` tells the content type that a file was written with, whatever writes it."""
    paths = ["bytes", "stream", "text"]
    await s.write("bytes", b"1", content_type=CSV)
    await s.write("stream", s.stream([b"1"]), content_type=CSV)
    await s.write_text("text", "1", content_type=CSV)
    if s.supports(Capability.ATOMIC_WRITE):
        paths += ["atomic", "opened"]
        await s.write_atomic("atomic", b"1", content_type=CSV)
        async with s.open_atomic("opened", content_type=CSV) as file:
            await file.write(b"1")
    for path in paths:
        equal(await _told(s, path), CSV, f"content type of {path!r}")


@check("CONTENT-TYPE", Capability.CONTENT_TYPE, needs=[Capability.METADATA])
async def a_content_type_goes_with_its_content(s: View) -> None:
    """A file that is replaced has the content type of its new content, or none."""
    await s.write("f", b"1", content_type=CSV)
    await s.write("f", b"2", content_type="image/png", overwrite=True)
    equal(await _told(s, "f"), "image/png", "content type after replacing")
    await s.write("f", b"3", overwrite=True)
    equal(await _told(s, "f") in (CSV, "image/png"), False, "whether a file keeps the content type of what it replaced")


@check("CONTENT-TYPE", Capability.CONTENT_TYPE, needs=[Capability.METADATA, Capability.COPY, Capability.MOVE])
async def a_content_type_goes_along(s: View) -> None:
    """Copy and move keep the content type."""
    await s.write("a", b"1", content_type=CSV)
    await s.copy("a", "b")
    await s.move("a", "c")
    for path in ("b", "c"):
        equal(await _told(s, path), CSV, f"content type of {path!r}")
