"""Options of Google Cloud Storage."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from remote_store.drivers.options import SECRET, Options, RemoteOptions, check_http

if TYPE_CHECKING:
    from remote_store._location import Location

BUCKET = re.compile(r"[A-Za-z0-9._-]+")
PART_UNIT = 256 << 10
"""Parts of resumable uploads are multiples of it, but for the last [bytes]: Cloud Storage guide, resumable uploads."""
METHODS = frozenset({"anon", "cache", "cloud", "google_default"})
"""Ways to find credentials that gcsfs knows by name."""


@dataclass(frozen=True)
class GCSOptions(RemoteOptions):
    """What Google Cloud Storage takes.

    Args:
        bucket: its name; the bucket must exist.
        root: prefix that is the root.
        token: credentials: the file of a service account, what such a file holds as a dict, an access token, a
            `google.auth` object, `"anon"` for none, or the way to find them: `"google_default"`, `"cloud"` (the
            metadata server of Google's machines), `"cache"`; unless given, the first of these that works.
        project: that the credentials are of.
        requester_pays: pay for the requests, as some buckets demand: True with `project`, or the project that pays.
        endpoint_url: of a service other than Google's usual one.
        part_size: content up to here is one request; longer streams go in parts of this size, one after another
            [bytes].
        reject_write_under_file_ancestor: refuse to write below an object, at the price of one request for each
            folder above, all at once.
    """

    PLACE: ClassVar = ("bucket", "root")
    ALIASES: ClassVar = {"requests_timeout": "timeout", "retry_deadline": "timeout"}
    UNTAKEN: ClassVar = frozenset({"cache_timeout", "consistency", "requests_timeout", "version_aware"})
    PUBLIC: ClassVar = Options.PUBLIC | {"access", "consistency"}
    bucket: str
    root: str = ""
    _: KW_ONLY
    token: str | Mapping[str, Any] | object | None = field(default=None, metadata=SECRET)
    project: str | None = None
    requester_pays: bool | str = False
    endpoint_url: str | None = None
    part_size: int = 8 << 20
    reject_write_under_file_ancestor: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.bucket, str) or not self.bucket:
            raise ValueError("Google Cloud Storage needs a bucket: GCSBackend('my-bucket'), or gs://my-bucket/prefix")
        if "/" in self.bucket:
            raise ValueError("a bucket is a name, such as 'my-bucket'; a prefix in it is the argument `root`")
        if type(self.part_size) is not int or self.part_size < PART_UNIT or self.part_size % PART_UNIT:
            raise ValueError("part_size must be a multiple of 256 KiB (262144), as a number of bytes")
        if self.requester_pays is True and not self.project:
            raise ValueError("requester_pays=True needs project=; or name the project that pays: requester_pays='…'")
        if not BUCKET.fullmatch(self.bucket):
            raise ValueError("a bucket has letters, digits, '.', '_' and '-' in its name, and nothing else")
        _check_token(self.token)
        if self.endpoint_url is not None:
            check_http("endpoint_url", self.endpoint_url)
            if not (netloc := urlsplit(self.endpoint_url).netloc) or "@" in netloc:
                raise ValueError("endpoint_url must name a host, and no login: pass token=")
        super().__post_init__()

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any]:
        if url.has_credentials:
            raise ValueError("a URL of Google Cloud Storage takes no credentials: pass token=")
        return {"bucket": url.host, "root": url.path}


def _check_token(token: object) -> None:
    """Raise `ValueError`, which does not show it, for a text that can be no token."""
    if isinstance(token, os.PathLike) and not os.path.exists(token):
        raise ValueError("token names a file that does not exist")
    if not isinstance(token, str) or os.path.exists(token):
        return
    if token.endswith(".json"):
        raise ValueError("token names a file that does not exist")
    if token == "browser":  # noqa: S105 (no secret)
        raise ValueError("token='browser' is none: pass the credentials that google_auth_oauthlib gives, as an object")
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("token must be an access token without blanks or line ends, or a file that exists")
