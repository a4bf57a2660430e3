"""Replies of S3 that a caller must not be troubled with, or must: lost ones, partial ones, endless ones."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from servers.s3 import (
    BUCKET,
    SECRET,
    Answer,
    Environ,
    S3Server,
    client,
    content,
    hang_up,
    refusal,
    set_content,
)

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)
from remote_store.certify.view import View
from remote_store.drivers.s3.headers import combined

PART = 5 << 20
PIECES = [random.Random(number).randbytes(PART) for number in range(2)] + [b"end"]
DATA = b"".join(PIECES)
CarryOut = Callable[[], Answer]


@pytest.fixture
def look(moto_server: S3Server) -> Any:
    return client(moto_server)


def uploads(look: Any, prefix: str) -> list[str]:
    found = look.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    return [upload["Key"] for upload in found if upload["Key"].startswith(prefix + "/")]


# --- a completed upload whose reply was lost

MET = refusal("412 Precondition Failed", "PreconditionFailed")
GONE = refusal("404 Not Found", "NoSuchUpload")
BUSY = refusal("409 Conflict", "ConditionalRequestConflict")


def is_completion(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and "uploadId=" in environ["QUERY_STRING"]


class LostReply:
    """Loses the first reply to the completion of an upload, and answers the others.

    Args:
        answer: to all but the first.
        instead: is done instead of the first completion, which else is carried out.
        no_head: whether questions are refused from then on.
    """

    def __init__(self, answer: Answer, instead: Callable[[], object] | None = None, *, no_head: bool = False) -> None:
        self._answer, self._instead, self._no_head = answer, instead, no_head
        self.asked = 0

    def __call__(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if environ["REQUEST_METHOD"] == "HEAD" and self.asked and self._no_head:
            return refusal("403 Forbidden", "AccessDenied")
        if not is_completion(environ):
            return None
        self.asked += 1
        if self.asked > 1:
            return self._answer
        (self._instead or carry_out)()
        hang_up(environ)


@pytest.mark.parametrize("answer", [MET, GONE, BUSY], ids=["412", "no such upload", "409"])
@pytest.mark.parametrize("how", ["create", "replace", "if_match"])
async def test_the_echo_of_an_own_upload_is_success(
    view: View, moto_server: S3Server, look: Any, prefix: str, answer: Answer, how: str
) -> None:
    options: dict[str, Any] = {"overwrite": how == "replace"}
    if how != "create":
        old = await view.write("key", b"old")
    if how == "if_match":
        options = {"if_match": old.etag}
    reply = LostReply(answer)
    with moto_server.hooked(reply):
        result = await view.write("key", view.stream(PIECES), **options)
    assert reply.asked == 2
    assert result.size == len(DATA)
    assert result.etag == (await view.get_file_info("key")).etag
    assert await view.read_bytes("key") == DATA
    assert uploads(look, prefix) == []


@pytest.mark.parametrize("theirs", [b"theirs", DATA[::-1], DATA], ids=["other", "of the same size", "put at once"])
@pytest.mark.parametrize("if_match", [False, True])
async def test_a_true_conflict_stays_one_when_a_reply_is_lost(
    view: View, moto_server: S3Server, look: Any, prefix: str, theirs: bytes, if_match: bool
) -> None:
    options = {"if_match": (await view.write("key", b"old")).etag} if if_match else {}
    reply = LostReply(MET, lambda: look.put_object(Bucket=BUCKET, Key=f"{prefix}/key", Body=theirs))
    with moto_server.hooked(reply), pytest.raises(PreconditionFailed if if_match else AlreadyExists) as caught:
        await view.write("key", view.stream(PIECES), **options)
    assert reply.asked == 2
    assert caught.value.path == "key"
    assert (await view.get_file_info("key")).etag == hashlib.md5(theirs).hexdigest()
    assert uploads(look, prefix) == []


class DoneThen:
    """Carries out the first of certain requests, and answers it as if nothing had been done.

    Args:
        chosen: which requests.
        answer: what is answered, None for a connection that breaks.
        second: answer to the second, where it is not judged.
    """

    def __init__(self, chosen: Callable[[Environ], bool], answer: Answer | None, second: Answer | None = None) -> None:
        self._chosen, self._answer, self._second = chosen, answer, second
        self.asked = 0

    def __call__(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if not self._chosen(environ):
            return None
        self.asked += 1
        if self.asked == 2 and self._second:
            return self._second
        if self.asked > 1:
            return None
        carry_out()
        return self._answer or hang_up(environ)


def is_put(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "PUT" and "partNumber" not in environ["QUERY_STRING"]


STATUSES = {
    "500": refusal("500 Internal Server Error", "InternalError"),
    "502": Answer("502 Bad Gateway", b"<html>Bad gateway</html>"),
    "503": refusal("503 Slow Down", "SlowDown"),
    "504": Answer("504 Gateway Timeout", b""),
    "a page": Answer("200 OK", b"<!DOCTYPE html><html><p>Welcome</html>"),
    "reset": None,
}


@pytest.mark.parametrize("answer", STATUSES.values(), ids=STATUSES)
@pytest.mark.parametrize("how", ["create", "if_match"])
@pytest.mark.parametrize("parts", [False, True], ids=["put", "parts"])
async def test_a_conditional_write_that_was_done_unheard_is_success(
    view: View, moto_server: S3Server, look: Any, prefix: str, answer: Answer | None, how: str, parts: bool
) -> None:
    options = {"if_match": (await view.write("key", b"old")).etag} if how == "if_match" else {}
    # Once it is completed, moto knows an upload no more, and judges no condition.
    done = DoneThen(is_completion, answer, MET) if parts else DoneThen(is_put, answer)
    with moto_server.hooked(done):
        result = await view.write("key", view.stream(PIECES) if parts else b"mine", metadata={"a": "b"}, **options)
    assert done.asked == 2
    assert await view.read_bytes("key") == (DATA if parts else b"mine")
    assert result.etag == (await view.get_file_info("key")).etag
    assert uploads(look, prefix) == []


@pytest.mark.parametrize("how", ["create", "if_match"])
async def test_a_write_that_meets_its_own_first_try_half_way_is_success(
    view: View, moto_server: S3Server, how: str
) -> None:
    options = {"if_match": (await view.write("key", b"old")).etag} if how == "if_match" else {}
    done = DoneThen(is_put, STATUSES["503"], BUSY)
    with moto_server.hooked(done):
        result = await view.write("key", b"mine", **options)
    assert done.asked == 3
    assert result.etag == hashlib.md5(b"mine").hexdigest()
    assert await view.read_bytes("key") == b"mine"


@pytest.mark.parametrize("theirs", [b"theirs", b"mine"], ids=["other", "the same with other metadata"])
@pytest.mark.parametrize("how", ["create", "if_match"])
async def test_a_write_of_others_after_a_busy_answer_is_a_conflict(
    view: View, moto_server: S3Server, look: Any, prefix: str, theirs: bytes, how: str
) -> None:
    def theirs_first(environ: Environ, _: CarryOut) -> Answer | None:
        if not is_put(environ) or moto_server.hook is None:
            return None
        moto_server.hook = None
        look.put_object(Bucket=BUCKET, Key=f"{prefix}/key", Body=theirs)
        return STATUSES["503"]

    options = {"if_match": (await view.write("key", b"old")).etag} if how == "if_match" else {}
    with moto_server.hooked(theirs_first), pytest.raises(PreconditionFailed if options else AlreadyExists):
        await view.write("key", b"mine", metadata={"a": "b"}, **options)
    assert await view.read_bytes("key") == theirs


@pytest.mark.parametrize("verb", ["copy", "move"])
@pytest.mark.parametrize("answer", STATUSES.values(), ids=STATUSES)
@pytest.mark.parametrize("parts", [False, True], ids=["put", "parts"])
async def test_a_copy_that_was_done_unheard_is_success(
    view: View, moto_server: S3Server, verb: str, answer: Answer | None, parts: bool
) -> None:
    """The ETag of a source in parts is not its copy's, but the checksum of the whole is."""

    def vouched(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if environ["REQUEST_METHOD"] != "HEAD" or not parts:
            return done(environ, carry_out)
        reply = carry_out()
        told = [header for header in reply.headers if not header[0].lower().startswith("x-amz-checksum")]
        checksum = (("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="), ("x-amz-checksum-type", "FULL_OBJECT"))
        return reply._replace(headers=(*told, *checksum) if reply.status.startswith("200") else reply.headers)

    await view.write("src", view.stream(PIECES) if parts else b"mine", metadata={"a": "b"})
    done = DoneThen(lambda environ: "HTTP_X_AMZ_COPY_SOURCE" in environ, answer, MET)
    with moto_server.hooked(vouched):
        await getattr(view, verb)("src", "dst")
    assert done.asked == 2
    assert await view.read_bytes("dst") == (DATA if parts else b"mine")
    assert await view.exists("src") == (verb == "copy")


async def test_an_equal_file_is_a_conflict_where_no_reply_was_lost(view: View, moto_server: S3Server) -> None:
    def answer(environ: Environ, carry_out: CarryOut) -> Answer | None:
        return carry_out() and MET if is_completion(environ) else None

    with moto_server.hooked(answer), pytest.raises(AlreadyExists):
        await view.write("key", view.stream(PIECES))
    assert await view.read_bytes("key") == DATA


async def test_an_upload_that_somebody_aborted_is_an_error(view: View, moto_server: S3Server) -> None:
    reply = LostReply(GONE, lambda: None)
    for hook in (lambda environ, _: GONE if "uploadId=" in environ["QUERY_STRING"] else None, reply):
        with moto_server.hooked(hook), pytest.raises(RemoteStoreError, match="NoSuchUpload"):
            await view.write("key", view.stream(PIECES))
    assert reply.asked == 2
    assert not await view.exists("key")


async def test_a_conflict_stands_where_nobody_may_look(view: View, moto_server: S3Server) -> None:
    with moto_server.hooked(LostReply(MET, no_head=True)), pytest.raises(AlreadyExists):
        await view.write("key", view.stream(PIECES))


async def test_a_conflict_stands_where_etags_are_no_sums(view: View, moto_server: S3Server) -> None:
    class Encrypted(LostReply):
        """Gives parts etags of another kind, as under a KMS key, and understands them."""

        def __call__(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
            if environ["REQUEST_METHOD"] == "PUT":
                answer = carry_out()
                headers = tuple((n, f'"-kms-{v[1:]}' if n.lower() == "etag" else v) for n, v in answer.headers)
                return answer._replace(headers=headers)
            if is_completion(environ):
                parts = content(environ)
                assert parts.count(b"-kms-") == 3 or self.asked
                set_content(environ, parts.replace(b"-kms-", b""))
            return super().__call__(environ, carry_out)

    reply = Encrypted(MET)
    with moto_server.hooked(reply), pytest.raises(AlreadyExists):
        await view.write("key", view.stream(PIECES))
    assert reply.asked == 2
    assert await view.read_bytes("key") == DATA


def test_etags_combine_only_where_they_are_sums() -> None:
    sums = [hashlib.md5(piece) for piece in PIECES]
    whole = hashlib.md5(b"".join(one.digest() for one in sums)).hexdigest()
    assert combined(f'"{one.hexdigest()}"' for one in sums) == f"{whole}-3"
    for other in ('"0123"', '"' + "z" * 32 + '"', '"' + "0" * 32 + '-2"', '""'):
        assert combined([f'"{sums[0].hexdigest()}"', other]) is None


# --- deleting many


class Refusing:
    """Refuses to delete some keys, with a code for each, and deletes the others."""

    def __init__(self, codes: dict[str, str]) -> None:
        self._codes = {key.encode(): code for key, code in codes.items()}

    def __call__(self, environ: Environ, carry_out: CarryOut) -> Answer | None:
        if environ["REQUEST_METHOD"] != "POST" or not environ["QUERY_STRING"].startswith("delete"):
            return None
        asked = content(environ)
        errors = b""
        for entry in re.findall(rb"<Object>.*?</Object>", asked):
            key = entry[len(b"<Object><Key>") :].partition(b"</Key>")[0]
            if code := self._codes.get(key):
                asked = asked.replace(entry, b"")
                errors += b"<Error><Key>%s</Key><Code>%s</Code>" % (key, code.encode())
                errors += b"<Message>%s</Message></Error>" % SECRET.encode()
        set_content(environ, asked)
        assert carry_out().status.startswith("200")
        return Answer("200 OK", b"<DeleteResult>" + errors + b"</DeleteResult>")


async def test_a_failure_to_delete_without_a_code_is_malformed(view: View, moto_server: S3Server) -> None:
    await view.write("d/f", b"1")
    answer = Answer("200 OK", b"<DeleteResult><Error><Key>f</Key></Error></DeleteResult>")
    hooked = moto_server.hooked(lambda environ, _: answer if environ["REQUEST_METHOD"] == "POST" else None)
    with hooked, pytest.raises(BackendUnavailable, match="malformed: no Code"):
        await view.delete_folder("d", recursive=True)
    assert await view.exists("d/f")


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ({"d/1": "AccessDenied"}, PermissionDenied),
        ({"d/1": "AccessDenied", "d/e/3": "InternalError"}, PermissionDenied),
        ({"d/1": "InternalError", "d/e/3": "AccessDenied", "d/4 ü": "SlowDown"}, BackendUnavailable),
        ({"d/1": "SomethingNew", "d/2": "AccessDenied"}, RemoteStoreError),
    ],
)
async def test_keys_that_were_not_deleted_are_told(
    view: View, moto_server: S3Server, prefix: str, codes: dict[str, str], error: type[RemoteStoreError]
) -> None:
    keys = {"d/1", "d/2", "d/e/3", "d/4 ü", "d/5"}
    for key in keys:
        await view.write(key, b"x")
    refusing = Refusing({f"{prefix}/{key}": code for key, code in codes.items()})
    with moto_server.hooked(refusing), pytest.raises(RemoteStoreError) as caught:
        await view.delete_folder("d", recursive=True, missing_ok=True)
    assert type(caught.value) is error
    assert caught.value.path == "d/1"
    assert caught.value.backend == "s3"
    assert f"{len(codes)} of 5 objects" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert {str(file.path) async for file in view.list_files("", recursive=True)} == set(codes)
    await view.delete_folder("d", recursive=True)
    assert not await view.exists("d")
    await view.write("d/1", b"again")
    assert await view.read_bytes("d/1") == b"again"


async def test_a_child_tells_the_path_as_its_own(view: View, moto_server: S3Server, prefix: str) -> None:
    child = view.child("a")
    await child.write("d/1", b"x")
    await child.write("d/2", b"x")
    with moto_server.hooked(Refusing({f"{prefix}/a/d/1": "AccessDenied"})), pytest.raises(PermissionDenied) as caught:
        await child.delete_folder("d", recursive=True)
    assert caught.value.path == "d/1"


# --- a redirect to nowhere


@pytest.mark.parametrize(
    ("status", "code"),
    [("301 Moved Permanently", "PermanentRedirect"), ("307 Temporary Redirect", "TemporaryRedirect")],
)
async def test_a_redirect_that_names_no_region_is_told_and_not_followed(
    view: View, moto_server: S3Server, status: str, code: str
) -> None:
    calls: list[Callable[[], Any]] = [
        view.ping,
        lambda: view.read_bytes("key"),
        lambda: view.exists("key"),
        lambda: view.write("key", b"x", overwrite=True),
        lambda: view.delete("key", missing_ok=True),
        lambda: anext(view.list_files("")),
    ]
    with moto_server.hooked(lambda environ, _: refusal(status, code)):
        for call in calls:
            before = len(moto_server.requests)
            with pytest.raises(BackendUnavailable, match="region") as caught:
                await call()
            assert caught.value.backend == "s3"
            assert len(moto_server.requests) - before <= 2  # The call, and the SDK's question where the bucket is.
    with pytest.raises(NotFound):
        await view.read_bytes("key")
    await view.write("key", b"x")


async def test_a_redirect_that_names_the_region_is_followed(view: View, moto_server: S3Server) -> None:
    await view.write("key", b"x")
    elsewhere = refusal("301 Moved Permanently", "PermanentRedirect")
    elsewhere = elsewhere._replace(headers=(*elsewhere.headers, ("x-amz-bucket-region", "eu-west-3")))
    asked: list[str] = []

    def redirect(environ: Environ, carry_out: CarryOut) -> Answer | None:
        asked.append(environ["HTTP_AUTHORIZATION"])
        return None if "/eu-west-3/" in asked[-1] else elsewhere

    with moto_server.hooked(redirect):
        await view.ping()
        assert await view.read_bytes("key") == b"x"
    assert "/us-east-1/" in asked[0]
