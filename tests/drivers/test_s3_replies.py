"""Replies of S3 that a caller must not be troubled with, or must: lost ones, partial ones, endless ones."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from helpers.s3 import PART, UNMET, CarryOut, is_fast, put, uploads
from servers.s3 import (
    SECRET,
    Answer,
    Environ,
    S3Server,
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
    RemoteStoreError,
)
from remote_store.certify.view import View
from remote_store.drivers.s3.headers import combined

PIECES = [random.Random(number).randbytes(PART) for number in range(2)] + [b"end"]
DATA = b"".join(PIECES)


# --- a completed upload whose reply was lost

GONE = refusal("404 Not Found", "NoSuchUpload")
CONFLICT = refusal("409 Conflict", "ConditionalRequestConflict")


def is_completion(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and "uploadId=" in environ["QUERY_STRING"]


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
    view: View, moto_server: S3Server, prefix: str, answer: Answer | None, how: str, parts: bool
) -> None:
    options = {"if_match": (await view.write("key", b"old")).etag} if how == "if_match" else {}
    # Once it is completed, moto knows an upload no more, and judges no condition.
    done = DoneThen(is_completion, answer, UNMET) if parts else DoneThen(is_put, answer)
    with moto_server.hooked(done):
        result = await view.write("key", view.stream(PIECES) if parts else b"mine", metadata={"a": "b"}, **options)
    assert done.asked == 2
    assert await view.read_bytes("key") == (DATA if parts else b"mine")
    assert result.etag == (await view.get_file_info("key")).etag
    assert uploads(moto_server, prefix) == []


@pytest.mark.parametrize("answer", [UNMET, GONE, CONFLICT], ids=["412", "no such upload", "409"])
async def test_an_upload_is_told_from_its_echo_by_each_code(
    view: View, moto_server: S3Server, prefix: str, answer: Answer
) -> None:
    done = DoneThen(is_completion, None, answer)
    with moto_server.hooked(done):
        result = await view.write("key", view.stream(PIECES), overwrite=answer is GONE)
    assert done.asked == 2
    assert result.size == len(DATA)
    assert result.etag == (await view.get_file_info("key")).etag
    assert uploads(moto_server, prefix) == []


@pytest.mark.parametrize("theirs", [DATA[::-1], DATA], ids=["other", "put at once"])
async def test_a_file_of_others_is_not_taken_for_our_upload(
    view: View, moto_server: S3Server, prefix: str, theirs: bytes
) -> None:
    tries: list[str] = []

    def lose(environ: Environ, _: CarryOut) -> Answer | None:
        if not is_completion(environ):
            return None
        tries.append("complete")
        if len(tries) > 1:
            return UNMET
        put(moto_server, prefix, "key", theirs)
        hang_up(environ)

    with moto_server.hooked(lose), pytest.raises(AlreadyExists):
        await view.write("key", view.stream(PIECES))
    assert len(tries) == 2
    assert await view.read_bytes("key") == theirs
    assert uploads(moto_server, prefix) == []


async def test_a_put_that_meets_its_own_first_try_half_way_is_success(view: View, moto_server: S3Server) -> None:
    done = DoneThen(is_put, STATUSES["503"], CONFLICT)
    with moto_server.hooked(done):
        result = await view.write("key", b"mine")
    assert done.asked == 3
    assert result.etag == hashlib.md5(b"mine").hexdigest()


@pytest.mark.parametrize("theirs", [b"theirs", b"mine"], ids=["other", "the same with other metadata"])
async def test_a_write_of_others_after_a_busy_answer_is_a_conflict(
    view: View, moto_server: S3Server, prefix: str, theirs: bytes
) -> None:
    def theirs_first(environ: Environ, _: CarryOut) -> Answer | None:
        if not is_put(environ) or moto_server.hook is None:
            return None
        moto_server.hook = None
        put(moto_server, prefix, "key", theirs)
        return STATUSES["503"]

    with moto_server.hooked(theirs_first), pytest.raises(AlreadyExists):
        await view.write("key", b"mine", metadata={"a": "b"})
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
    done = DoneThen(lambda environ: "HTTP_X_AMZ_COPY_SOURCE" in environ, answer, UNMET)
    with moto_server.hooked(vouched):
        await getattr(view, verb)("src", "dst")
    assert done.asked == 2
    assert await view.read_bytes("dst") == (DATA if parts else b"mine")
    assert await view.exists("src") == (verb == "copy")


async def test_an_upload_that_somebody_aborted_is_an_error(view: View, moto_server: S3Server) -> None:
    gone = moto_server.hooked(lambda environ, _: GONE if "uploadId=" in environ["QUERY_STRING"] else None)
    with gone, pytest.raises(RemoteStoreError, match="NoSuchUpload"):
        await view.write("key", view.stream(PIECES))
    assert not await view.exists("key")


async def test_the_echo_of_an_own_upload_is_known_where_etags_are_no_sums(view: View, moto_server: S3Server) -> None:
    done = DoneThen(is_completion, None, UNMET)

    def encrypted(environ: Environ, carry_out: CarryOut) -> Answer | None:
        """Gives parts etags of another kind, as under a KMS key, and understands them."""
        if environ["REQUEST_METHOD"] == "PUT":
            answer = carry_out()
            headers = tuple((n, f'"-kms-{v[1:]}' if n.lower() == "etag" else v) for n, v in answer.headers)
            return answer._replace(headers=headers)
        if is_completion(environ):
            parts = content(environ)
            assert parts.count(b"-kms-") == 3 or done.asked
            set_content(environ, parts.replace(b"-kms-", b""))
        return done(environ, carry_out)

    with moto_server.hooked(encrypted):
        await view.write("key", view.stream(PIECES))
    assert done.asked == 2
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
            # The call, which the SDK makes once more where obstore was first, and its question where the bucket is.
            assert len(moto_server.requests) - before <= (3 if is_fast(view) else 2)
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
