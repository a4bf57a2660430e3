"""What another client changes, and what another program does in the filesystem below a store."""

from __future__ import annotations

import warnings
from contextlib import suppress

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath
from remote_store._models import FileInfo
from remote_store.certify.below import Below, below
from remote_store.certify.rules import Untried, broken, collect, equal, live, true
from remote_store.certify.view import View

ODD = ("x//y", "m/", "s/./t", "s/../u", "back\\slash")
"""Names that no path can spell; where a filesystem has folders, some of them lead to a usual name."""


@live("RULE-9", Capability.READ, Capability.WRITE)
async def changes_of_another_client_show_at_once(view: View) -> None:
    """What another client writes, replaces and deletes is what the next call sees, listings included."""
    lists = view.supports(Capability.LIST)
    for round_, data in enumerate((b"1", b"two")):
        equal(await view.exists("d/f"), round_ == 1, "exists before the other client's write")
        await view.other.write("d/f", data, overwrite=True)
        equal(await view.read_bytes("d/f"), data, "content after the other client's write")
        if lists:
            equal([(i.name, i.size) async for i in view.list_files("d")], [("f", len(data))], "listing after it")
    if view.supports(Capability.DELETE):
        await view.other.delete("d/f")
        equal(await view.exists("d/f"), False, "exists after the other client's delete")
        if lists:
            equal(await collect(view.list_files("d")), [], "listing after it")


@live("RULE-9", Capability.READ, Capability.WRITE)
async def changes_past_the_store_show_at_once(view: View) -> str:
    """What another program writes, who knows nothing of the store, is what the next call sees, listings included."""
    bare, lists = await _seen(view), view.supports(Capability.LIST)
    for name, data in (("f", b"twice"), ("f", b"3"), ("new", b"new")):
        equal(await view.exists(f"d/{name}"), name == "f", "exists before the other program's write")
        await bare.put(f"d/{name}", data)
        equal(await view.read_bytes(f"d/{name}"), data, "content after the other program's write")
        if lists:
            sizes = {info.name: info.size async for info in view.list_files("d")}
            equal(sizes.get(name), len(data), f"size of {name!r} in a listing after it")
    return "what was written to the filesystem below was read at once, over a file and beside it"


async def _seen(view: View) -> Below:
    """The filesystem below, in which a file of the store is what it is in the store."""
    bare = below(view)
    await view.write("d/f", b"once")
    equal(await view.read_bytes("d/f"), b"once", "content after a write")
    try:
        same = await bare.get("d/f") == b"once"
        await bare.put("d/f", b"one")
    except Exception as error:
        raise Untried(f"the filesystem below does not answer: {type(error).__name__}") from error
    if not same:
        raise Untried("the filesystem below has other content than the store")
    equal(await view.read_bytes("d/f"), b"one", "content after another program wrote the file")
    return bare


@live("PATH.round-trip", Capability.READ, Capability.WRITE, Capability.LIST, Capability.DELETE)
async def names_that_no_path_spells_are_skipped(view: View) -> str:
    """Names that no path can spell are skipped by listings, whose entries all can be used, and go with their folder."""
    bare, made = below(view), []
    await view.write("d/plain", b"1")
    for name in ODD:
        try:
            await bare.put(f"d/{name}", b"odd")
        except TimeoutError:
            break  # Some servers do not answer at all.
        except Exception:  # noqa: S112 (Where there are folders, some of these names are none.)
            continue
        made.append(name)
    try:
        odd = [name for name in await bare.names("d") if _is_odd(view, name)] if made else []
        if not odd:
            raise Untried("the filesystem below makes no file of a name that no path can spell")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # That names are skipped.
            await _all_can_be_used(view)
            await view.delete_folder("d", recursive=True)
        equal(await view.exists("d"), False, "the folder after it was deleted")
        equal(await bare.names("d"), [], "what the filesystem below has of the folder after it was deleted")
    except BaseException:
        for name in made:  # What the store cannot delete would stay for ever.
            with suppress(Exception):
                await bare.remove(f"d/{name}")
        raise
    return f"{len(odd)} names such as {odd[0].rpartition('/d/')[2]!r} were skipped, and went with their folder"


def _is_odd(view: View, native: str) -> bool:
    try:
        return bool(view.store.native_path(view.store.to_key(native)).strip("/") != native.strip("/"))
    except InvalidPath:
        return True


async def _all_can_be_used(view: View) -> None:
    listed = await collect(view.list_files("d", recursive=True))
    true("d/plain" in listed, "a usual name beside odd ones is listed")
    if len(set(listed)) < len(listed):
        broken(f"a listing of odd names has a path twice: {listed}")
    for path in listed:
        await view.read_bytes(path)
    async for entry in view.iter_children("d"):
        is_file = isinstance(entry, FileInfo)
        found = await (view.is_file if is_file else view.is_folder)(str(entry.path))
        true(found, f"{entry.path} was listed as a {'file' if is_file else 'folder'}, and is one")
