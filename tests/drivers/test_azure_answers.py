"""What Azure storage refuses, and what does not answer like it: typed by status and code, never success."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from helpers import works
from helpers.azure import Place, azure_place, every, meanwhile, page, pieces
from helpers.works import READS, Work
from servers import azure_faults as faults
from servers.azure import HNS, AzureServer
from servers.azure_faults import instead, refusal, when
from servers.double_answers import HTML, JSON, XML, Answer, CarryOut, Hook, Request

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
)

KEPT = {"key": b"1234", "folder/key": b"1"}


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def hasty(
    request: pytest.FixtureRequest, azure_server: AzureServer, container: str, brief: None
) -> AsyncIterator[Place]:
    """A store that tries once, with some files."""
    async with azure_place(request.param, azure_server, container, retries=0) as place:
        for key, content in KEPT.items():
            place.put(key, content)
        yield place


CHANGES: dict[str, Work] = {
    **works.CHANGES,
    "write": lambda view: view.write("new", b"1"),
    "write, overwrite": lambda view: view.write("new", b"1", overwrite=True),
    "a long write": lambda view: view.write("new", view.stream(pieces(1))),
}
PAGES = {
    "a way to another page": page(302, Location="http://192.0.2.1/"),
    "a page, 200": page(200),
    "a page, 201": page(201),
    "a page, 202": page(202),
    "a page, 206": page(206),
    "JSON, 200": Answer(200, b'{"status": "ok"}', JSON),
    "XML, 200": Answer(200, b"<a><b/></a>", XML),
    "nothing, 200": Answer(200, headers={}),
    "nothing, 204": Answer(204, headers={}),
    "not modified": Answer(304, headers={}),
}


@pytest.mark.parametrize("name", PAGES)
async def test_what_is_no_azure_storage_is_an_error_that_says_so(hasty: Place, name: str) -> None:
    for verb, work in {**READS, **CHANGES}.items():
        with hasty.server.hooked(instead(PAGES[name])), pytest.raises(RemoteStoreError) as caught:
            pytest.fail(f"{verb} gave {await work(hasty.view)!r}")
        assert type(caught.value) is BackendUnavailable, (verb, caught.value)
        assert re.search("does not answer like Azure Blob Storage|is malformed", str(caught.value)), verb
    assert hasty.contents() == KEPT
    await hasty.works()


async def outcome(call: Coroutine[Any, Any, Any]) -> RemoteStoreError | None:
    try:
        await call
    except RemoteStoreError as error:
        return error
    return None


@pytest.mark.parametrize("hns", [None, True, False])
async def test_one_request_that_another_answers_is_never_success(azure_server: AzureServer, hns: bool | None) -> None:
    """Each in its turn, so that what comes before it went well."""
    for verb, work in {**READS, **CHANGES}.items():
        for turn in range(12):
            async with azure_place("async", azure_server, HNS if hns else "test-container", hns=hns) as place:
                for key, content in KEPT.items():
                    place.put(key, content)
                struck = faults.in_turn(*[None] * turn, instead(page(200)))
                with azure_server.hooked(struck):
                    failed = await outcome(work(place.view))
                sent = azure_server.requests
                if failed is not None:
                    assert type(failed) is BackendUnavailable or "not empty" in str(failed), (verb, turn)
                elif len(sent) > turn:  # Whoever may not look may write.
                    assert verb == "a long write" and sent[turn].startswith("HEAD"), (verb, turn)  # noqa: PT018
                if len(azure_server.requests) <= turn:
                    break


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_elsewhere(hasty: Place, status: int) -> None:
    """Whoever is there would get a signature, or a token."""
    there = page(status, Location=f"{hasty.server.endpoint}/elsewhere")
    with hasty.server.hooked(instead(there)):
        for verb, work in {**READS, **CHANGES}.items():
            with pytest.raises(BackendUnavailable):
                pytest.fail(f"{verb} gave {await work(hasty.view)!r}")
    assert hasty.asked("elsewhere") == 0
    assert hasty.contents() == KEPT


# --- replies that lack something


def without(*names: str, **others: str) -> Hook:
    """Replies without some headers, or with other ones."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        told = {name: value for name, value in answer.headers.items() if name.lower() not in names}
        return answer._replace(headers={**told, **{name.replace("_", "-"): value for name, value in others.items()}})

    return hook


INFO = ["get_file_info", "head", "exists"]
LACKING: list[tuple[Hook, list[str]]] = [
    (without("etag"), [*INFO, "read", "read_bytes", "write", "a long write"]),
    (without("last-modified"), INFO),
    (without(Last_Modified="yesterday"), INFO),
    (without("x-ms-blob-type"), ["read", "read_bytes"]),
    (without(Content_Range="bytes 0-2/4"), ["read_range"]),
    (without("x-ms-request-id"), [*READS]),
]


@pytest.mark.parametrize("number", range(len(LACKING)))
async def test_a_reply_that_lacks_what_it_must_have_is_an_error(hasty: Place, number: int) -> None:
    hook, verbs = LACKING[number]
    for verb in verbs:
        with hasty.server.hooked(hook), pytest.raises(RemoteStoreError) as caught:
            pytest.fail(f"{verb} gave {await {**READS, **CHANGES}[verb](hasty.view)!r}")
        assert type(caught.value) is BackendUnavailable, (verb, caught.value)
        assert "is malformed" in str(caught.value)
        await hasty.view.delete("new", missing_ok=True)


def rewritten(pattern: bytes, by: bytes) -> Hook:
    """Bodies of which some text is another."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        return answer._replace(body=re.sub(pattern, by, answer.body))

    return hook


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        (rb"(?s)^.*$", b""),
        (rb"(?s)^.*$", b"[1]"),
        (rb"(?s)^.*$", b"null"),
        (rb"(?s)^.*$", b"<html>"),
        (rb'"etag": "[^"]*", ', b""),
        (rb'"lastModified": "[^"]*", ', b""),
        (rb'"lastModified": "[^"]*"', b'"lastModified": "yesterday"'),
        (rb'"contentLength": "[^"]*"', b'"contentLength": "many"'),
        (rb'"name": "[^"]*", ', b""),
        (rb"<Etag>.*?</Etag>", b""),
        (rb"<Last-Modified>.*?</Last-Modified>", b""),
        (rb"<Last-Modified>.*?</Last-Modified>", b"<Last-Modified>yesterday</Last-Modified>"),
        (rb"<Content-Length>.*?</Content-Length>", b"<Content-Length>many</Content-Length>"),
        (rb"<Name>.*?</Name>", b""),
    ],
)
async def test_a_listing_that_makes_no_sense_is_an_error(hasty: Place, pattern: bytes, by: bytes) -> None:
    if not pattern.startswith(b"(") and hasty.hns is not pattern.startswith(b'"'):
        return
    for verb in ("list_files", "iter_children", "glob"):
        with hasty.server.hooked(rewritten(pattern, by)), pytest.raises(RemoteStoreError) as caught:
            pytest.fail(f"{verb} gave {await READS[verb](hasty.view)!r}")
        assert type(caught.value) is BackendUnavailable, (verb, caught.value)


async def test_a_listing_that_leads_back_ends(hasty: Place) -> None:
    with (
        hasty.server.having(page=1),
        hasty.server.hooked(going_back()),
        pytest.raises(BackendUnavailable, match="lead"),
    ):
        await every(hasty.view.list_files("", recursive=True))
    assert len(hasty.server.requests) < 6


def going_back() -> Hook:
    def hook(request: Request, carry_out: CarryOut) -> Answer:
        for name in ("marker", "continuation"):
            request.query.pop(name, None)
        return carry_out()

    return hook


# --- refusals by status and code


REFUSALS: list[tuple[Answer, type[RemoteStoreError], str]] = [
    (faults.UNAUTHENTICATED, PermissionDenied, "does not accept the credentials"),
    (faults.BAD_SIGNATURE, PermissionDenied, r"does not accept the credentials \(AuthenticationFailed\)"),
    (page(401), PermissionDenied, "401"),
    (faults.DENIED, PermissionDenied, r"does not allow it to these credentials \(AuthorizationFailure\)"),
    (faults.MISMATCH, PermissionDenied, "AuthorizationPermissionMismatch"),
    (refusal("InsufficientAccountPermissions"), PermissionDenied, "InsufficientAccountPermissions"),
    (refusal("PublicAccessNotPermitted"), PermissionDenied, "PublicAccessNotPermitted"),
    (faults.DISABLED, PermissionDenied, "the account is disabled"),
    (page(403), PermissionDenied, "403"),
    (faults.CREATE_ONLY, PermissionDenied, "UnauthorizedBlobOverwrite"),
    (refusal("<script>x", status=403), PermissionDenied, "403"),
    (faults.LEASED, ResourceLocked, r"leased, archived or protected \(LeaseIdMissing\)"),
    (refusal("LeaseIdMismatchWithBlobOperation"), ResourceLocked, "LeaseIdMismatch"),
    (faults.ARCHIVED, ResourceLocked, "BlobArchived"),
    (faults.REHYDRATED, ResourceLocked, "BlobBeingRehydrated"),
    (faults.IMMUTABLE, ResourceLocked, "BlobImmutableDueToPolicy"),
    (faults.SNAPSHOTS, ResourceLocked, "SnapshotsPresent"),
    (faults.PENDING_COPY, ResourceLocked, "PendingCopyOperation"),
    (faults.CONTAINER_BEING_DELETED, ResourceLocked, "ContainerBeingDeleted"),
    (refusal("FilesystemBeingDeleted", as_path=True), ResourceLocked, "FilesystemBeingDeleted"),
    (faults.CONTAINER_MISSING, NotFound, "[Cc]ontainer"),
    (refusal("FilesystemNotFound", as_path=True), NotFound, "[Cc]ontainer"),
    (refusal("InvalidUri"), InvalidPath, "not valid"),
    (refusal("AccountLimitExceeded", status=409), StorageFull, "No space"),
    (refusal("InvalidInput"), RemoteStoreError, "InvalidInput"),
    (page(400), RemoteStoreError, "400"),
    (faults.BUSY, BackendUnavailable, "ServerBusy"),
    (page(500), BackendUnavailable, "it answered 500"),
    (page(502), BackendUnavailable, "it answered 502"),
    (Answer(503, b'{"error": "text"}', JSON), BackendUnavailable, "it answered 503"),
    (Answer(503, b"<Error><Code/></Error>", XML), BackendUnavailable, "it answered 503"),
    (refusal("Teapot", status=418), RemoteStoreError, "answered Teapot"),
]


@pytest.mark.parametrize("verb", ["read_bytes", "get_file_info", "ping", "write, overwrite", "a long write"])
@pytest.mark.parametrize(("answer", "error", "says"), REFUSALS, ids=[f"{a.status}-{s}"[:40] for a, _, s in REFUSALS])
async def test_a_refusal_has_its_class(
    hasty: Place, verb: str, answer: Answer, error: type[RemoteStoreError], says: str
) -> None:
    if hasty.hns and error is NotFound:
        says = "not found"
    if answer is faults.CREATE_ONLY and verb == "a long write":
        error, says = AlreadyExists, "already exists"  # Whoever may only create hears so of what is there.
    with hasty.server.hooked(instead(answer)), pytest.raises(RemoteStoreError, match=says) as caught:
        await {**READS, **CHANGES}[verb](hasty.view)
    assert type(caught.value) is error
    assert caught.value.path in ("key", "new", "", ".")
    assert "script" not in str(caught.value)
    assert hasty.contents() == KEPT
    await hasty.works()


async def test_a_lease_keeps_what_is_there(hasty: Place) -> None:
    """Also where a condition would be refused with the same status."""
    from servers.azure_leases import Lease

    etag = (await hasty.view.get_file_info("key")).etag
    hasty.item("key").lease = Lease("1", -1, float("inf"))
    for work in (
        lambda: hasty.view.write("key", b"new", overwrite=True),
        lambda: hasty.view.write("key", b"new", if_match=etag),
        lambda: hasty.view.delete("key"),
        lambda: hasty.view.copy("folder/key", "key", overwrite=True),
    ):
        with pytest.raises(ResourceLocked, match="leased"):
            await work()
    with pytest.raises(AlreadyExists):
        await hasty.view.write("key", b"new")
    with pytest.raises(ResourceLocked):
        await hasty.view.move("key", "new")
    assert await hasty.view.read_bytes("key") == b"1234"
    hasty.item("key").lease = None
    kept = hasty.contents()
    assert kept.pop("new", b"1234") == b"1234"
    assert kept == KEPT


async def test_who_may_only_create_is_told_what_exists(hasty: Place) -> None:
    for verb in ("write", "copy", "a long write"):
        onto = faults.matching(lambda request: request.method == "PUT" and "blockid" not in request.query, CREATE)
        with hasty.server.hooked(onto), pytest.raises(AlreadyExists):
            await CHANGES[verb](hasty.view)
    with hasty.server.hooked(instead(faults.CREATE_ONLY)), pytest.raises(PermissionDenied):
        await hasty.view.write("key", b"1", overwrite=True)
    assert hasty.contents() == KEPT


CREATE = instead(faults.CREATE_ONLY)


# --- missing


NOT_FOUND = {
    "XML": refusal("BlobNotFound"),
    "JSON": refusal("BlobNotFound", as_path=True),
    "a page": page(404),
    "nothing": Answer(404, headers={}),
}


@pytest.mark.parametrize("body", NOT_FOUND)
async def test_a_missing_blob_is_missing_whatever_the_body(hasty: Place, body: str) -> None:
    """As long as a listing shows that such a service answers."""

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        return None if request.query else NOT_FOUND[body]

    with hasty.server.hooked(hook):
        with pytest.raises(NotFound, match="not found"):
            await hasty.view.read_bytes("gone")
        assert not await hasty.view.exists("gone")
        with pytest.raises(NotFound):
            await hasty.view.get_file_info("gone")


@pytest.mark.parametrize("body", ["a page", "nothing"])
async def test_a_listing_that_is_missing_is_none_of_azure(hasty: Place, body: str) -> None:
    with hasty.server.hooked(instead(NOT_FOUND[body])):
        for verb in ("list_files", "iter_children", "glob", "ping"):
            with pytest.raises(BackendUnavailable, match="does not answer like Azure Blob Storage"):
                await READS[verb](hasty.view)


async def test_a_condition_that_is_refused_without_a_body_is_a_condition(hasty: Place) -> None:
    with hasty.server.hooked(when(instead(Answer(412, b"", HTML)), "GET")), pytest.raises(PreconditionFailed):
        await hasty.view.read_range("key", 0, 1, if_match="5")


async def test_a_range_past_the_end_is_empty(hasty: Place) -> None:
    hasty.put("empty", b"")
    assert await hasty.view.read_range("key", 4, 9) == b""
    assert await hasty.view.read_range("empty", 0, 5) == b""
    hasty.server.requests.clear()
    assert await hasty.view.read_bytes("empty") == b""
    assert len(hasty.server.requests) == 1


async def test_a_file_that_vanishes_before_it_is_read_is_missing(hasty: Place) -> None:
    with hasty.server.hooked(meanwhile(lambda: hasty.server.empty())), pytest.raises(NotFound):
        await hasty.view.read_bytes("key")
