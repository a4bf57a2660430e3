"""A child process that is forked while a store is in use."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from contextlib import suppress

from remote_store._capabilities import Capability
from remote_store._store import Store
from remote_store.bridges.sync import AsyncBackendSyncAdapter
from remote_store.certify.below import below
from remote_store.certify.rules import Untried, broken, equal, live
from remote_store.certify.view import View

PATIENCE = 60.0
"""How long a child has for a few calls [s]; one that hangs would never end."""
DONE = b"done"


@live("RULE-8", Capability.READ, Capability.WRITE)
async def a_forked_child_goes_on(view: View) -> str:
    """A child that is forked while the store is in use reads and writes by it; its parent sees that, and goes on."""
    if not isinstance(store := view.store, Store):
        raise Untried("an AsyncStore belongs to its event loop, of which a forked child has none")
    if not hasattr(os, "fork") or sys.platform == "darwin":
        raise Untried("this system does not fork, or its libraries do not survive that")
    if isinstance(store.backend, AsyncBackendSyncAdapter):
        raise Untried("a bridge to an async backend refuses to go on in a child, and says so")
    if view.other.store.backend is store.backend:
        raise Untried("no other process sees these files")
    await view.write("f", b"parent")
    equal(await view.read_bytes("f"), b"parent", "content before the fork")
    told = _in_a_child(store)
    if told != DONE.decode():
        broken(f"in a forked child: {told}")
    if (found := await view.read_bytes("f")) != b"child":
        there = await _there(view)
        broken(f"the parent read {found!r} after its child wrote b'child', and {there!r} is there")
    await view.write("f", b"parent again", overwrite=True)
    equal(await view.read_bytes("f"), b"parent again", "what the parent wrote after the fork")
    return "a forked child read and wrote, its parent saw that, and went on"


async def _there(view: View) -> bytes:
    """What the filesystem below has, which is nothing of a child's where it is memory of this process."""
    try:
        there = await below(view).get("f")
    except Exception as error:
        raise Untried("what another process writes does not get here, as far as can be told") from error
    if there == b"parent":
        raise Untried("what another process writes does not get here")
    return there


def _in_a_child(store: Store) -> str:
    """What a child that uses the store tells of it last."""
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of forks beside threads, which this is about.
        child = os.fork()
    if child == 0:
        try:
            _use(store, tell)
        finally:
            os._exit(0)  # Nothing of the parent's, such as its other tests, may go on here.
    os.close(tell)
    try:
        return _last_word(told)
    finally:
        os.close(told)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _use(store: Store, tell: int) -> None:
    try:
        os.write(tell, b"it hung in read_bytes, or died there\n")
        if (found := store.read_bytes("f")) != b"parent":
            os.write(tell, f"read_bytes gave {found[:100]!r}, not what its parent wrote\n".encode())
            return
        os.write(tell, b"it hung in write, or died there\n")
        store.write("f", b"child", overwrite=True)
        os.write(tell, DONE + b"\n")
    except BaseException as error:
        os.write(tell, f"{type(error).__name__}: {error}"[:1000].replace("\n", " ").encode() + b"\n")


def _last_word(told: int) -> str:
    end, text = time.monotonic() + PATIENCE, b""
    while (left := end - time.monotonic()) > 0 and select.select([told], [], [], left)[0]:
        if not (piece := os.read(told, 4096)):
            break
        text += piece
    lines = text.decode(errors="replace").splitlines()
    return lines[-1] if lines else "it died before it could use the store"
