"""Changing a file by what it holds, without losing what others change meanwhile."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

from remote_store._either import EitherStore
from remote_store._errors import AlreadyExists, NotFound, PreconditionFailed
from remote_store._methods import carried
from remote_store._models import FileInfo, WriteResult
from remote_store._paths import RemotePath

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""How long the second attempt waits at most, and any [s]; the time in between doubles."""


async def update(store: Any, path: Any, function: Callable[[bytes | None], Any], attempts: int) -> WriteResult:
    """Read, call `function`, and write under the condition that nobody was first; again where somebody was."""
    if not isinstance(attempts, int) or attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts!r}")
    view = EitherStore(store)
    for attempt in range(attempts):
        if attempt:
            await view.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))))  # noqa: S311
        info = await _described(view, path)
        try:
            content = None if info is None else await view.read_range(path, 0, info.size, if_match=info.etag)
        except PreconditionFailed as error:
            conflict: Exception = error
            continue
        changed = function(content)
        if inspect.isawaitable(changed):
            changed = await _awaited(view, changed)
        try:
            options = {} if info is None else {"if_match": info.etag, **carried(info, view.supports)}
            result: WriteResult = await view.write(path, changed, **options)
        except (AlreadyExists, PreconditionFailed) as error:
            if error.path != str(RemotePath(path)):
                raise  # It is of what the content is read from.
            conflict = error
        else:
            return result
    raise _given_up(conflict, attempts) from conflict


async def _awaited(view: EitherStore, changed: Any) -> Any:
    if not view.is_async:
        if inspect.iscoroutine(changed):
            changed.close()  # no warning that nobody awaited it
        raise TypeError("function must return content, not a coroutine; an async function needs AsyncStore")
    return await changed


async def _described(view: EitherStore, path: Any) -> FileInfo | None:
    try:
        info: FileInfo = await view.get_file_info(path)
    except NotFound:
        return None
    return info


def _given_up(conflict: Any, attempts: int) -> PreconditionFailed:
    message = f"Others changed the file during each of {attempts} attempts to update it"
    return PreconditionFailed(message, path=conflict.path, backend=conflict.backend)
