"""What does not answer like S3, or not in full: an error that says so, never absence and never success."""

from __future__ import annotations

import errno
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from helpers.s3 import FAST, PART, CarryOut, is_fast, keys
from helpers.works import CHANGES, READS, Work, every
from servers.s3 import BUCKET, Answer, Environ, S3Server, refusal, view_of

from remote_store import BackendUnavailable, NotFound, PermissionDenied, RemoteStoreError, StorageFull
from remote_store.certify.view import View

HTML = (("Content-Type", "text/html"),)
PAGE = b"<!DOCTYPE html><html><body><p>Nothing here<hr></body></html>"
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Welcome</p></body></html>'


@pytest.fixture(params=["sync", "async", *FAST])
async def view(request: pytest.FixtureRequest, moto_server: S3Server, prefix: str) -> AsyncIterator[View]:
    """A store whose SDK tries once."""
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    async with view_of(request.param, moto_server, prefix, part_size=PART, **once) as view:
        yield view


def asked(environ: Environ) -> str:
    """The operation of a request, as far as these tests tell them apart."""
    verb, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
    if "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "COPY"
    for mark, name in (("list-type", "LIST"), ("uploads", "BEGIN"), ("delete", "BULK")):
        if mark in query:
            return name
    if "uploadId" in query:
        return "PART" if verb == "PUT" else "COMPLETE" if verb == "POST" else verb
    return str(verb)


def long_content(view: View) -> Any:
    return view.stream([bytes(PART), b"end"])


WRITES: dict[str, Work] = {
    "write": lambda view: view.write("new", b"1"),
    "write, overwrite": lambda view: view.write("new", b"1", overwrite=True),
    "a long write": lambda view: view.write("new", long_content(view)),
}


PAGES = {
    "a page, 404": Answer("404 Not Found", PAGE, HTML),
    "nothing, 404": Answer("404 Not Found", b"", ()),
    "a way to another page": Answer("301 Moved Permanently", PAGE, (*HTML, ("Location", "https://example.com/"))),
    "a page, 200": Answer("200 OK", PAGE, HTML),
    "an XML page, 200": Answer("200 OK", XHTML, HTML),
    "JSON, 200": Answer("200 OK", b'{"status": "ok"}', (("Content-Type", "application/json"),)),
    "nothing, 200": Answer("200 OK", b"", ()),
}


@pytest.mark.parametrize("page", PAGES)
async def test_what_is_no_s3_is_an_error_that_says_so(
    view: View, moto_server: S3Server, prefix: str, page: str
) -> None:
    await view.write("key", b"1234")
    await view.write("folder/key", b"1")
    works = {**READS, **CHANGES, **WRITES}
    host = moto_server.endpoint.removeprefix("http://")
    with moto_server.hooked(lambda environ, _: PAGES[page]):
        for name, work in works.items():
            with pytest.raises(RemoteStoreError) as caught:
                pytest.fail(f"{name} gave {await work(view)!r}")
            assert type(caught.value) is BackendUnavailable, name
            assert caught.value.path in ("key", "new", "folder", "folder/key", "", "."), name
            redirect = page == "a way to another page" and "region" in str(caught.value)  # All that a HEAD can tell.
            assert redirect or re.search(
                f"{host} .bucket 'test-bucket'. (does not answer like S3|is malformed)", str(caught.value)
            ), name
    assert keys(moto_server, prefix) == ["folder/key", "key"]


@pytest.mark.parametrize("body", [PAGE, b""])
async def test_a_page_that_refuses_a_range_is_not_the_end_of_a_file(
    view: View, moto_server: S3Server, body: bytes
) -> None:
    await view.write("key", b"1234")
    page = Answer("416 Range Not Satisfiable", body, HTML)
    with moto_server.hooked(lambda environ, _: page if asked(environ) == "GET" else None):
        for name in ("read", "read_bytes", "read_range", "read_seekable"):
            with pytest.raises(BackendUnavailable, match="does not answer like S3"):
                pytest.fail(f"{name} gave {await READS[name](view)!r}")
    assert await view.read_range("key", 4, 9) == b""
    assert await view.read_bytes("key") == b"1234"


async def test_a_page_of_a_web_server_is_no_error_code(view: View, moto_server: S3Server) -> None:
    with moto_server.hooked(lambda environ, _: PAGES["a page, 404"]):
        with pytest.raises(
            BackendUnavailable,
            match=r"127\.0\.0\.1:\d+ \(bucket 'test-bucket'\) does not answer like S3 \(status 404, text/html",
        ):
            await view.write("key", b"1")
        with pytest.raises(BackendUnavailable, match="does not answer like S3"):
            await view.exists("key")
    lacking = Answer("501 Unsupported method", PAGE, HTML)  # As a web server answers to a put.
    with moto_server.hooked(lambda environ, _: lacking), pytest.raises(BackendUnavailable, match="like S3"):
        await view.write("key", b"1")


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_no_redirect_leads_elsewhere(view: View, moto_server: S3Server, status: str) -> None:
    """Whoever is there would get the session token with the request.

    (obstore follows those that stay on the host; test_s3_fast.py has those that do not.)
    """
    there = (*HTML, ("Location", f"{moto_server.endpoint}/{BUCKET}/elsewhere"))
    since = len(moto_server.requests)
    with moto_server.hooked(lambda environ, _: Answer(status, PAGE, there)):
        reads = () if is_fast(view) else (READS["read_bytes"], READS["exists"])
        for work in (*reads, WRITES["write"], READS["list_files"]):
            with pytest.raises(BackendUnavailable):
                await work(view)
    assert not [request for request in moto_server.requests[since:] if "elsewhere" in request]


@dataclass
class Says:
    """Answers some operations its own way, and keeps what was asked."""

    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)

    def __call__(self, environ: Environ, _: CarryOut) -> Answer | None:
        self.asked.append(asked(environ))
        return self.answers.get(self.asked[-1])


async def test_a_miss_stands_where_nobody_may_list(view: View, moto_server: S3Server) -> None:
    says = Says({"LIST": refusal("403 Forbidden", "AccessDenied")})
    with moto_server.hooked(says):
        assert not await view.is_file("none")
        assert await view.delete("none", missing_ok=True) is None
        for work in (view.get_file_info, view.read_bytes, view.delete):
            with pytest.raises(NotFound):
                await work("none")
        assert await every(view.glob("none")) == []
    assert says.asked == ["HEAD", "LIST"] * 3 + ["GET", "LIST"] + ["HEAD", "LIST"] * 2


async def test_a_miss_that_only_a_head_saw_needs_a_service_that_answers(view: View, moto_server: S3Server) -> None:
    with moto_server.hooked(Says({"LIST": refusal("500 Internal Server Error", "InternalError")})):
        for work in (view.exists, view.is_file, view.get_file_info, view.delete):
            with pytest.raises(BackendUnavailable):
                await work("none")
        with pytest.raises(NotFound):
            await view.read_bytes("none")  # Here the service itself has said so.


# --- success that is none


NO_COPIES = {
    "a page": Answer("200 OK", PAGE, HTML),
    "an XML page": Answer("200 OK", XHTML, HTML),
    "nothing": Answer("200 OK", b"", ()),
    "no ETag": Answer(
        "200 OK", b"<CopyObjectResult><LastModified>2026-01-01T00:00:00Z</LastModified></CopyObjectResult>"
    ),
    "an empty result": Answer("200 OK", b"<CopyObjectResult/>"),
    "an empty ETag": Answer("200 OK", b'<CopyObjectResult><ETag>""</ETag></CopyObjectResult>'),
    "another result": Answer("200 OK", b"<CopyPartResult><ETag>&quot;0&quot;</ETag></CopyPartResult>"),
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("answer", NO_COPIES.values(), ids=NO_COPIES)
async def test_a_move_keeps_its_source_until_the_service_says_that_it_is_copied(
    view: View, moto_server: S3Server, prefix: str, answer: Answer, overwrite: bool
) -> None:
    await view.write("src", b"content")
    for move in (view.copy, view.move):
        with (
            moto_server.hooked(Says({"COPY": answer})),
            pytest.raises(BackendUnavailable, match=r"like S3|is malformed"),
        ):
            await move("src", "dst", overwrite=overwrite)
        assert keys(moto_server, prefix) == ["src"]
    await view.move("src", "dst", overwrite=overwrite)
    assert await view.read_bytes("dst") == b"content"


@pytest.mark.parametrize("page", ["a page, 200", "an XML page, 200", "nothing, 200", "JSON, 200"])
async def test_a_page_is_no_proof_of_a_delete(view: View, moto_server: S3Server, prefix: str, page: str) -> None:
    await view.write("key", b"1")
    with moto_server.hooked(Says({"DELETE": PAGES[page]})), pytest.raises(BackendUnavailable, match="like S3"):
        await view.delete("key", missing_ok=True)
    assert keys(moto_server, prefix) == ["key"]


@pytest.mark.parametrize("page", ["a page, 200", "an XML page, 200", "nothing, 200", "JSON, 200"])
async def test_a_page_is_no_proof_of_many_deletes(view: View, moto_server: S3Server, prefix: str, page: str) -> None:
    await view.write("folder/1", b"1")
    await view.write("folder/2", b"2")
    with moto_server.hooked(Says({"BULK": PAGES[page]})), pytest.raises(BackendUnavailable, match="like S3"):
        await view.delete_folder("folder", recursive=True, missing_ok=True)
    assert keys(moto_server, prefix) == ["folder/1", "folder/2"]


# --- replies in part


def without(operation: str, *names: str, instead: str = "") -> Callable[[Environ, CarryOut], Answer | None]:
    """A service whose replies to an operation lack a header or an element, or have others."""

    def hook(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if asked(environ) != operation:
            return None
        answer = carry_out()
        body, headers = answer.body, answer.headers
        for name in names:
            body = re.sub(rf"<{name}>.*?</{name}>".encode(), instead.encode(), body, flags=re.DOTALL)
            headers = tuple(header for header in headers if header[0].lower() != name.lower())
        return answer._replace(body=body, headers=headers)

    return hook


IN_PART: dict[str, tuple[Any, tuple[str, ...]]] = {
    "a HEAD without ETag": (without("HEAD", "ETag"), ("get_file_info", "exists", "is_file", "head")),
    "a HEAD without Last-Modified": (without("HEAD", "Last-Modified"), ("get_file_info", "exists", "is_file", "head")),
    "a GET without ETag": (without("GET", "ETag"), ("read", "read_bytes", "read_range", "read_seekable")),
    "a GET of another range": (
        lambda environ, carry_out: environ.update(HTTP_RANGE="bytes=0-1") if "HTTP_RANGE" in environ else None,
        ("read_range",),
    ),
}
LISTINGS = ("list_files", "iter_children", "glob", "get_folder_info")
for name, hook in {
    "an entry without a size": without("LIST", "Size"),
    "an entry without a key": without("LIST", "Key"),
    "an entry without an ETag": without("LIST", "ETag"),
    "an entry without a time": without("LIST", "LastModified"),
    "a size that is no number": without("LIST", "Size", instead="<Size>many</Size>"),
    "a negative size": without("LIST", "Size", instead="<Size>-1</Size>"),
    "a time that is none": without("LIST", "LastModified", instead="<LastModified>soon</LastModified>"),
    "a time of no clock": without("LIST", "LastModified", instead="<LastModified>9999999999999999</LastModified>"),
    "a time beyond all": without(
        "LIST", "LastModified", instead="<LastModified>0001-01-01T00:00:00+14:00</LastModified>"
    ),
}.items():
    IN_PART[name] = (hook, LISTINGS)
IN_PART["a folder without a name"] = (
    without("LIST", "CommonPrefixes", instead="<CommonPrefixes></CommonPrefixes>"),
    ("list_folders", "iter_children"),
)
IN_PART["a key to delete without a name"] = (without("LIST", "Key"), ("delete_folder recursive",))


@pytest.mark.parametrize("case", IN_PART)
async def test_a_reply_that_lacks_what_it_must_have_is_an_error(
    view: View, moto_server: S3Server, prefix: str, case: str
) -> None:
    await view.write("key", b"1234")
    await view.write("folder/key", b"1")
    await view.write("folder/a/key", b"1")
    hook, names = IN_PART[case]
    with moto_server.hooked(hook):
        for name in names:
            with pytest.raises(
                BackendUnavailable, match=r"reply of 127\.0\.0\.1:\d+ \(bucket 'test-bucket'\) is malformed"
            ) as caught:
                pytest.fail(f"{name} gave {await {**READS, **CHANGES}[name](view)!r}")
            assert caught.value.path in ("key", "folder", "")
    assert keys(moto_server, prefix) == ["folder/a/key", "folder/key", "key"]
    assert await view.read_bytes("key") == b"1234"


async def test_a_get_without_a_length_is_an_error(view: View, moto_server: S3Server) -> None:
    def unsized(environ: Environ, carry_out: CarryOut) -> Answer | None:
        return carry_out()._replace(sized=False) if asked(environ) == "GET" else None

    await view.write("key", b"1234")
    with moto_server.hooked(unsized), pytest.raises(BackendUnavailable, match="no ContentLength"):
        await view.read_bytes("key")


async def test_a_range_refused_that_nobody_asked_for_is_an_error(view: View, moto_server: S3Server) -> None:
    await view.write("key", b"1234")
    refused = refusal("416 Range Not Satisfiable", "InvalidRange")
    with moto_server.hooked(Says({"GET": refused})), pytest.raises(RemoteStoreError, match="InvalidRange"):
        await view.read_bytes("key")
    assert await view.read_bytes("key") == b"1234"
    assert await view.read_range("key", 4, 9) == b""


async def test_a_put_is_believed_by_its_etag(view: View, moto_server: S3Server) -> None:
    """All else in the reply of S3 is what any web server answers that takes a PUT."""
    with moto_server.hooked(without("PUT", "ETag")), pytest.raises(BackendUnavailable, match="malformed: no ETag"):
        await view.write("key", b"1234")
    with moto_server.hooked(lambda *_: Answer("204 No Content", b"", ())), pytest.raises(BackendUnavailable):
        await view.write("other", b"1234", overwrite=True)
    assert not await view.exists("other")


async def test_a_completed_upload_without_an_etag_is_done(view: View, moto_server: S3Server) -> None:
    with moto_server.hooked(without("COMPLETE", "ETag")):
        result = await view.write("key", long_content(view))
    assert (result.size, result.etag) == (PART + 3, None)
    assert await view.read_bytes("key") == bytes(PART) + b"end"


@pytest.mark.parametrize("operation", ["PART", "COMPLETE"])
@pytest.mark.parametrize("page", ["nothing, 200", "an XML page, 200"])
async def test_an_upload_that_the_service_does_not_vouch_for_is_an_error(
    view: View, moto_server: S3Server, prefix: str, operation: str, page: str
) -> None:
    with moto_server.hooked(Says({operation: PAGES[page]})), pytest.raises(BackendUnavailable):
        await view.write("key", long_content(view))
    assert not await view.exists("key")
    assert keys(moto_server, prefix) == []


async def test_an_upload_without_an_id_is_an_error(view: View, moto_server: S3Server) -> None:
    begun = Answer("200 OK", b"<InitiateMultipartUploadResult/>")
    with moto_server.hooked(Says({"BEGIN": begun})), pytest.raises(BackendUnavailable, match="no UploadId"):
        await view.write("key", long_content(view))
    assert not await view.exists("key")


@pytest.mark.parametrize("server", ["moto", "ministack"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_endpoint_that_holds_the_bucket_already_is_an_error(
    kind: str, server: str, request: pytest.FixtureRequest, prefix: str
) -> None:
    served: S3Server = request.getfixturevalue(f"{server}_server")
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    async with view_of(kind, served, prefix, endpoint_url=f"{served.endpoint}/{BUCKET}", **once) as view:
        deletes = ("delete", "delete_folder", "delete_folder recursive")
        works = {
            **{name: READS[name] for name in READS if "read" not in name},
            **{name: CHANGES[name] for name in deletes},
        }
        for name, work in works.items():
            with pytest.raises(BackendUnavailable, match="endpoint_url"):
                pytest.fail(f"{name} gave {await work(view)!r}")


# --- too much


@pytest.mark.parametrize("body", [XHTML, b"", refusal("", "TooManyRequests").body], ids=["a page", "nothing", "a code"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_too_many_requests_are_tried_again_a_few_times(
    kind: str, moto_server: S3Server, prefix: str, body: bytes
) -> None:
    answers = [Answer("429 Too Many Requests", body, HTML)]
    says: list[str] = []

    def busy(environ: Environ, _: CarryOut) -> Answer | None:
        says.append(asked(environ))
        return answers[0] if len(says) == 1 or forever else None

    forever = False
    retries = {"mode": "standard", "total_max_attempts": 2}
    async with view_of(kind, moto_server, prefix, config_kwargs={"retries": retries}) as view:
        for work in (lambda: view.write("key", b"1"), lambda: view.read_bytes("key"), lambda: view.exists("key")):
            says.clear()
            with moto_server.hooked(busy):
                assert await work()
            assert len(says) == 2
        forever = True
        says.clear()
        with moto_server.hooked(busy), pytest.raises(BackendUnavailable, match="cannot be reached"):
            await view.write("key", b"2", overwrite=True)
        assert says == ["PUT", "PUT"]
        assert await view.read_bytes("key") == b"1"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("403 Forbidden", PermissionDenied),
        ("401 Unauthorized", PermissionDenied),
        ("500 Internal Server Error", BackendUnavailable),
        ("503 Service Unavailable", BackendUnavailable),
        ("520 Unknown", BackendUnavailable),
        ("507 Insufficient Storage", StorageFull),
    ],
)
@pytest.mark.parametrize("body", [XHTML, PAGE, b""], ids=["an XML page", "a page", "nothing"])
async def test_a_reply_without_a_code_is_judged_by_its_status(
    view: View, moto_server: S3Server, prefix: str, status: str, error: type[RemoteStoreError], body: bytes
) -> None:
    await view.write("key", b"old")
    with moto_server.hooked(lambda environ, _: Answer(status, body, HTML)):
        for work in (
            lambda: view.write("key", b"1", overwrite=True),
            lambda: view.read_bytes("key"),
            lambda: view.exists("key"),
            lambda: every(view.list_files("")),
        ):
            with pytest.raises(RemoteStoreError) as caught:
                await work()
            assert type(caught.value) is error
    assert await view.read_bytes("key") == b"old"
    assert keys(moto_server, prefix) == ["key"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("507 Insufficient Storage", "XMinioStorageFull"),
        ("507 Insufficient Storage", "Other"),
        ("403 Forbidden", "QuotaExceeded"),
        ("400 Bad Request", "XMinioAdminBucketQuotaExceeded"),
    ],
)
async def test_a_full_storage_is_told(view: View, moto_server: S3Server, prefix: str, status: str, code: str) -> None:
    await view.write("key", b"old")
    for operation in ("PUT", "PART"):
        with moto_server.hooked(Says({operation: refusal(status, code)})), pytest.raises(StorageFull) as caught:
            await view.write("key", long_content(view) if operation == "PART" else b"1", overwrite=True)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.path == "key"
    assert keys(moto_server, prefix) == ["key"]
    assert await view.read_bytes("key") == b"old"
