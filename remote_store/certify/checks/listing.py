"""Listings and glob."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath
from remote_store.certify.rules import check, collect, equal, refused, true
from remote_store.certify.view import View

TREE = ("a.txt", "b.csv", "d/a.txt", "d/e/b.txt", "d/e/f/c.csv", "x/a.txt")


async def _grow(s: View) -> None:
    for key in TREE:
        await s.write(key, b"1")


@check("BE-014", Capability.LIST)
async def files_are_listed(s: View) -> None:
    """Direct children, all with `recursive`, down to `max_depth`; by name with `pattern`."""
    await _grow(s)
    for path, options, expected in (
        ("", {}, TREE[:2]),
        (".", {}, TREE[:2]),
        ("", {"recursive": True}, TREE),
        ("d", {"recursive": True}, TREE[2:5]),
        ("d", {}, TREE[2:3]),
        ("", {"max_depth": 0}, TREE[:2]),
        ("", {"max_depth": 0, "recursive": True}, TREE[:2]),
        ("", {"max_depth": 1}, (*TREE[:3], TREE[5])),
        ("d", {"max_depth": 1}, TREE[2:4]),
        ("", {"max_depth": 9}, TREE),
        ("", {"recursive": True, "pattern": "a.*"}, (TREE[0], TREE[2], TREE[5])),
        ("", {"pattern": "*.csv"}, TREE[1:2]),
    ):
        equal(await collect(s.list_files(path, **options)), sorted(expected), f"list_files({path!r}, {options})")


@check("BE-014", Capability.LIST)
async def listed_files_are_described(s: View) -> None:
    """A listing carries name and size of each file."""
    await s.write("d/f", b"12345")
    infos = [info async for info in s.list_files("d")]
    equal([(i.name, i.size, str(i.path)) for i in infos], [("f", 5, "d/f")], "entries")
    true(infos[0].modified_at.tzinfo is not None, "times are aware")


@check("BE-015", Capability.LIST)
async def folders_are_listed(s: View) -> None:
    """Direct subfolders, deeper with `max_depth`, by name with `pattern`."""
    await _grow(s)
    for path, options, expected in (
        ("", {}, ["d", "x"]),
        ("d", {}, ["d/e"]),
        ("", {"max_depth": 0}, ["d", "x"]),
        ("", {"max_depth": 1}, ["d", "d/e", "x"]),
        ("", {"max_depth": 9}, ["d", "d/e", "d/e/f", "x"]),
        ("", {"pattern": "x*"}, ["x"]),
        ("d/e/f", {}, []),
    ):
        equal(await collect(s.list_folders(path, **options)), expected, f"list_folders({path!r}, {options})")


@check("BE-026", Capability.LIST)
async def children_are_files_and_folders(s: View) -> None:
    """`iter_children` gives both in one pass."""
    await _grow(s)
    kinds = {str(e.path): type(e).__name__ async for e in s.iter_children("d")}
    equal(kinds, {"d/a.txt": "FileInfo", "d/e": "FolderEntry"}, "children")


@check("BE-014", Capability.LIST)
async def what_is_no_folder_lists_empty(s: View) -> None:
    """A missing folder and a file list as nothing, not as an error."""
    await s.write("f", b"1")
    for path in ("missing", "no/such", "f", "f/x"):
        listings = [
            s.list_files(path),
            s.list_files(path, recursive=True),
            s.list_folders(path),
            s.list_folders(path, max_depth=2),
            s.iter_children(path),
        ]
        if s.supports(Capability.GLOB):
            listings.append(s.glob(f"{path}/*"))
        for listing in listings:
            equal(await collect(listing), [], f"a listing of {path!r}")


@check("RULE-4", Capability.LIST)
async def a_negative_depth_is_refused(s: View) -> None:
    """`max_depth < 0` is a ValueError at the call, not at the first entry."""
    for call in (s.list_files, s.list_folders):
        await refused(ValueError, partial(call, "", max_depth=-1), "negative depth", "max_depth must be >= 0")


@check("RULE-9", Capability.LIST, needs=[Capability.DELETE])
async def listings_are_never_stale(s: View) -> None:
    """What came or went between two listings shows in the second."""
    await s.write("d/a", b"1")
    equal(await collect(s.list_files("d")), ["d/a"], "first listing")
    await s.write("d/b", b"1")
    await s.delete("d/a")
    equal(await collect(s.list_files("d")), ["d/b"], "second listing")


@check("BE-014", Capability.LIST)
async def a_listing_may_be_left_early(s: View) -> None:
    """Leaving a listing after its first entry is fine, and the store goes on."""
    for index in range(20):
        await s.write(f"d/{index}", b"")
    async for _ in s.list_files("d"):
        break
    equal(len(await collect(s.list_files("d"))), 20, "entries of the next listing")


@check("GLOB", Capability.GLOB)
async def globs_match_by_segment(s: View) -> None:
    """`*`, `?` and classes stay in a segment; `**` is any number of whole segments."""
    await _grow(s)
    await s.write("w*/a[1].txt", b"1")
    await s.write("wx/b.txt", b"1")
    for pattern, expected in (
        ("*.txt", ["a.txt"]),
        ("*/a.txt", ["d/a.txt", "x/a.txt"]),
        ("**/*.csv", ["b.csv", "d/e/f/c.csv"]),
        ("d/**", ["d/a.txt", "d/e/b.txt", "d/e/f/c.csv"]),
        ("d/**/c.csv", ["d/e/f/c.csv"]),
        ("?.csv", ["b.csv"]),
        ("[ab].*", ["a.txt", "b.csv"]),
        ("[!a].*", ["b.csv"]),
        ("d/?/b.*", ["d/e/b.txt"]),
        ("**/e*.csv", []),
        ("**/?/c.csv", ["d/e/f/c.csv"]),
        ("**/e[!x]f/c.csv", []),
        ("a.txt", ["a.txt"]),
        ("d", []),
        ("nope/*", []),
        ("w[*]/a[[]1].txt", ["w*/a[1].txt"]),
    ):
        equal(await collect(s.glob(pattern)), sorted(expected), f"glob({pattern!r})")
    child = s.child("w*")
    equal(await collect(child.glob("*.txt")), ["a[1].txt"], "glob in a child whose name has a star")


@check("GLOB", Capability.GLOB)
async def bad_globs_are_refused(s: View) -> None:
    """`**` inside a segment is a ValueError, a malformed or empty pattern InvalidPath."""
    for pattern in ("a**", "a/**b/c", "***"):
        await refused(ValueError, partial(s.glob, pattern), f"glob({pattern!r})")
    for pattern in ("", "..", "../*", "a\0*"):
        await refused(InvalidPath, partial(s.glob, pattern), f"glob({pattern!r})")
