"""`update`: changes that lose none of others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, PreconditionFailed
from remote_store.certify.checks.writing import SourceFailed
from remote_store.certify.rules import check, equal, raises, refused
from remote_store.certify.view import View
from remote_store.io.streams import run_to_end

NEEDED = Capability.CONDITIONAL_WRITE, Capability.EXCLUSIVE_CREATE, Capability.METADATA

PATIENCE = 60
"""How long an update waits for the others to have read [s]."""


def one_more(content: bytes | None) -> bytes:
    """Count up, from 0 where there is nothing."""
    return b"%d" % (int(content or b"0") + 1)


def _updated(s: View, path: str, change: Callable[[bytes | None], Coroutine[Any, Any, bytes]], attempts: int) -> Any:
    """`update` by a coroutine function, which a `Store` runs in the caller's thread."""
    return s.update(path, change if s.is_async else lambda content: run_to_end(change(content)), attempts=attempts)


def _racers(s: View, path: str) -> list[Callable[[], Awaitable[Any]]]:
    """Updates that count up, none of which writes before all have read."""
    gate: Any = asyncio.Barrier(s.workers) if s.is_async else threading.Barrier(s.workers)

    def update() -> Any:
        calls: list[None] = []

        async def counting(content: bytes | None) -> bytes:
            calls.append(None)
            if len(calls) == 1 and s.is_async:
                await asyncio.wait_for(gate.wait(), PATIENCE)
            elif len(calls) == 1:
                gate.wait(PATIENCE)
            return one_more(content)

        return _updated(s, path, counting, 100)

    return [update] * s.workers


@check("UPDATE", needs=NEEDED)
async def update_writes_what_the_function_makes_of_the_content(s: View) -> None:
    """`function` gets the content, None where nothing is there, and what it returns is written."""
    seen: list[bytes | None] = []

    def noting(content: bytes | None) -> bytes:
        seen.append(content)
        return one_more(content)

    result = await s.update("d/n", noting)
    equal((str(result.path), result.size), ("d/n", 1), "result of an update")
    await s.update("d/n", noting)
    equal(seen, [None, b"1"], "what the function was given")
    equal(await s.read_bytes("d/n"), b"2", "content after two updates")


@check("UPDATE", needs=NEEDED)
async def racing_updates_all_count(s: View) -> None:
    """Of racing updates that all saw the same content, or no file, none is lost."""
    await s.write("old", b"0")
    for path in ("old", "new"):
        results = await s.race(_racers(s, path))
        equal(
            [result for result in results if isinstance(result, BaseException)], [], f"what updates of {path!r} raised"
        )
        equal(await s.read_bytes(path), b"%d" % s.workers, f"the count in {path!r} after the race")


@check("UPDATE", needs=NEEDED)
async def update_gives_up_after_its_attempts(s: View) -> None:
    """PreconditionFailed after the last attempt, and the content is what others wrote."""
    calls: list[bytes | None] = []

    async def too_late(content: bytes | None) -> bytes:
        calls.append(content)
        await s.write("n", b"%d" % len(calls), overwrite=True)
        return b"late"

    for content in (None, b"2"):
        calls.clear()
        error = await raises(PreconditionFailed, _updated(s, "n", too_late, 2), "an update of a busy file")
        equal((calls[0], len(calls), error.path), (content, 2, "n"), "the first content, attempts, and path")
    equal(await s.read_bytes("n"), b"2", "content afterwards")


@check("UPDATE", needs=NEEDED)
async def a_function_that_raises_changes_nothing(s: View) -> None:
    """What the function raises passes unchanged."""

    def fail(content: bytes | None) -> NoReturn:
        raise SourceFailed

    await s.write("f", b"1")
    for path in ("f", "new"):
        await refused(SourceFailed, partial(s.update, path, fail), f"an update of {path!r} that fails")
    equal((await s.read_bytes("f"), await s.exists("new")), (b"1", False), "the file afterwards, and the new one")


@check("UPDATE", needs=[*NEEDED, Capability.USER_METADATA, Capability.CONTENT_TYPE])
async def update_changes_the_content_alone(s: View) -> None:
    """User metadata and content type stay."""
    await s.write("f", b"1", metadata={"owner": "ana"}, content_type="text/plain")
    await s.update("f", one_more)
    info = await s.get_file_info("f")
    equal((dict(info.metadata or {}), info.content_type), ({"owner": "ana"}, "text/plain"), "what was kept with it")


@check("UPDATE", needs=NEEDED)
async def update_refuses_what_is_no_file(s: View) -> None:
    """The root, or a folder, is InvalidPath; fewer attempts than one are a ValueError."""
    await s.write("d/f", b"1")
    await refused(InvalidPath, partial(s.update, "", one_more), "an update of the root", "must not be empty")
    await refused(InvalidPath, partial(s.update, "d", one_more), "an update of a folder")
    await raises(ValueError, s.update("d/f", one_more, attempts=0), "no attempts")
