"""What Google Cloud Storage refuses, and what does not answer like it: typed by status and reason, never success."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from helpers.gcs import PART, Place, gcs_place, on_part, pieces
from helpers.works import CHANGES, READS, Work, every
from servers.gcs import GcsServer
from servers.gcs_answers import HTML, JSON, Answer, CarryOut, Request
from servers.gcs_faults import (
    DENIED,
    HELD,
    PROJECT_MISSING,
    RATE_LIMITED,
    RETAINED,
    TIMEOUT,
    UNAUTHORIZED,
    instead,
    page,
    refusal,
    throttled,
    when,
)

from remote_store import (
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
)


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def hasty(request: pytest.FixtureRequest, gcs_server: GcsServer) -> AsyncIterator[Place]:
    """A store that tries once, with some files."""
    async with gcs_place(request.param, gcs_server, retries=0) as place:
        place.put("key", b"1234")
        place.put("folder/key", b"1")
        yield place


KEPT = {"key": b"1234", "folder/key": b"1"}


WRITES: dict[str, Work] = {
    **CHANGES,
    "write": lambda view: view.write("new", b"1"),
    "write, overwrite": lambda view: view.write("new", b"1", overwrite=True),
    "a long write": lambda view: view.write("new", view.stream(pieces(1))),
}
PAGES = {
    "a page, 404": page(404),
    "nothing, 404": Answer(404, headers={}),
    "a way to another page": Answer(301, b"<html>", {**HTML, "Location": "http://192.0.2.1/"}),
    "a page, 200": page(200),
    "JSON, 200": Answer(200, b'{"status": "ok"}', JSON),
    "a list, 200": Answer(200, b"[]", JSON),
    "deep JSON, 200": Answer(200, b"[" * 100_000, JSON),
    "nothing, 200": Answer(200, headers={}),
    "not modified": Answer(304, headers={}),
}


@pytest.mark.parametrize("name", PAGES)
async def test_what_is_no_cloud_storage_is_an_error_that_says_so(hasty: Place, name: str) -> None:
    for verb, work in {**READS, **WRITES}.items():
        if name == "nothing, 200" and verb.startswith(("delete", "move")):
            continue  # A delete has no answer beyond its status.
        with hasty.server.hooked(instead(PAGES[name])), pytest.raises(RemoteStoreError) as caught:
            pytest.fail(f"{verb} gave {await work(hasty.view)!r}")
        assert type(caught.value) is BackendUnavailable, (verb, caught.value)
        assert re.search("does not answer like Google Cloud Storage|is malformed", str(caught.value)), verb
    assert hasty.contents() == KEPT
    await hasty.works()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_elsewhere(hasty: Place, status: int) -> None:
    """Whoever is there would get the access token."""
    there = {**HTML, "Location": f"{hasty.server.endpoint}/storage/v1/elsewhere"}
    with hasty.server.hooked(instead(Answer(status, b"<html>", there))):
        for verb, work in {**READS, **WRITES}.items():
            with pytest.raises(BackendUnavailable):
                pytest.fail(f"{verb} gave {await work(hasty.view)!r}")
    assert hasty.asked("elsewhere") == 0
    assert hasty.contents() == KEPT


async def test_a_page_in_the_middle_of_a_long_write_is_no_success(hasty: Place) -> None:
    for hook in (
        when(instead(page(200)), "POST", "resumable"),
        on_part(instead(page(200)), last=True),
        on_part(instead(Answer(200, headers={})), last=True),
    ):
        with hasty.server.hooked(hook), pytest.raises(BackendUnavailable, match="malformed"):
            await hasty.view.write("new", hasty.view.stream(pieces(2)))
        assert hasty.contents() == KEPT


# --- replies that lack something


def changed(**fields: Any) -> Callable[[Request, CarryOut], Answer]:
    """Replies of which fields are other ones, or (None) left out; those of resources in them, too."""

    def alter(found: Any) -> Any:
        if isinstance(found, dict):
            found = {name: alter(value) for name, value in found.items()} | {
                name: value for name, value in fields.items() if name in found
            }
            return {name: value for name, value in found.items() if value is not None}
        return [alter(one) for one in found] if isinstance(found, list) else found

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        return answer._replace(body=json.dumps(alter(json.loads(answer.body))).encode()) if answer.body else answer

    return hook


LARGE = "1" * 5000
"""More digits than Python reads."""
ALL_INFO = ["exists", "get_file_info", "head"]
LISTS = ["list_files", "iter_children", "glob", "get_folder_info", "list_folders"]
LACKING = [
    *[({"generation": told}, [*ALL_INFO, "write", "copy", "move"]) for told in (None, "", "x", "-1", "½", LARGE, {})],
    *[({"size": told}, [*ALL_INFO, "list_files"]) for told in (None, "many", "-1", LARGE, [])],
    *[({"updated": told}, [*ALL_INFO, "list_files"]) for told in (None, "now", 7, "9999-99-99", {})],
    *[({"metadata": told}, ["get_file_info"]) for told in ("text", ["a"], 5)],
    *[({"name": told}, [*ALL_INFO, "list_files"]) for told in (None, "")],
    *[({"name": told}, ["list_files"]) for told in (5, {}, ["a"])],
    *[({"kind": told}, [*LISTS, "copy"]) for told in (None, "other", 5)],
    *[({"items": told}, ["list_files", "glob", "iter_children"]) for told in ("text", 5, {"a": 1}, ["a"], [None])],
    *[({"prefixes": told}, ["iter_children"]) for told in ("text", 5, {"a": 1}, [5], [None])],
    ({"resource": None}, ["copy"]),
    ({"resource": "text"}, ["copy"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "verbs"), LACKING, ids=lambda value: str(value)[:60])
async def test_a_reply_that_lacks_what_it_must_have_is_an_error(
    hasty: Place, fields: dict[str, Any], verbs: list[str]
) -> None:
    hasty.put("key", b"1234", metadata={"a": "b"})
    for verb in verbs:
        with hasty.server.hooked(changed(**fields)), pytest.raises(RemoteStoreError) as caught:
            pytest.fail(f"{verb} gave {await {**READS, **WRITES}[verb](hasty.view)!r}")
        assert type(caught.value) is BackendUnavailable, (verb, caught.value)
        assert "is malformed" in str(caught.value)
        await hasty.view.delete("new", missing_ok=True)
        hasty.put("key", b"1234", metadata={"a": "b"})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Goog-Generation": None},
        {"X-Goog-Generation": "x"},
        {"Content-Range": None},
        {"Content-Range": "bytes 0-2/4"},
        {"Content-Range": "bytes 1-2/*"},
        {"Content-Range": "bytes 1-2/" + "4" * 5000},
    ],
)
async def test_a_body_that_does_not_say_what_it_is_of_is_an_error(hasty: Place, headers: dict[str, Any]) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        told = {name: value for name, value in {**answer.headers, **headers}.items() if value is not None}
        return answer._replace(headers=told)

    with hasty.server.hooked(when(hook, "GET", "alt=media")), pytest.raises(BackendUnavailable, match="malformed"):
        await hasty.view.read_range("key", 1, 3)
    await hasty.works()


@pytest.mark.parametrize("told", [5, {"a": 1}, ["a"]])
async def test_a_token_of_a_page_that_is_none_is_an_error(hasty: Place, told: Any) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        return answer._replace(body=json.dumps({**json.loads(answer.body), "nextPageToken": told}).encode())

    with hasty.server.hooked(hook), pytest.raises(BackendUnavailable, match="malformed"):
        await every(hasty.view.list_files(""))


# --- refusals by status and reason


REFUSALS: list[tuple[Answer, type[RemoteStoreError], str]] = [
    (UNAUTHORIZED, PermissionDenied, "does not accept the credentials"),
    (Answer(401, headers={}), PermissionDenied, "does not accept the credentials"),
    (page(401), PermissionDenied, "does not accept the credentials"),
    (DENIED, PermissionDenied, r"does not allow it to these credentials \(forbidden\)"),
    (page(403), PermissionDenied, r"does not allow it to these credentials \(403\)"),
    (refusal(403, "<script>x"), PermissionDenied, r"does not allow it to these credentials \(403\)"),
    (RATE_LIMITED, BackendUnavailable, r"fewer requests \(rateLimitExceeded\)"),
    (refusal(403, "userRateLimitExceeded"), BackendUnavailable, "fewer requests"),
    (refusal(403, "quotaExceeded"), BackendUnavailable, "fewer requests"),
    (RETAINED, ResourceLocked, r"retention policy or a hold \(retentionPolicyNotMet\)"),
    (HELD, ResourceLocked, r"retention policy or a hold \(objectUnderActiveHold\)"),
    (PROJECT_MISSING, PermissionDenied, "pass requester_pays="),
    (refusal(400, "userProjectMissing"), PermissionDenied, "pass requester_pays="),
    (refusal(400, "invalid"), RemoteStoreError, r"malformed \(invalid\)"),
    (page(400), RemoteStoreError, r"malformed \(400\)"),
    (TIMEOUT, BackendUnavailable, "uploadBrokenConnection"),
    (throttled(), BackendUnavailable, "fewer requests"),
    (refusal(413, "uploadTooLarge"), RemoteStoreError, "larger than"),
    (refusal(403, "storageQuotaExceeded"), StorageFull, "No space"),
    (refusal(507, "x"), StorageFull, "No space"),
    (page(500), BackendUnavailable, "it answered 500"),
    (page(501), RemoteStoreError, "does not implement"),
    (page(502), BackendUnavailable, "it answered 502"),
    (page(503), BackendUnavailable, "it answered 503"),
    (Answer(503, b'{"error": "text"}'), BackendUnavailable, "it answered 503"),
    (Answer(503, b'{"error": {"errors": "text"}}'), BackendUnavailable, "it answered 503"),
    (Answer(503, b'{"error": {"errors": [{"reason": 5}]}}'), BackendUnavailable, "it answered 503"),
    (refusal(418, "teapot"), RemoteStoreError, "answered teapot"),
]


RARELY = [
    pytest.param(verb, marks=pytest.mark.full) for verb in ("get_file_info", "list_files", "a long write", "delete")
]


@pytest.mark.parametrize("verb", ["read_bytes", "write", *RARELY])
@pytest.mark.parametrize(("answer", "error", "says"), REFUSALS, ids=[f"{a.status}-{s}"[:40] for a, _, s in REFUSALS])
async def test_a_refusal_has_its_class(
    hasty: Place, verb: str, answer: Answer, error: type[RemoteStoreError], says: str
) -> None:
    with hasty.server.hooked(instead(answer)), pytest.raises(RemoteStoreError, match=says) as caught:
        await {**READS, **WRITES}[verb](hasty.view)
    assert type(caught.value) is error
    assert caught.value.path in ("key", "new", "", ".")
    assert "script" not in str(caught.value)
    assert hasty.contents() == KEPT


@pytest.mark.parametrize("verb", WRITES)
async def test_a_retention_policy_and_a_hold_keep_what_is_there(hasty: Place, verb: str) -> None:
    for key in KEPT:
        hasty.put(key, KEPT[key], temporaryHold=True)
    if verb.endswith(("recursive", "delete", "move", "move, overwrite")):
        with pytest.raises(ResourceLocked, match="objectUnderActiveHold"):
            await WRITES[verb](hasty.view)
        assert hasty.contents() == KEPT
    for key in KEPT:
        hasty.server.bucket().live[hasty.name(key)].properties.clear()


async def test_a_payer_is_named_where_one_is_wanted(gcs_server: GcsServer) -> None:
    with gcs_server.having(requester_pays=True):
        async with gcs_place("async", gcs_server) as place:
            with pytest.raises(PermissionDenied, match="pass requester_pays='the project that pays'"):
                await place.view.write("key", b"1")
        for more in ({"requester_pays": "payer"}, {"requester_pays": True, "project": "payer"}):
            async with gcs_place("async", gcs_server, **more) as place:
                for work in WRITES.values():
                    place.put("key", b"1234")
                    place.put("folder/key", b"1")
                    try:
                        await work(place.view)
                    except RemoteStoreError as refused:
                        assert "not empty" in str(refused)  # noqa: PT017
                    await place.view.delete("new", missing_ok=True)
                assert all("userProject=payer" in one or "upload_id=" in one for one in gcs_server.requests)
                await place.works()


# --- missing


NOT_FOUND = {
    "JSON": refusal(404, "notFound", "No such object: b/k"),
    "text": Answer(404, b"No such object: b/k", HTML),
    "a page": page(404),
    "nothing": Answer(404, headers={}),
}


@pytest.mark.parametrize("body", NOT_FOUND)
async def test_a_missing_object_is_missing_whatever_the_body(hasty: Place, body: str) -> None:
    """As long as a listing shows that such a service answers."""
    with hasty.server.hooked(when(instead(NOT_FOUND[body]), "GET", "/o/")):
        with pytest.raises(NotFound, match="not found"):
            await hasty.view.read_bytes("gone")
        assert not await hasty.view.exists("gone")
        with pytest.raises(NotFound):
            await hasty.view.get_file_info("gone")
    assert hasty.asked("GET", "prefix=") == 3


@pytest.mark.parametrize("body", ["a page", "nothing"])
async def test_a_missing_bucket_is_told_by_json_alone(hasty: Place, body: str) -> None:
    with hasty.server.hooked(instead(NOT_FOUND[body])):
        for work in (*READS.values(), *WRITES.values()):
            with pytest.raises(BackendUnavailable, match="does not answer like Google Cloud Storage"):
                await work(hasty.view)


async def test_a_condition_that_is_refused_without_a_body_is_a_condition(hasty: Place) -> None:
    unmet = when(instead(Answer(412, headers={})), "GET", "alt=media")
    with hasty.server.hooked(unmet), pytest.raises(PreconditionFailed):
        await hasty.view.read_range("key", 0, 1, if_match="5")


async def test_a_range_past_the_end_is_empty(hasty: Place) -> None:
    hasty.put("empty", b"")
    assert await hasty.view.read_range("key", 4, 9) == b""
    assert await hasty.view.read_range("key", PART, PART + 1) == b""
    assert await hasty.view.read_range("empty", 0, 5) == b""
    assert await hasty.view.read_bytes("empty") == b""
