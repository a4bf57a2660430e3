"""Copies of objects too large for one request: in parts, whole or not at all, with all that belongs to them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from helpers.s3 import DENIED, PART, UNMET, content_of, keys
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, hang_up, refusal, view_of

from remote_store import AlreadyExists, NotFound, PermissionDenied, PreconditionFailed, RemoteStoreError
from remote_store.certify.view import View
from remote_store.drivers.objects.marks import MARK
from remote_store.drivers.s3 import driver as copying

DATA = random.Random(0).randbytes(2 * PART + 12345)
TOO_LARGE = refusal(
    "400 Bad Request",
    "InvalidRequest",
    "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
)


@dataclass
class Place:
    """A store with the file `src` that is too large, on a server that copies as S3 does.

    Attributes:
        parts: numbers of the parts that were copied.
        before: what happens before a part of that number, which it may answer.
    """

    view: View
    server: S3Server
    client: Any
    prefix: str
    parts: list[int] = field(default_factory=list)
    before: dict[int, Callable[[], Answer | None]] = field(default_factory=dict)

    def hook(self, environ: Environ, carry_out: Callable[[], Answer]) -> Answer | None:
        query = parse_qs(environ["QUERY_STRING"])
        if "HTTP_X_AMZ_COPY_SOURCE" not in environ:
            return self.at_the_end(environ, carry_out) if environ["REQUEST_METHOD"] == "POST" else None
        if "uploadId" not in query:
            return TOO_LARGE
        number = int(query["partNumber"][0])
        self.parts.append(number)
        if (event := self.before.get(number)) and (answer := event()):
            return answer
        if environ["HTTP_X_AMZ_COPY_SOURCE_IF_MATCH"] != self.head("src").get("ETag"):  # Which moto overlooks.
            return UNMET
        return None

    def at_the_end(self, environ: Environ, carry_out: Callable[[], Answer]) -> Answer | None:
        return None

    def object(self, key: str) -> dict[str, str]:
        return {"Bucket": BUCKET, "Key": f"{self.prefix}/{key}"}

    def put(self, key: str, data: bytes, **options: Any) -> None:
        self.client.put_object(**self.object(key), Body=data, **options)

    def head(self, key: str) -> Any:
        """What is told of an object, without the mark of its writer."""
        try:
            found = self.client.head_object(**self.object(key))
        except self.client.exceptions.ClientError:
            return {}
        found["Metadata"].pop(MARK, None)
        return found

    def content(self, key: str) -> bytes:
        return content_of(self.server, self.prefix, key)

    def keys(self) -> list[str]:
        return keys(self.server, self.prefix)


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def place(
    request: pytest.FixtureRequest, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    monkeypatch.setattr(copying, "LARGEST_COPY", len(DATA) - 1)
    monkeypatch.setattr(copying, "COPY_PART", PART)
    prefix, look = moto_server.fresh_prefix(), client(moto_server)
    async with view_of(request.param, moto_server, prefix, max_concurrency=1) as view:
        place = Place(view, moto_server, look, prefix)
        place.put("src", DATA)
        with moto_server.hooked(place.hook):
            yield place


@pytest.fixture(params=["copy", "move"])
def verb(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


KEPT: dict[str, Any] = {
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="a b.csv"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de",
    "ContentType": "text/csv",
    "Expires": dt.datetime(2040, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "Metadata": {"plain": "a  b", "other": "=?utf-8?q?gr=C3=BCn?="},
}


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_large_file_goes_in_parts_with_all_that_belongs_to_it(place: Place, verb: str, overwrite: bool) -> None:
    place.put("src", DATA, Tagging="a%20key=a%3Db%2Bc&c=", **KEPT)
    if overwrite:
        place.put("dst", b"old", ContentType="text/plain", Metadata={"old": "1"})
    await getattr(place.view, verb)("src", "dst", overwrite=overwrite)
    assert place.parts == [1, 2, 3]
    assert place.keys() == (["dst", "src"] if verb == "copy" else ["dst"])
    assert place.content("dst") == DATA
    head = place.head("dst")
    assert {name: head.get(name) for name in KEPT} == KEPT
    tags = place.client.get_object_tagging(**place.object("dst"))["TagSet"]
    assert tags == [{"Key": "a key", "Value": "a=b+c"}, {"Key": "c", "Value": ""}]
    assert (await place.view.get_file_info("dst")).metadata == {"plain": "a  b", "other": "grün"}


async def test_copies_in_parts_and_in_one_request_keep_the_same(place: Place) -> None:
    place.put("src", DATA, Tagging="a=b", **KEPT)
    await place.view.copy("src", "in parts")
    place.server.hook = None
    await place.view.copy("src", "at once")
    heads = [place.head(key) for key in ("in parts", "at once")]
    for head in heads:
        for own in ("ResponseMetadata", "LastModified", "ETag"):
            del head[own]
        for checksum in [name for name in head if name.startswith("Checksum")]:
            del head[checksum]
    assert heads[0] == heads[1]


async def test_a_file_without_tags_is_not_asked_for_them(place: Place) -> None:
    before = len(place.server.requests)
    await place.view.copy("src", "dst", overwrite=True)
    asked = [request.partition(" ")[0] for request in place.server.requests[before:] if "/src" not in request]
    assert not [request for request in place.server.requests[before:] if "tagging" in request]
    assert asked == ["PUT", "POST", "PUT", "PUT", "PUT", "POST"]


async def test_no_object_has_more_parts_than_the_service_takes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_PARTS", 2)
    await place.view.copy("src", "dst")
    assert place.parts == [1, 2]
    assert place.content("dst") == DATA


async def test_a_target_that_exists_is_kept(place: Place, verb: str) -> None:
    place.put("dst", b"theirs")
    with pytest.raises(AlreadyExists) as caught:
        await getattr(place.view, verb)("src", "dst")
    assert caught.value.path == "dst"
    assert place.keys() == ["dst", "src"]
    assert place.content("dst") == b"theirs"


async def test_a_target_created_meanwhile_is_kept(place: Place, verb: str) -> None:
    place.before[2] = lambda: place.put("dst", b"theirs")
    with pytest.raises(AlreadyExists) as caught:
        await getattr(place.view, verb)("src", "dst")
    assert caught.value.path == "dst"
    assert place.parts == [1, 2, 3]
    assert place.keys() == ["dst", "src"]
    assert place.content("dst") == b"theirs"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("event", ["replaced", "deleted"])
async def test_a_source_that_changes_meanwhile_is_an_error_not_a_mixture(
    place: Place, verb: str, overwrite: bool, event: str
) -> None:
    if overwrite:
        place.put("dst", b"old")
    change: dict[str, Callable[[], None]] = {
        "replaced": lambda: place.put("src", DATA[::-1]),
        "deleted": lambda: place.client.delete_object(**place.object("src")) and None,
    }
    place.before[2] = change[event]
    with pytest.raises(PreconditionFailed, match=r"while it was being (copied|moved)") as caught:
        await getattr(place.view, verb)("src", "dst", overwrite=overwrite)
    assert caught.value.path == "src"
    assert caught.value.__cause__ is not None
    assert place.keys() == ["dst"] * overwrite + ["src"] * (event == "replaced")
    assert not overwrite or place.content("dst") == b"old"
    assert event == "deleted" or place.content("src") == DATA[::-1]


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_part_that_fails_ends_the_copy_without_a_trace(place: Place, verb: str, number: int) -> None:
    place.put("dst", b"old")
    place.before[number] = lambda: DENIED
    with pytest.raises(PermissionDenied) as caught:
        await getattr(place.view, verb)("src", "dst", overwrite=True)
    assert caught.value.backend == "s3"
    assert place.keys() == ["dst", "src"]
    assert place.content("dst") == b"old"
    place.before.clear()
    await place.view.copy("src", "dst", overwrite=True)
    assert place.content("dst") == DATA


async def test_a_copy_refused_for_another_reason_is_not_tried_in_parts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LARGEST_COPY", len(DATA))
    with pytest.raises(RemoteStoreError, match="InvalidRequest") as caught:
        await place.view.copy("src", "dst")
    assert type(caught.value) is RemoteStoreError
    assert place.parts == []
    assert place.keys() == ["src"]


async def test_a_source_that_vanishes_before_the_first_part_is_missing(place: Place) -> None:
    def refuse(environ: Environ, carry_out: Callable[[], Answer]) -> Answer | None:
        if "HTTP_X_AMZ_COPY_SOURCE" not in environ:
            return None
        place.server.hook = None
        place.client.delete_object(**place.object("src"))
        return TOO_LARGE

    place.server.hook = refuse
    with pytest.raises(NotFound) as caught:
        await place.view.copy("src", "dst")
    assert caught.value.path == "src"
    assert place.keys() == []


async def test_the_echo_of_an_own_copy_is_no_conflict(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    completed: list[Answer] = []

    def lose(environ: Environ, carry_out: Callable[[], Answer]) -> Answer | None:
        if "uploadId" not in environ["QUERY_STRING"]:
            return None
        if completed:
            return UNMET
        completed.append(carry_out())
        hang_up(environ)

    monkeypatch.setattr(place, "at_the_end", lose)
    await place.view.move("src", "dst")
    assert completed[0].status.startswith("200")
    assert place.keys() == ["dst"]
    assert place.content("dst") == DATA
