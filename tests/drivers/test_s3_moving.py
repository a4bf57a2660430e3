"""Moves on S3: a source is deleted only if it still is what was copied."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, refusal, view_of

from remote_store import AlreadyExists, PermissionDenied, PreconditionFailed
from remote_store.certify.view import View

PART = 5 << 20
CarryOut = Callable[[], Answer]


class Place:
    """A store with a file, and what happens before one of its requests.

    Attributes:
        before: call of the SDK → what happens before it, once.
    """

    def __init__(self, view: View, server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view, self.server, self.prefix = view, server, prefix
        self.before: dict[str, Callable[[], object]] = {}
        driver = view.store._backend._driver
        call = driver.call

        async def eventful(verb: str, key: str, **request: Any) -> Any:
            self.before.pop(verb, lambda: None)()
            return await call(verb, key, **request)

        monkeypatch.setattr(driver, "call", eventful)

    def put(self, key: str, data: bytes) -> None:
        client(self.server).put_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}", Body=data)

    def delete(self, key: str) -> None:
        client(self.server).delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}")

    def files(self) -> dict[str, bytes]:
        look = client(self.server)
        found = look.list_objects_v2(Bucket=BUCKET, Prefix=self.prefix + "/").get("Contents", ())
        names = [entry["Key"] for entry in found]
        contents = {name: look.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}
        return {name.removeprefix(self.prefix + "/"): content for name, content in contents.items()}


@pytest.fixture(params=["moto", "ministack"])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def place(kind: str, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    prefix = server.fresh_prefix()
    async with view_of(kind, server, prefix, part_size=PART) as view:
        yield Place(view, server, prefix, monkeypatch)


@pytest.fixture
async def on_moto(
    kind: str, moto_server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    async with view_of(kind, moto_server, prefix, part_size=PART) as view:
        yield Place(view, moto_server, prefix, monkeypatch)


overwriting = pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])


@overwriting
async def test_what_is_written_to_the_source_meanwhile_is_kept(place: Place, overwrite: bool) -> None:
    await place.view.write("src", b"old")
    place.before["delete_object"] = lambda: place.put("src", b"new")
    with pytest.raises(PreconditionFailed, match="changed while it was being moved") as caught:
        await place.view.move("src", "dst", overwrite=overwrite)
    assert (caught.value.path, caught.value.target, caught.value.backend) == ("src", "dst", "s3")
    assert "path='src'" in str(caught.value)
    assert "target='dst'" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert place.files() == {"src": b"new", "dst": b"old"}
    await place.view.move("src", "dst", overwrite=True)
    assert place.files() == {"dst": b"new"}


async def test_a_child_names_both_as_its_own(place: Place) -> None:
    await place.view.write("a/src", b"old")
    place.before["delete_object"] = lambda: place.put("a/src", b"new")
    with pytest.raises(PreconditionFailed) as caught:
        await place.view.child("a").move("src", "dst")
    assert (caught.value.path, caught.value.target) == ("src", "dst")


async def test_a_source_that_others_deleted_meanwhile_has_been_moved(place: Place) -> None:
    await place.view.write("src", b"old")
    place.before["delete_object"] = lambda: place.delete("src")
    await place.view.move("src", "dst")
    assert place.files() == {"dst": b"old"}


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


def judged(place: Place) -> Callable[[Environ, CarryOut], Answer | None]:
    """Conditions of copies, which moto overlooks, judged; the refusal does not say which of them failed."""

    def hook(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if "HTTP_X_AMZ_COPY_SOURCE" not in environ:
            return None
        look, tags = client(place.server), {}
        place.server.hook = None
        for entry in look.list_objects_v2(Bucket=BUCKET, Prefix=place.prefix + "/").get("Contents", ()):
            tags[entry["Key"].removeprefix(place.prefix + "/")] = entry["ETag"]
        place.server.hook = hook
        moved = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH") not in (None, tags.get("src"))
        if moved or ("HTTP_IF_NONE_MATCH" in environ and "dst" in tags):
            return refusal("412 Precondition Failed", "PreconditionFailed")
        return None

    return hook


@overwriting
async def test_a_source_that_changes_before_it_is_copied_is_kept(on_moto: Place, overwrite: bool) -> None:
    place = on_moto
    await place.view.write("src", b"old")
    place.before["copy_object"] = lambda: place.put("src", b"new")
    with place.server.hooked(judged(place)), pytest.raises(PreconditionFailed) as caught:
        await place.view.move("src", "dst", overwrite=overwrite)
    assert (caught.value.path, caught.value.target) == ("src", "dst")
    assert place.files() == {"src": b"new"}


async def test_a_target_that_appears_before_the_copy_is_kept(on_moto: Place) -> None:
    place = on_moto
    await place.view.write("src", b"mine")
    place.before["copy_object"] = lambda: place.put("dst", b"theirs")
    with place.server.hooked(judged(place)), pytest.raises(AlreadyExists) as caught:
        await place.view.move("src", "dst")
    assert caught.value.path == "dst"
    assert place.files() == {"src": b"mine", "dst": b"theirs"}


UNABLE = [("501 Not Implemented", "NotImplemented"), ("400 Bad Request", "InvalidArgument"), ("501 Other", "")]


@pytest.mark.parametrize(("status", "code"), UNABLE)
@pytest.mark.parametrize("changes", [False, True], ids=["same", "changed"])
async def test_where_deletes_take_no_condition_the_source_is_looked_at_again(
    on_moto: Place, status: str, code: str, changes: bool
) -> None:
    def unable(environ: Environ, _: CarryOut) -> Answer | None:
        conditional = environ["REQUEST_METHOD"] == "DELETE" and "HTTP_IF_MATCH" in environ
        return refusal(status, code) if conditional else None

    place = on_moto
    await place.view.write("src", b"old")
    if changes:
        place.before["delete_object"] = lambda: place.put("src", b"new")
    with place.server.hooked(unable):
        if changes:
            with pytest.raises(PreconditionFailed):
                await place.view.move("src", "dst")
        else:
            await place.view.move("src", "dst")
    assert place.files() == ({"src": b"new", "dst": b"old"} if changes else {"dst": b"old"})


async def test_a_refused_delete_is_told(on_moto: Place) -> None:
    place = on_moto
    await place.view.write("src", b"old")
    denied = refusal("403 Forbidden", "AccessDenied")
    place.server.hook = lambda environ, _: denied if environ["REQUEST_METHOD"] == "DELETE" else None
    with pytest.raises(PermissionDenied) as caught:
        await place.view.move("src", "dst")
    place.server.hook = None
    assert caught.value.path == "src"
    assert place.files() == {"src": b"old", "dst": b"old"}


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
