"""Moves on S3: the conditions by which a source is deleted only if it still is what was copied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.s3 import PART, UNMET, CarryOut, content_of, keys, put
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, refusal, view_of

from remote_store import PreconditionFailed
from remote_store.certify.view import View


@dataclass
class Place:
    """A store, and what its server has below its root."""

    view: View
    server: S3Server
    prefix: str

    def put(self, key: str, data: bytes) -> None:
        put(self.server, self.prefix, key, data)

    def files(self) -> dict[str, bytes]:
        return {key: content_of(self.server, self.prefix, key) for key in keys(self.server, self.prefix)}


async def made(kind: str, server: S3Server) -> AsyncIterator[Place]:
    prefix = server.fresh_prefix()
    async with view_of(kind, server, prefix, part_size=PART) as view:
        yield Place(view, server, prefix)


@pytest.fixture(params=["moto", "ministack"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async for place in made("async", request.getfixturevalue(f"{request.param}_server")):
        yield place


@pytest.fixture(params=["sync", "async"])
async def on_moto(request: pytest.FixtureRequest, moto_server: S3Server) -> AsyncIterator[Place]:
    async for place in made(request.param, moto_server):
        yield place


overwriting = pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])


@overwriting
async def test_the_service_keeps_what_is_written_to_the_source_meanwhile(
    place: Place, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire: Any = place.view.store._backend._driver.wire
    delete = wire.delete

    async def late(*args: Any) -> None:
        monkeypatch.undo()
        place.put("src", b"new")
        await delete(*args)

    await place.view.write("src", b"old")
    monkeypatch.setattr(wire, "delete", late)
    with pytest.raises(PreconditionFailed, match="changed while it was being moved") as caught:
        await place.view.move("src", "dst", overwrite=overwrite)
    assert (caught.value.path, caught.value.target, caught.value.backend) == ("src", "dst", "s3")
    assert place.files() == {"src": b"new", "dst": b"old"}
    await place.view.move("src", "dst", overwrite=True)
    assert place.files() == {"dst": b"new"}


async def test_a_source_that_came_in_parts_is_moved(place: Place) -> None:
    await place.view.write("src", place.view.stream([bytes(PART), b"end"]), metadata={"a": "b"})
    await place.view.move("src", "dst")
    assert place.files() == {"dst": bytes(PART) + b"end"}
    assert (await place.view.get_file_info("dst")).metadata == {"a": "b"}


async def test_an_etag_that_a_gateway_has_weakened_is_the_same(on_moto: Place) -> None:
    def weaken(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if environ["REQUEST_METHOD"] != "HEAD":
            return None
        answer = carry_out()
        tags = tuple((name, f"W/{value}" if name.lower() == "etag" else value) for name, value in answer.headers)
        return answer._replace(headers=tags)

    place = on_moto
    etag = (await place.view.write("src", b"1")).etag
    with place.server.hooked(weaken):
        assert (await place.view.get_file_info("src")).etag == etag
        await place.view.move("src", "dst")
    assert place.files() == {"dst": b"1"}


def judged(place: Place, event: Callable[[], object]) -> Callable[[Environ, CarryOut], Answer | None]:
    """Something happens before a copy, whose condition on the source, which moto overlooks, is judged."""

    def hook(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if "HTTP_X_AMZ_COPY_SOURCE" not in environ:
            return None
        place.server.hook = None
        event()
        [now] = client(place.server).list_objects_v2(Bucket=BUCKET, Prefix=f"{place.prefix}/src")["Contents"]
        return UNMET if environ["HTTP_X_AMZ_COPY_SOURCE_IF_MATCH"] != now["ETag"] else None

    return hook


@overwriting
async def test_a_source_that_changes_before_it_is_copied_is_kept(on_moto: Place, overwrite: bool) -> None:
    place = on_moto
    await place.view.write("src", b"old")
    hook = judged(place, lambda: place.put("src", b"new"))
    with place.server.hooked(hook), pytest.raises(PreconditionFailed) as caught:
        await place.view.move("src", "dst", overwrite=overwrite)
    assert (caught.value.path, caught.value.target) == ("src", "dst")
    assert place.files() == {"src": b"new"}


UNABLE = [("501 Not Implemented", "NotImplemented"), ("400 Bad Request", "InvalidArgument"), ("501 Other", "")]


@pytest.mark.parametrize(("status", "code"), UNABLE)
async def test_a_service_that_takes_no_condition_on_deletes_says_so(on_moto: Place, status: str, code: str) -> None:
    def unable(environ: Environ, _: CarryOut) -> Answer | None:
        conditional = environ["REQUEST_METHOD"] == "DELETE" and "HTTP_IF_MATCH" in environ
        return refusal(status, code) if conditional else None

    place = on_moto
    await place.view.write("src", b"old")
    with place.server.hooked(unable):
        await place.view.move("src", "dst")
    assert place.files() == {"dst": b"old"}


async def test_a_delete_whose_reply_was_lost_is_done(on_moto: Place) -> None:
    tries: list[str] = []

    def lose(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if environ["REQUEST_METHOD"] != "DELETE":
            return None
        tries.append("delete")
        answer = carry_out()
        return refusal("503 Service Unavailable", "ServiceUnavailable") if len(tries) == 1 else answer

    place = on_moto
    await place.view.write("src", b"old")
    with place.server.hooked(lose):
        await place.view.move("src", "dst")
    assert len(tries) == 2
    assert place.files() == {"dst": b"old"}
