"""What the double of Google Cloud Storage does that no other server does, by plain requests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from servers.gcs import BUCKET, GcsServer
from servers.gcs_client import (
    LIST,
    MIB,
    PART,
    Reply,
    address,
    ask,
    content_of,
    generation,
    listed,
    move,
    multipart,
    put_media,
    put_multipart,
    race,
    rewrite,
    send,
    start,
    uploads_to,
)


@pytest.fixture
def double(gcs_server: GcsServer) -> GcsServer:
    return gcs_server


@pytest.fixture
def prefix(gcs_server: GcsServer) -> str:
    return gcs_server.fresh_prefix()


def prepared_move(server: GcsServer, name: str, one: int) -> Callable[[], Reply]:
    put_media(server, f"{name}-{one}", b"1")
    return lambda: move(server, f"{name}-{one}", name, ifGenerationMatch=0)


def prepared_rewrite(server: GcsServer, name: str, one: int) -> Callable[[], Reply]:
    put_media(server, f"{name}-{one}", b"1")
    return lambda: rewrite(server, f"{name}-{one}", name, ifGenerationMatch=0)


def prepared_media(server: GcsServer, name: str, one: int) -> Callable[[], Reply]:
    return lambda: put_media(server, name, b"%d" % one, ifGenerationMatch=0)


def prepared_multipart(server: GcsServer, name: str, one: int) -> Callable[[], Reply]:
    return lambda: put_multipart(server, name, b"%d" % one, {"ifGenerationMatch": 0})


def prepared_session(server: GcsServer, name: str, one: int) -> Callable[[], Reply]:
    begun = start(server, name, {"ifGenerationMatch": 0})
    return lambda: send(server, begun, "bytes 0-0/1", b"1")


CALLS = ["insert", "media", "session", "get", "patch", "delete", "rewrite", "copy", "compose", "move"]
WAYS = [prepared_media, prepared_multipart, prepared_session, prepared_rewrite, prepared_move]


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.full)])
@pytest.mark.parametrize("way", WAYS)
def test_one_of_many_creators_wins(
    double: GcsServer, prefix: str, way: Callable[[GcsServer, str, int], Callable[[], Reply]], rounds: int
) -> None:
    for number in range(rounds):
        calls = [way(double, f"{prefix}/{number}", one) for one in range(16)]
        assert race(lambda one, calls=calls: calls[one]()) == [200] + [412] * 15


@pytest.mark.parametrize(
    "what", ["insert", "media", "session", "get", "patch", "delete", "rewrite", "copy", "compose", "move"]
)
@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"ifGenerationMatch": "{generation}"}, True),
        ({"ifGenerationMatch": "0"}, False),
        ({"ifGenerationMatch": "7"}, False),
        ({"ifGenerationNotMatch": "{generation}"}, False),
        ({"ifGenerationNotMatch": "7"}, True),
        ({"ifMetagenerationMatch": "1"}, True),
        ({"ifMetagenerationMatch": "2"}, False),
        ({"ifMetagenerationNotMatch": "1"}, False),
    ],
)
def test_each_call_has_conditions(
    double: GcsServer, prefix: str, what: str, condition: dict[str, str], held: bool
) -> None:
    name, other = f"{prefix}/a", f"{prefix}/other"
    put_media(double, other, b"other")
    number = generation(put_media(double, name, b"1"))
    query = {key: value.format(generation=number) for key, value in condition.items()}
    to = f"/b/{BUCKET}/o/{prefix}%2Fa"
    calls: dict[str, Callable[[], Reply]] = {
        "insert": lambda: put_multipart(double, name, b"2", query),
        "media": lambda: put_media(double, name, b"2", **query),
        "session": lambda: send(double, start(double, name, query), "bytes 0-0/1", b"2"),
        "get": lambda: ask(double, "GET", address(name), query),
        "patch": lambda: ask(double, "PATCH", address(name), query, {"metadata": {"a": "b"}}),
        "delete": lambda: ask(double, "DELETE", address(name), query),
        "rewrite": lambda: rewrite(double, other, name, **query),
        "copy": lambda: ask(double, "POST", f"{address(other)}/copyTo{to}", query),
        "compose": lambda: ask(double, "POST", f"{address(name)}/compose", query, {"sourceObjects": [{"name": other}]}),
        "move": lambda: move(double, other, name, **query),
    }
    reply = calls[what]()
    if held:
        assert reply.status in (200, 204)
        return
    unchanged = what == "get" and any("Not" in key for key in query)
    assert reply.status == (304 if unchanged else 412)
    assert unchanged or reply.reason == "conditionNotMet"
    found = ask(double, "GET", address(name)).json
    assert (found["generation"], found["metageneration"]) == (number, "1")
    assert content_of(double, other) == b"other"


@pytest.mark.parametrize("call", [rewrite, move])
def test_copies_and_moves_have_conditions_on_their_source(
    double: GcsServer, prefix: str, call: Callable[..., Reply]
) -> None:
    number = generation(put_media(double, f"{prefix}/a", b"1"))
    assert call(double, f"{prefix}/a", f"{prefix}/b", ifSourceGenerationMatch=7).status == 412
    assert listed(double, prefix)[0] == ["a"]
    assert call(double, f"{prefix}/a", f"{prefix}/b", ifSourceGenerationMatch=number).status == 200
    assert content_of(double, f"{prefix}/b") == b"1"


def test_a_move_is_a_new_generation_that_replaces(double: GcsServer, prefix: str) -> None:
    number = generation(put_multipart(double, f"{prefix}/a", b"1", metadata={"k": "v"}))
    put_media(double, f"{prefix}/b", b"2")
    told = move(double, f"{prefix}/a", f"{prefix}/b").json
    assert int(told["generation"]) > int(number)
    assert (told["metageneration"], told["metadata"]) == ("1", {"k": "v"})
    assert listed(double, prefix)[0] == ["b"]
    assert move(double, f"{prefix}/b", f"{prefix}/b").status == 400
    assert move(double, f"{prefix}/missing", f"{prefix}/b").status == 404
    assert content_of(double, f"{prefix}/b") == b"1"


def test_a_rewrite_takes_several_calls_on_demand(double: GcsServer, prefix: str) -> None:
    put_multipart(double, f"{prefix}/a", b"x" * (2 * MIB + 1), metadata={"k": "v"})
    told, done = {}, []
    with double.having(rewrite_step=MIB):
        while not told.get("done"):
            query = {"rewriteToken": told["rewriteToken"]} if told else {}
            told = rewrite(double, f"{prefix}/a", f"{prefix}/b", ifGenerationMatch=0, **query).json
            done.append(int(told["totalBytesRewritten"]))
            assert listed(double, prefix)[0] == (["a", "b"] if told["done"] else ["a"])
    assert done == [MIB, 2 * MIB, 2 * MIB + 1]
    assert told["resource"]["metadata"] == {"k": "v"}
    assert rewrite(double, f"{prefix}/a", f"{prefix}/c", maxBytesRewrittenPerCall=5).status == 400
    token = rewrite(double, f"{prefix}/a", f"{prefix}/c", maxBytesRewrittenPerCall=MIB).json["rewriteToken"]
    put_media(double, f"{prefix}/a", b"new")
    assert rewrite(double, f"{prefix}/a", f"{prefix}/c", rewriteToken=token).status == 400
    assert listed(double, prefix)[0] == ["a", "b"]


def test_parts_are_kept_in_order(double: GcsServer, prefix: str) -> None:
    begun = start(double, f"{prefix}/a")
    asked = send(double, begun, "bytes */*")
    assert (asked.status, asked.headers.get("range")) == (308, None)
    assert send(double, begun, "bytes 0-9/*", b"x" * 10).status == 400
    assert send(double, begun, f"bytes 0-{PART - 1}/*", b"short").status == 400
    gap = send(double, begun, f"bytes {PART}-{2 * PART - 1}/*", b"x" * PART)
    assert (gap.status, gap.headers.get("range")) == (308, None)
    for _ in range(2):  # The second time it is there already.
        kept = send(double, begun, f"bytes 0-{PART - 1}/*", b"x" * PART)
        assert (kept.status, kept.headers["range"]) == (308, f"bytes=0-{PART - 1}")
    end = send(double, begun, f"bytes {PART}-{PART + 1}/{PART + 2}", b"yz").json
    assert end["size"] == str(PART + 2)
    assert send(double, begun, "bytes */*").json == end
    assert content_of(double, f"{prefix}/a") == b"x" * PART + b"yz"


def test_a_cancelled_upload_is_gone(double: GcsServer, prefix: str) -> None:
    begun = start(double, f"{prefix}/a")
    send(double, begun, f"bytes 0-{PART - 1}/*", b"x" * PART)
    assert double.uploads() == [f"{prefix}/a"]
    assert send(double, begun, "", method="DELETE").status == 499
    assert send(double, begun, "bytes */*").status == 404
    assert send(double, begun, "", method="DELETE").status == 404
    assert double.uploads() == double.keys(prefix) == []


@pytest.mark.parametrize("when", ["start", "part", "end"])
def test_a_resumable_upload_is_refused_when_the_test_says(double: GcsServer, prefix: str, when: str) -> None:
    name = f"{prefix}/a"
    put_media(double, name, b"1")
    with double.having(sessions_judged=frozenset({when})):
        begun = start(double, name, {"ifGenerationMatch": 0})
        assert begun.status == (412 if when == "start" else 200)
        if begun.status == 200:
            part = send(double, begun, f"bytes 0-{PART - 1}/*", b"x" * PART)
            assert part.status == (412 if when == "part" else 308)
            if part.status == 308:
                assert send(double, begun, f"bytes */{PART}").status == 412
    assert content_of(double, name) == b"1"


def test_names_and_hashes_are_checked(double: GcsServer, prefix: str) -> None:
    for name in (".", "..", "a\nb", "a\rb", "x" * 1025, "\ud800"):
        assert put_multipart(double, name, b"1").status == 400
    for told in ({"md5Hash": "AAAA"}, {"crc32c": "AAAA"}, {"metadata": {"k": "v" * 8192}}):
        assert put_multipart(double, f"{prefix}/a", b"1", **told).status == 400
    assert ask(double, "GET", f"{LIST}/%FF").status == 400
    assert listed(double, prefix)[0] == []


@pytest.mark.parametrize("bare", [False, True])
def test_a_multipart_upload_is_strict_unless_told_otherwise(double: GcsServer, prefix: str, bare: bool) -> None:
    told = {"Content_Type": 'multipart/related; boundary="limit"'}
    with double.having(bare_newlines=bare):
        body = multipart({"name": f"{prefix}/a"}, b"1", b"\n")
        reply = ask(double, "POST", uploads_to(), {"uploadType": "multipart"}, body, **told)
    assert reply.status == (200 if bare else 400)
    cut = multipart({"name": f"{prefix}/b"}, b"1\r\n--limit\r\n")
    assert ask(double, "POST", uploads_to(), {"uploadType": "multipart"}, cut, **told).status == 400


def test_a_page_counts_items_and_prefixes(double: GcsServer, prefix: str) -> None:
    for name in ("a", "b/1", "b/2", "c", "d/1"):
        put_media(double, f"{prefix}/{name}", b"1")
    assert listed(double, prefix, delimiter="/", maxResults=2)[:2] == (["a"], ["b/"])
    token = listed(double, prefix, delimiter="/", maxResults=2)[2]
    assert listed(double, prefix, delimiter="/", maxResults=2, pageToken=token) == (["c"], ["d/"], None)
    assert ask(double, "GET", LIST, {"pageToken": "?"}).status == 400


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("items(name,size),nextPageToken", {"items": [{"name": "{}/a", "size": "1"}]}),
        ("items/name,kind", {"items": [{"name": "{}/a"}], "kind": "storage#objects"}),
        ("items(metadata(k))", {"items": [{"metadata": {"k": "v"}}]}),
        ("prefixes", {}),
    ],
)
def test_fields_are_chosen(double: GcsServer, prefix: str, fields: str, found: dict[str, Any]) -> None:
    put_multipart(double, f"{prefix}/a", b"1", metadata={"k": "v", "l": "w"})
    page = ask(double, "GET", LIST, {"prefix": prefix, "fields": fields}).json
    assert json.loads(json.dumps(page).replace(prefix, "{}")) == found


def test_properties_are_deleted_or_replaced(double: GcsServer, prefix: str) -> None:
    path = address(f"{prefix}/a")
    first = put_multipart(double, f"{prefix}/a", b"1", metadata={"a": "1", "b": "2"}, cacheControl="no-cache").json
    told = ask(double, "PATCH", path, None, {"metadata": {"a": None}, "contentType": "text/x"}).json
    assert (told["metadata"], told["contentType"], told["cacheControl"]) == ({"b": "2"}, "text/x", "no-cache")
    assert (told["metageneration"], told["etag"] == first["etag"]) == ("2", False)
    assert "metadata" not in ask(double, "PATCH", path, None, {"metadata": None}).json
    told = ask(double, "PUT", path, None, {"contentType": "text/y"}).json
    assert (told["contentType"], told.get("cacheControl"), told["generation"]) == ("text/y", None, first["generation"])


def test_a_composed_object_has_no_md5(double: GcsServer, prefix: str) -> None:
    put_media(double, f"{prefix}/a", b"hello")
    ask(double, "POST", f"{address(f'{prefix}/b')}/compose", None, {"sourceObjects": [{"name": f"{prefix}/a"}]})
    rewrite(double, f"{prefix}/b", f"{prefix}/c")
    for name in ("b", "c"):
        found = ask(double, "GET", address(f"{prefix}/{name}")).json
        assert (found.get("md5Hash"), found["crc32c"], found["componentCount"]) == (None, "mnG7TA==", 1)
    media = ask(double, "GET", address(f"{prefix}/b"), {"alt": "media"})
    assert media.headers["x-goog-hash"] == "crc32c=mnG7TA=="


def test_compressed_content_stays_so_where_that_is_said(double: GcsServer, prefix: str) -> None:
    path, packed = address(f"{prefix}/a"), gzip.compress(b"z" * 1000)
    put_multipart(double, f"{prefix}/a", packed, contentEncoding="gzip", cacheControl="no-transform")
    assert ask(double, "GET", path, {"alt": "media"}).body == packed
    ask(double, "PATCH", path, None, {"cacheControl": "no-cache"})
    plain = ask(double, "GET", path, {"alt": "media"})
    assert (plain.body, plain.headers.get("content-length")) == (b"z" * 1000, None)
    assert plain.headers["x-goog-stored-content-length"] == str(len(packed))
    part = ask(double, "GET", path, {"alt": "media"}, Accept_Encoding="gzip", Range="bytes=0-3")
    assert (part.status, part.body) == (206, packed[:4])
    put_multipart(double, f"{prefix}/a", b"not compressed", contentEncoding="gzip")
    assert ask(double, "GET", path, {"alt": "media"}).status == 503


def test_compressed_content_is_stored_as_it_was_sent(double: GcsServer, prefix: str) -> None:
    packed = gzip.compress(b"z" * 1000)
    assert ask(double, "PUT", f"/{BUCKET}/{prefix}/a", None, packed, Content_Encoding="gzip").status == 200
    found = ask(double, "GET", address(f"{prefix}/a")).json
    assert (found["size"], found["contentEncoding"]) == (str(len(packed)), "gzip")
    assert content_of(double, f"{prefix}/a") == b"z" * 1000


def test_readers_may_name_an_etag(double: GcsServer, prefix: str) -> None:
    path, etag = address(f"{prefix}/a"), put_media(double, f"{prefix}/a", b"1").json["etag"]
    asked = [("If_Match", etag, 200), ("If_Match", "other", 412), ("If_None_Match", etag, 304)]
    for header, told, status in [*asked, ("If_None_Match", "other", 200)]:
        assert ask(double, "GET", path, {"alt": "media"}, **{header: told}).status == status


def test_refusals_say_what_is_missing(double: GcsServer, prefix: str) -> None:
    missing = f"{prefix}/missing"
    no_object, no_bucket = f"No such object: {BUCKET}/{missing}", "The specified bucket does not exist."
    for bucket, message in ((BUCKET, no_object), ("no-bucket", no_bucket)):
        reply = ask(double, "GET", address(missing, bucket))
        assert (reply.reason, reply.json["error"]["message"]) == ("notFound", message)
        media = ask(double, "GET", address(missing, bucket), {"alt": "media"})
        assert (media.body.decode(), media.headers["content-type"]) == (message, "text/html; charset=UTF-8")


def test_generations_are_kept_where_the_bucket_has_versions(double: GcsServer) -> None:
    double.create_bucket("versions", versioning={"enabled": True})
    to = {"uploadType": "media", "name": "a"}
    first, _ = (generation(ask(double, "POST", uploads_to("versions"), to, content)) for content in (b"1", b"2"))
    assert ask(double, "DELETE", address("a", "versions")).status == 204
    query = {"alt": "media", "generation": first}
    assert ask(double, "GET", address("a", "versions"), {"alt": "media"}).status == 404
    assert ask(double, "GET", address("a", "versions"), query).body == b"1"
    assert len(ask(double, "GET", "/storage/v1/b/versions/o", {"versions": "true"}).json["items"]) == 2
    assert "items" not in ask(double, "GET", "/storage/v1/b/versions/o").json
    assert ask(double, "DELETE", address("a", "versions"), {"generation": first}).status == 204
    assert ask(double, "GET", address("a", "versions"), query).status == 404


def test_what_is_held_or_retained_stays(double: GcsServer, prefix: str) -> None:
    double.put(f"{prefix}/held", b"1", temporaryHold=True)
    held = address(f"{prefix}/held")
    for reply in (
        ask(double, "DELETE", held),
        put_media(double, f"{prefix}/held", b"2"),
        move(double, f"{prefix}/held", f"{prefix}/b"),
    ):
        assert (reply.status, reply.reason) == (403, "objectUnderActiveHold")
    assert ask(double, "PATCH", held, None, {"temporaryHold": False}).status == 200
    assert ask(double, "DELETE", held).status == 204
    double.create_bucket("retained", retentionPolicy={"retentionPeriod": "600"})
    assert ask(double, "POST", uploads_to("retained"), {"uploadType": "media", "name": "a"}, b"1").status == 200
    refused = ask(double, "DELETE", address("a", "retained"))
    assert (refused.status, refused.reason) == (403, "retentionPolicyNotMet")


def test_calls_of_a_batch_have_a_status_each(double: GcsServer, prefix: str) -> None:
    put_media(double, f"{prefix}/a", b"1")
    calls = [f"DELETE {address(f'{prefix}/{name}')} HTTP/1.1\r\n\r\n" for name in ("a", "missing")]
    assert [status.split()[1] for status in batch(double, calls).splitlines() if status.startswith("HTTP/1.1")] == [
        "204",
        "404",
    ]
    assert listed(double, prefix)[0] == []
    assert "The batch request has more than 100 calls." in batch(double, calls * 51)


def batch(server: GcsServer, calls: list[str]) -> str:
    parts = [f"--b\r\nContent-Type: application/http\r\n\r\n{call}\r\n" for call in calls]
    told = {"Content_Type": "multipart/mixed; boundary=b"}
    return ask(server, "POST", "/batch/storage/v1", None, "".join([*parts, "--b--"]).encode(), **told).body.decode()


def test_buckets_are_made_and_removed(double: GcsServer) -> None:
    assert ask(double, "POST", "/storage/v1/b", {"project": "p"}, {"name": "made"}).json["name"] == "made"
    assert ask(double, "POST", "/storage/v1/b", {"project": "p"}, {"name": "made"}).reason == "conflict"
    layout = ask(double, "GET", "/storage/v1/b/made/storageLayout").json
    assert layout["hierarchicalNamespace"] == {"enabled": False}
    ask(double, "POST", uploads_to("made"), {"uploadType": "media", "name": "a"}, b"1")
    assert ask(double, "DELETE", "/storage/v1/b/made").status == 409
    ask(double, "DELETE", address("a", "made"))
    assert ask(double, "DELETE", "/storage/v1/b/made").status == 204
    assert ask(double, "GET", "/storage/v1/b/made").status == 404


def test_big_content_comes_back(double: GcsServer, prefix: str) -> None:
    content = bytes(range(256)) * (3 * MIB // 256)
    put_media(double, f"{prefix}/a", content)
    assert content_of(double, f"{prefix}/a") == content
