"""Rules that take more than one store to try: another client, a missing container, other credentials."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import NotFound, PermissionDenied
from remote_store.certify.checks import absent
from remote_store.certify.rules import LIVE as LIVE
from remote_store.certify.rules import RuleBroken, Untried, collect, equal, live, raises, refused
from remote_store.certify.view import View

ABSENT = live("CAP")(absent.refuses_what_it_lacks)


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


@live("FLAT")
async def a_missing_container_reads_as_a_missing_path(view: View) -> None:
    """In a container that is not there nothing exists, listings are empty, and ping and writes say NotFound."""
    try:
        await _nothing_is_there(view)
    except (PermissionDenied, RuleBroken) as error:
        if PermissionDenied in (type(error), type(error.__cause__)):  # Usual where credentials are for one container.
            raise Untried("these credentials are refused in other containers, whether or not they exist") from error
        raise


async def _nothing_is_there(view: View) -> None:
    equal((await view.exists("f"), await view.is_file("f"), await view.is_folder("d")), (False,) * 3, "questions")
    await raises(NotFound, view.read_bytes("f"), "read_bytes")
    await raises(NotFound, view.ping(), "ping")
    if view.supports(Capability.WRITE):
        await raises(NotFound, view.write("f", b"1"), "write")
    if view.supports(Capability.LIST):
        equal(await collect(view.list_files("", recursive=True)), [], "list_files")
    if view.supports(Capability.DELETE):
        await view.delete("f", missing_ok=True)
        await raises(NotFound, view.delete("f"), "delete")


@live("ERR")
async def a_refusal_is_no_absence(view: View) -> None:
    """Credentials that may not read are told PermissionDenied, never that the file is missing."""
    for method in ("read_bytes", "exists", "is_file"):
        await refused(PermissionDenied, partial(getattr(view, method), "f"), method)
    if view.supports(Capability.METADATA):
        await refused(PermissionDenied, lambda: view.get_file_info("f"), "get_file_info")
    if view.supports(Capability.LIST):
        await refused(PermissionDenied, partial(view.list_files, ""), "list_files")
    if view.supports(Capability.WRITE):
        await refused(PermissionDenied, lambda: view.write("f", b"1", overwrite=True), "write")
