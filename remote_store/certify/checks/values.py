"""What stores promise as values: gates, identity, errors that travel, eager refusals, lazy listings."""

from __future__ import annotations

import copy
import inspect
import pickle
from contextlib import suppress

from remote_store._capabilities import Capability
from remote_store._errors import CapabilityNotSupported, InvalidPath, NotFound
from remote_store.certify.rules import broken, check, collect, equal, raises, refused, true
from remote_store.certify.view import View


@check("CAP")
async def capabilities_are_told(s: View) -> None:
    """`supports` agrees with the backend's capability set, which cannot be changed."""
    capabilities = s.store.backend.capabilities
    for capability in Capability:
        equal(s.supports(capability), capability in capabilities, f"supports({capability})")
    true(isinstance(capabilities, frozenset), "a capability set is immutable")


@check("OPS.unwrap")
async def unwrap_gives_what_was_asked_for_or_refuses(s: View) -> None:
    """A handle of a type the backend does not have is CapabilityNotSupported, never None."""
    await refused(CapabilityNotSupported, lambda: s.unwrap(View), "unwrap(View)", "does not expose native handle")
    with suppress(CapabilityNotSupported):
        true(s.unwrap(object) is not None, "unwrap(object)")


@check("STORE.value")
async def a_store_is_an_immutable_value(s: View) -> None:
    """Its parts cannot be rebound, its text shows backend and root, and children share the backend."""
    for name in ("_backend", "_root"):
        try:
            setattr(s.store, name, None)
        except AttributeError as error:
            true("immutable" in str(error), "an immutable store says so")
        else:
            broken(f"{name} of a store could be rebound")
    for text in (repr(s.store), str(s.store)):
        true(text.startswith(type(s.store).__name__ + "(backend=") and "root_path=" in text, f"repr {text!r}")
    child = s.store.child("x")
    true(child == s.store.child("x") and hash(child) == hash(s.store.child("x")) and child != s.store, "equality")


@check("STORE.close")
async def closing_a_child_closes_nothing(s: View) -> None:
    """A child's close, and that of its copies, leaves the backend in use."""
    await s.write("d/f", b"1")
    for child in (s.store.child("d"), copy.copy(s.store.child("d"))):
        closing = child.close() if not s.is_async else child.aclose()  # type: ignore[union-attr]
        if inspect.isawaitable(closing):
            await closing
        equal(await s.read_bytes("d/f"), b"1", "content after a child was closed")


@check("ERR.pickle")
async def errors_travel_between_processes(s: View) -> None:
    """An error pickles with its type, path and backend."""
    error = await raises(NotFound, s.read_bytes("no/such"), "reading what is missing")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    equal((type(back), back.path, back.backend, str(back)), (NotFound, "no/such", error.backend, str(error)), "error")


@check("ASYNC-045", needs=[Capability.LIST, Capability.GLOB])
async def iterating_methods_check_when_called(s: View) -> None:
    """Bad arguments are refused by the call itself, not by the first step of the iteration."""
    for call in (s.store.list_files, s.store.list_folders, s.store.iter_children, s.store.glob, s.store.read):
        try:
            call("../x")
        except InvalidPath:
            continue
        broken(f"{call.__name__}('../x') was not refused at the call")


@check("LIST.lazy", Capability.LIST, needs=[Capability.DELETE])
async def a_listing_goes_on_after_changes(s: View) -> None:
    """Files that go while a listing runs may be missing from it, but nothing is invented and nothing breaks."""
    names = [f"d/{index:03}" for index in range(40)]
    for name in names:
        await s.write(name, b"1")
    seen = []
    async for entry in s.iter_children("d"):
        seen.append(str(entry.path))
        equal(type(entry).__name__, "FileInfo", f"kind of {entry.path}")
        if len(seen) == 1:
            await s.delete(next(name for name in names if name != seen[0]))
    true(set(seen) <= set(names) and len(seen) == len(set(seen)) >= len(names) - 1, "entries of a changing folder")
    equal(len(await collect(s.list_files("d"))), len(names) - 1, "entries of the next listing")


@check("METADATA", Capability.METADATA, needs=[Capability.LIST])
async def a_folder_is_as_new_as_its_newest_file(s: View) -> None:
    """`FolderInfo.modified_at` is the newest known time of a file below, else None."""
    for key in ("d/a", "d/e/b"):
        await s.write(key, b"1")
    times = [(await s.get_file_info(key)).modified_at for key in ("d/a", "d/e/b")]
    newest, found = max(times), (await s.get_folder_info("d")).modified_at
    if found is None or newest.year == 1:
        equal((found, newest.year), (None, 1), "time of a folder whose files tell none")
    else:
        # One side may come from an HTTP header, which carries whole seconds.
        true(abs((found - newest).total_seconds()) < 1, f"time of a folder: {found}, newest file: {newest}")
