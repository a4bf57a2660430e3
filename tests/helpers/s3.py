"""What tests of S3 have at hand: sizes, refusals, and looks at a server past the store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, refusal

from remote_store.certify.view import View

MIB = 1 << 20
PART = 5 * MIB
"""The smallest part that S3 takes [bytes]."""
FAST = tuple(pytest.param(f"{way}-fast", marks=pytest.mark.full) for way in ("sync", "async"))
"""Kinds of stores with the fast lane."""
CarryOut = Callable[[], Answer]

BUSY = refusal("503 Slow Down", "SlowDown")
DENIED = refusal("403 Forbidden", "AccessDenied")
UNMET = refusal("412 Precondition Failed", "PreconditionFailed")


def is_fast(view: View) -> bool:
    """Whether a store has the fast lane."""
    _, options = view.store._backend.recipe() or ((), {})
    return bool(options.get("engine"))


def is_request(environ: Environ, method: str, query: str = "") -> bool:
    """Whether a request has this method, and this in its query."""
    return bool(environ["REQUEST_METHOD"] == method and query in environ["QUERY_STRING"])


def uploads(server: S3Server, prefix: str) -> list[str]:
    """Objects below a prefix with a multipart upload that nobody finished."""
    found = client(server).list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    return [upload["Key"] for upload in found if upload["Key"].startswith(prefix + "/")]


def keys(server: S3Server, prefix: str) -> list[str]:
    """What is stored below a prefix; a multipart upload that nobody finished is an error."""
    assert uploads(server, prefix) == []
    found = client(server).list_objects_v2(Bucket=BUCKET, Prefix=prefix + "/").get("Contents", ())
    return [entry["Key"].removeprefix(prefix + "/") for entry in found]


def put(server: S3Server, prefix: str, key: str, data: bytes, **metadata: str) -> None:
    """What another writer stores."""
    client(server).put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=data, Metadata=metadata)


def content_of(server: S3Server, prefix: str, key: str) -> bytes:
    """What is stored under a key."""
    data: bytes = client(server).get_object(Bucket=BUCKET, Key=f"{prefix}/{key}")["Body"].read()
    return data
