"""The double of Google Cloud Storage, beside fake-gcs-server in what both of them do, by plain requests."""

from __future__ import annotations

import gzip

import pytest
from servers.gcs import BUCKET, GcsServer
from servers.gcs_client import (
    PART,
    address,
    ask,
    content_of,
    generation,
    listed,
    multipart,
    put_media,
    put_multipart,
    race,
    rewrite,
    send,
    start,
    uploads_to,
)

ODD = [
    "a b",
    "a+b",
    "a%2Fb",
    "a?b#c",
    "ä\u0308",
    "\U0001f600",
    "a//b",
    "/a",
    "a/",
    "a/../b",
    "a\tb",
    "'\"<>&",
    "x" * 900,
]


@pytest.fixture(params=["gcs", "fake_gcs"])
def server(request: pytest.FixtureRequest) -> GcsServer:
    found: GcsServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def prefix(server: GcsServer) -> str:
    return server.fresh_prefix()


def test_a_multipart_upload_keeps_content_and_metadata(server: GcsServer, prefix: str) -> None:
    metadata = {"plain": "a", "Ünïcode": "ö\n\U0001f600"}
    told = put_multipart(server, f"{prefix}/a", b"hello", metadata=metadata, cacheControl="no-cache").json
    assert told["name"] == f"{prefix}/a"
    assert told["size"] == "5"
    assert told["md5Hash"] == "XUFAKrxLKna5cZ2REBfFkg=="
    assert told["crc32c"] == "mnG7TA=="
    assert told["metadata"] == metadata
    assert told["contentType"] == "text/plain"
    assert told["metageneration"] == "1"
    found = ask(server, "GET", address(f"{prefix}/a")).json
    assert {name: found[name] for name in ("generation", "metadata", "cacheControl", "updated")} == {
        name: told[name] for name in ("generation", "metadata", "cacheControl", "updated")
    }
    assert content_of(server, f"{prefix}/a") == b"hello"


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n--", b"--limi\r\n\n--limit", bytes(range(256))])
def test_any_content_comes_back(server: GcsServer, prefix: str, content: bytes) -> None:
    for put in (put_multipart, put_media):
        assert put(server, f"{prefix}/a", content).status == 200
        assert content_of(server, f"{prefix}/a") == content


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_kept(server: GcsServer, prefix: str, name: str) -> None:
    assert put_multipart(server, f"{prefix}/{name}", b"1").status == 200
    assert content_of(server, f"{prefix}/{name}") == b"1"
    assert listed(server, prefix)[0] == [name]
    assert rewrite(server, f"{prefix}/{name}", f"{prefix}/{name}2").json["done"]
    assert ask(server, "DELETE", address(f"{prefix}/{name}")).status in (200, 204)
    assert listed(server, prefix)[0] == [f"{name}2"]


def test_a_multipart_upload_has_conditions(server: GcsServer, prefix: str) -> None:
    name = f"{prefix}/a"
    assert put_multipart(server, name, b"1", {"ifGenerationMatch": 5}).status == 412
    first = generation(put_multipart(server, name, b"1", {"ifGenerationMatch": 0}))
    assert put_multipart(server, name, b"2", {"ifGenerationMatch": 0}).status == 412
    second = generation(put_multipart(server, name, b"2", {"ifGenerationMatch": first}))
    assert int(second) > int(first)
    assert put_multipart(server, name, b"3", {"ifGenerationMatch": first}).status == 412
    assert content_of(server, name) == b"2"


@pytest.mark.parametrize(
    ("told", "status", "content", "place"),
    [
        ("bytes=1-2", 206, b"el", "bytes 1-2/5"),
        ("bytes=3-", 206, b"lo", "bytes 3-4/5"),
        ("bytes=-2", 206, b"lo", "bytes 3-4/5"),
        ("bytes=-9", 206, b"hello", "bytes 0-4/5"),
        ("bytes=3-100", 206, b"lo", "bytes 3-4/5"),
        ("bytes=2-1", 200, b"hello", None),
        ("bytes=5-", 416, None, None),
        ("bytes=-0", 416, None, None),
    ],
)
def test_a_range_is_read(
    server: GcsServer, prefix: str, told: str, status: int, content: bytes | None, place: str | None
) -> None:
    put_media(server, f"{prefix}/a", b"hello")
    reply = ask(server, "GET", address(f"{prefix}/a"), {"alt": "media"}, Range=told)
    assert reply.status == status
    assert content is None or reply.body == content
    assert reply.headers.get("content-range") == place


def test_no_range_of_an_empty_object_can_be_satisfied(server: GcsServer, prefix: str) -> None:
    put_media(server, f"{prefix}/a", b"")
    assert ask(server, "GET", address(f"{prefix}/a"), {"alt": "media"}, Range="bytes=0-1").status == 416


def test_content_comes_with_its_generation_and_hashes(server: GcsServer, prefix: str) -> None:
    told = generation(put_media(server, f"{prefix}/a", b"hello"))
    headers = ask(server, "GET", address(f"{prefix}/a"), {"alt": "media"}).headers
    assert headers["x-goog-generation"] == told
    assert headers["x-goog-hash"] == "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg=="
    assert headers["content-length"] == "5"


@pytest.mark.parametrize(
    ("query", "items", "prefixes"),
    [
        ({}, ["a", "d/", "d/1", "d/e/3", "f", "é", "\U0001f600"], []),
        ({"delimiter": "/"}, ["a", "f", "é", "\U0001f600"], ["d/"]),
        ({"delimiter": "/", "includeTrailingDelimiter": "true"}, ["a", "d/", "f", "é", "\U0001f600"], ["d/"]),
        ({"delimiter": "e"}, ["a", "d/", "d/1", "f", "é", "\U0001f600"], ["d/e"]),
        ({"startOffset": "d/1", "endOffset": "f"}, ["d/1", "d/e/3"], []),
    ],
)
def test_a_listing_is_in_the_order_of_bytes(
    server: GcsServer, prefix: str, query: dict[str, str], items: list[str], prefixes: list[str]
) -> None:
    for name in ("é", "f", "d/", "d/1", "\U0001f600", "d/e/3", "a"):
        put_media(server, f"{prefix}/{name}", b"1")
    query = {name: f"{prefix}/{value}" if "Offset" in name else value for name, value in query.items()}
    assert listed(server, prefix, **query) == (items, prefixes, None)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_hold_each_name_once(server: GcsServer, prefix: str, size: int) -> None:
    names = ["a", "b", "c", "d", "é", "\U0001f600"]
    for name in names:
        put_media(server, f"{prefix}/{name}", b"1")
    found, pages, token = [], 0, None
    while pages == 0 or token:
        items, _, token = listed(server, prefix, maxResults=size, **({"pageToken": token} if token else {}))
        assert len(items) <= size
        found, pages = found + items, pages + 1
    assert found == names
    assert pages == -(-len(names) // size)


def test_what_is_missing_is_404(server: GcsServer, prefix: str) -> None:
    missing = f"{prefix}/missing"
    for path in (address(missing), address(missing, "no-bucket")):
        for query in ({}, {"alt": "media"}):
            assert ask(server, "GET", path, query).status == 404
        assert ask(server, "DELETE", path).status == 404
        assert ask(server, "POST", f"{path}/rewriteTo/b/{BUCKET}/o/x").status == 404
    assert ask(server, "GET", "/storage/v1/b/no-bucket").status == 404
    assert ask(server, "GET", "/storage/v1/b/no-bucket/o").status == 404
    body = multipart({"name": "a"}, b"1")
    told = {"Content_Type": "multipart/related; boundary=limit"}
    assert ask(server, "POST", uploads_to("no-bucket"), {"uploadType": "multipart"}, body, **told).status == 404


def test_a_copy_keeps_metadata(server: GcsServer, prefix: str) -> None:
    first = generation(put_multipart(server, f"{prefix}/a", b"1", metadata={"k": "v"}))
    told = rewrite(server, f"{prefix}/a", f"{prefix}/b").json
    assert told["done"]
    assert told["totalBytesRewritten"] == told["objectSize"] == "1"
    found = ask(server, "GET", address(f"{prefix}/b")).json
    assert found["metadata"] == {"k": "v"}
    assert found["contentType"] == "text/plain"
    assert found["generation"] == told["resource"]["generation"] != first


def test_compressed_content_goes_out_as_it_is_or_decompressed(server: GcsServer, prefix: str) -> None:
    packed = gzip.compress(b"z" * 1000)
    put_multipart(server, f"{prefix}/a", packed, contentEncoding="gzip")
    as_it_is = ask(server, "GET", address(f"{prefix}/a"), {"alt": "media"}, Accept_Encoding="gzip")
    assert as_it_is.body == packed
    assert as_it_is.headers["content-encoding"] == "gzip"
    plain = ask(server, "GET", address(f"{prefix}/a"), {"alt": "media"}, Range="bytes=0-3")
    assert plain.status == 200
    assert plain.body == b"z" * 1000
    assert "content-encoding" not in plain.headers


def test_a_resumable_upload_is_seen_at_its_end(server: GcsServer, prefix: str) -> None:
    name = f"{prefix}/a"
    begun = start(server, name, metadata={"k": "v"}, contentType="text/x")
    for part in range(2):
        told = f"bytes {part * PART}-{(part + 1) * PART - 1}/*"
        reply = send(server, begun, told, bytes([part]) * PART, method=["PUT", "POST"][part])
        assert (reply.status, reply.headers["range"]) == (308, f"bytes=0-{(part + 1) * PART - 1}")
        assert listed(server, prefix)[0] == []
    found = send(server, begun, f"bytes {2 * PART}-{2 * PART}/{2 * PART + 1}", b"!").json
    assert found["size"] == str(2 * PART + 1)
    assert found["metadata"] == {"k": "v"}
    assert found["contentType"] == "text/x"
    assert content_of(server, name) == b"\0" * PART + b"\1" * PART + b"!"


def test_a_resumable_upload_can_end_without_content(server: GcsServer, prefix: str) -> None:
    begun = start(server, f"{prefix}/a")
    send(server, begun, f"bytes 0-{PART - 1}/*", b"x" * PART)
    assert send(server, begun, f"bytes */{PART}").json["size"] == str(PART)
    assert send(server, start(server, f"{prefix}/b"), "bytes */0").json["size"] == "0"
    assert listed(server, prefix)[0] == ["a", "b"]


def test_objects_are_composed(server: GcsServer, prefix: str) -> None:
    for name in ("a", "b"):
        put_media(server, f"{prefix}/{name}", name.encode())
    sources = [{"name": f"{prefix}/{name}"} for name in ("b", "a")]
    asked = {"sourceObjects": sources, "destination": {"contentType": "text/x"}}
    reply = ask(server, "POST", address(f"{prefix}/c") + "/compose", None, asked)
    assert reply.json["contentType"] == "text/x"
    assert content_of(server, f"{prefix}/c") == b"ba"


def test_metadata_is_changed_alone(server: GcsServer, prefix: str) -> None:
    first = put_multipart(server, f"{prefix}/a", b"1", metadata={"a": "1"}).json
    told = ask(server, "PATCH", address(f"{prefix}/a"), None, {"metadata": {"b": "2"}}).json
    assert told["metadata"] == {"a": "1", "b": "2"}
    assert told["generation"] == first["generation"]
    assert content_of(server, f"{prefix}/a") == b"1"


def test_one_of_many_creators_wins_by_multipart(server: GcsServer, prefix: str) -> None:
    for number in range(3):
        name = f"{prefix}/{number}"
        statuses = race(lambda one, name=name: put_multipart(server, name, b"%d" % one, {"ifGenerationMatch": 0}))
        assert statuses == [200] + [412] * 15
