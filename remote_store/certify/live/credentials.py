"""A missing container, and credentials that are refused."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import NotFound, PermissionDenied
from remote_store.certify.rules import RuleBroken, Untried, collect, equal, live, raises, refused
from remote_store.certify.view import View


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
