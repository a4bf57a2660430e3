"""`exclusive_copy="multipart"`: the service decides who may copy or move to a name, at the end of an upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from helpers.s3 import DENIED, UNMET, CarryOut, content_of, is_request, keys, put
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, hang_up, view_of

from remote_store import AlreadyExists, NotFound, PermissionDenied, PreconditionFailed
from remote_store.aio import AsyncS3Backend
from remote_store.backends import S3Backend
from remote_store.certify.view import View
from remote_store.drivers.objects.marks import MARK

RACERS = 16
ROUNDS = 2
KEPT: dict[str, Any] = {"ContentType": "text/csv", "CacheControl": "max-age=60", "Metadata": {"owner": "ana"}}


@pytest.fixture
def prefix(moto_server: S3Server) -> str:
    return moto_server.fresh_prefix()


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def view(request: pytest.FixtureRequest, moto_server: S3Server, prefix: str) -> AsyncIterator[View]:
    async with view_of(request.param, moto_server, prefix, exclusive_copy="multipart") as view:
        yield view


@pytest.fixture(params=["copy", "move"])
def verb(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def asked(server: S3Server, start: int) -> list[str]:
    return [request.partition(" ")[0] for request in server.requests[start:]]


async def raced(view: View, verb: str, server: S3Server, prefix: str) -> None:
    """In every round one racer has its file at the name, and no other loses its own."""
    for round_ in range(ROUNDS):
        for index in range(RACERS):
            await view.write(f"{round_}/src/{index}", b"%d" % index)
        racers = [partial(getattr(view, verb), f"{round_}/src/{i}", f"{round_}/dst") for i in range(RACERS)]
        results = await view.race(racers)
        won = [index for index, result in enumerate(results) if result is None]
        assert len(won) == 1, results
        assert {type(result) for result in results} == {type(None), AlreadyExists}
        assert content_of(server, prefix, f"{round_}/dst") == b"%d" % won[0]
        left = {f"{round_}/src/{index}" for index in range(RACERS) if verb == "copy" or index != won[0]}
        assert {key for key in keys(server, prefix) if key.startswith(f"{round_}/src/")} == left


async def test_of_many_racers_to_one_name_one_wins(view: View, verb: str, moto_server: S3Server, prefix: str) -> None:
    await raced(view, verb, moto_server, prefix)


@pytest.mark.full
@pytest.mark.parametrize("name", ["ministack_server", pytest.param("seaweedfs_server", marks=pytest.mark.soak)])
async def test_of_many_racers_one_wins_on_other_services(name: str, verb: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(name)
    prefix = server.fresh_prefix()
    async with view_of("async", server, prefix, exclusive_copy="multipart") as view:
        await raced(view, verb, server, prefix)


@pytest.mark.parametrize("data", [b"", b"content"])
async def test_all_that_belongs_to_a_file_goes_along(
    view: View, verb: str, moto_server: S3Server, prefix: str, data: bytes
) -> None:
    source = {"Bucket": BUCKET, "Key": f"{prefix}/src", "Body": data, "Tagging": "a=b"}
    client(moto_server).put_object(**source, **KEPT)
    before = len(moto_server.requests)
    await getattr(view, verb)("src", "dst")
    # A look at the target, what the source is, its tags; begin, one part, end; a move deletes its source.
    sent = ["HEAD", "HEAD", "GET", "POST", "PUT", "POST"]
    assert sorted(asked(moto_server, before)) == sorted([*sent, *(["DELETE"] if verb == "move" else [])])
    assert content_of(moto_server, prefix, "dst") == data
    head = client(moto_server).head_object(Bucket=BUCKET, Key=f"{prefix}/dst")
    head["Metadata"].pop(MARK)
    assert {name: head[name] for name in KEPT} == KEPT
    assert head["TagCount"] == 1
    info = await view.get_file_info("dst")
    assert (info.metadata, info.content_type) == ({"owner": "ana"}, "text/csv")
    assert keys(moto_server, prefix) == (["dst", "src"] if verb == "copy" else ["dst"])


async def test_a_copy_that_may_replace_stays_one_request(view: View, moto_server: S3Server) -> None:
    await view.write("src", b"1")
    before = len(moto_server.requests)
    await view.copy("src", "dst", overwrite=True)
    assert asked(moto_server, before) == ["PUT"]


async def test_a_missing_source_is_missing(view: View, verb: str, moto_server: S3Server, prefix: str) -> None:
    with pytest.raises(NotFound) as caught:
        await getattr(view, verb)("src", "dst")
    assert caught.value.path == "src"
    assert keys(moto_server, prefix) == []


class Faults:
    """What a server does at a step of a copy in parts."""

    def __init__(self, server: S3Server, prefix: str) -> None:
        self.server, self.prefix, self.completed = server, prefix, list[Answer]()

    def made_meanwhile(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if is_request(environ, "PUT", "uploadId"):
            put(self.server, self.prefix, "dst", b"theirs")
        return None

    def replaced_meanwhile(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if not is_request(environ, "PUT", "uploadId"):
            return None
        put(self.server, self.prefix, "src", b"newer")
        tag = client(self.server).head_object(Bucket=BUCKET, Key=f"{self.prefix}/src")["ETag"]
        # moto overlooks the condition of a part.
        return UNMET if environ["HTTP_X_AMZ_COPY_SOURCE_IF_MATCH"] != tag else None

    def refused(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        return DENIED if is_request(environ, "PUT", "uploadId") else None

    def reply_lost(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if not is_request(environ, "POST", "uploadId"):
            return None
        if self.completed:
            return UNMET
        self.completed.append(carry_out())
        hang_up(environ)

    def beaten_and_reply_lost(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        """Another copy of the same file was first, and the first reply that says so is lost."""
        if not is_request(environ, "POST", "uploadId"):
            return None
        if self.completed:
            return UNMET
        self.completed.append(UNMET)
        source = {"Bucket": BUCKET, "Key": f"{self.prefix}/src"}
        client(self.server).copy_object(Bucket=BUCKET, Key=f"{self.prefix}/dst", CopySource=source)
        hang_up(environ)


@pytest.fixture
def faults(moto_server: S3Server, prefix: str) -> Faults:
    return Faults(moto_server, prefix)


async def test_a_target_made_meanwhile_is_kept(view: View, verb: str, faults: Faults) -> None:
    await view.write("src", b"1")
    with faults.server.hooked(faults.made_meanwhile), pytest.raises(AlreadyExists) as caught:
        await getattr(view, verb)("src", "dst")
    assert caught.value.path == "dst"
    assert content_of(faults.server, faults.prefix, "dst") == b"theirs"
    assert keys(faults.server, faults.prefix) == ["dst", "src"]


async def test_a_source_replaced_meanwhile_is_an_error(view: View, verb: str, faults: Faults) -> None:
    await view.write("src", b"1")
    with faults.server.hooked(faults.replaced_meanwhile), pytest.raises(PreconditionFailed) as caught:
        await getattr(view, verb)("src", "dst")
    assert caught.value.path == "src"
    assert keys(faults.server, faults.prefix) == ["src"]


async def test_a_part_that_is_refused_leaves_nothing(view: View, verb: str, faults: Faults) -> None:
    await view.write("src", b"1")
    with faults.server.hooked(faults.refused), pytest.raises(PermissionDenied):
        await getattr(view, verb)("src", "dst")
    assert keys(faults.server, faults.prefix) == ["src"]


async def test_the_echo_of_an_own_copy_is_no_conflict(view: View, verb: str, faults: Faults) -> None:
    await view.write("src", b"1")
    with faults.server.hooked(faults.reply_lost):
        await getattr(view, verb)("src", "dst")
    assert faults.completed[0].status.startswith("200")
    assert content_of(faults.server, faults.prefix, "dst") == b"1"
    assert keys(faults.server, faults.prefix) == (["dst", "src"] if verb == "copy" else ["dst"])


async def test_the_same_content_of_another_copy_is_no_echo(view: View, verb: str, faults: Faults) -> None:
    await view.write("src", b"1")  # With a mark, which the other copy takes along.
    with faults.server.hooked(faults.beaten_and_reply_lost), pytest.raises(AlreadyExists):
        await getattr(view, verb)("src", "dst")
    assert faults.completed == [UNMET]
    assert keys(faults.server, faults.prefix) == ["dst", "src"]


async def test_a_copy_that_is_cancelled_leaves_nothing(verb: str, moto_server: S3Server, prefix: str) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stall(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if is_request(environ, "PUT", "uploadId"):
            loop.call_soon_threadsafe(begun.set)
        return None

    async with view_of("async", moto_server, prefix, exclusive_copy="multipart") as view:
        await view.write("src", b"1")
        with moto_server.hooked(stall):
            task = asyncio.ensure_future(getattr(view, verb)("src", "dst"))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert keys(moto_server, prefix) == ["src"]


@pytest.mark.parametrize("value", ["Multipart", "", True, 1, "copy"])
@pytest.mark.parametrize("cls", [S3Backend, AsyncS3Backend])
def test_another_value_is_refused(cls: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^exclusive_copy must be 'multipart' or None, not "):
        cls("b", exclusive_copy=value)
