"""Options of S3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from remote_store.drivers.options import SECRET, Options, RemoteOptions, check_engine, check_http, check_whole

if TYPE_CHECKING:
    from remote_store._location import Location

Table = Mapping[str, Any] | None


@dataclass(frozen=True)
class S3Options(RemoteOptions):
    """What S3 takes.

    Args:
        bucket: its name; the bucket must exist.
        root: prefix that is the root.
        key: id of the access key.
        secret: secret access key.
        token: session token, of credentials that expire.
        profile: of the SDK's configuration, to take credentials and settings from.
        anon: send requests without credentials, as public buckets allow.
        region_name: of the bucket.
        endpoint_url: of a service other than Amazon's.
        use_ssl: whether requests to Amazon's service are encrypted.
        requester_pays: pay for the requests, as some buckets demand.
        part_size: content up to here is one request; longer streams go in parts of this size [bytes].
        max_concurrency: parts in flight; at most one more is held in memory.
        exclusive_copy: `"multipart"` lets copies and moves with `overwrite=False` be uploads in parts, whose end the
            service refuses where the target exists, for services that ignore the condition of a copy; it takes three
            requests more.
        reject_write_under_file_ancestor: refuse to write below an object, at the price of one request for each
            folder above, all at once.
        engine: `"fast"` sends reads, questions for files and writes of up to a part through obstore, which takes the
            extra `fast`; the rest, and what obstore cannot do, goes the usual way.
        client_kwargs: for the SDK's client.
        config_kwargs: for the configuration of the SDK's client; `retries` defaults to 3 unless it is set here.
        s3_additional_kwargs: what each request is to say, such as `{"ServerSideEncryption": "AES256"}`.
    """

    PLACE: ClassVar = ("bucket", "root")
    PUBLIC: ClassVar = Options.PUBLIC | {
        "ACL", "ServerSideEncryption", "StorageClass", "addressing_style", "connect_timeout", "max_attempts",
        "max_pool_connections", "mode", "read_timeout", "request_checksum_calculation",
        "response_checksum_validation", "total_max_attempts", "verify",
    }  # fmt: skip
    TABLES: ClassVar = {
        **dict.fromkeys(("api_version", "verify"), "client_kwargs"),
        **dict.fromkeys(("max_pool_connections", "proxies", "retries", "s3", "signature_version"), "config_kwargs"),
        **dict.fromkeys(
            ("ACL", "CacheControl", "SSEKMSKeyId", "ServerSideEncryption", "StorageClass"), "s3_additional_kwargs"
        ),
    }
    bucket: str
    root: str = ""
    _: KW_ONLY
    key: str | None = field(default=None, metadata=SECRET)
    secret: str | None = field(default=None, metadata=SECRET)
    token: str | None = field(default=None, metadata=SECRET)
    profile: str | None = None
    anon: bool = False
    region_name: str | None = None
    endpoint_url: str | None = None
    use_ssl: bool = True
    requester_pays: bool = False
    part_size: int = 8 << 20
    max_concurrency: int = 4
    exclusive_copy: str | None = None
    reject_write_under_file_ancestor: bool = False
    engine: str | None = None
    client_kwargs: Table = field(default=None, metadata=SECRET)
    config_kwargs: Table = field(default=None, metadata=SECRET)
    s3_additional_kwargs: Table = field(default=None, metadata=SECRET)

    def __post_init__(self) -> None:
        if not isinstance(self.bucket, str) or not self.bucket:
            raise ValueError("S3 needs a bucket: S3Backend('my-bucket'), or s3://my-bucket/prefix")
        if "://" in self.bucket or ("/" in self.bucket and not self.bucket.startswith("arn:")):
            raise ValueError("a bucket is a name, such as 'my-bucket'; a prefix in it is the argument `root`")
        if type(self.part_size) is not int or self.part_size < 5 << 20:
            raise ValueError("part_size must be at least 5 MiB (S3's minimum), as a number of bytes")
        check_whole("max_concurrency", self.max_concurrency, 1, f", not {self.max_concurrency!r}")
        if self.exclusive_copy not in (None, "multipart"):
            raise ValueError(f"exclusive_copy must be 'multipart' or None, not {self.exclusive_copy!r}")
        check_engine(self.engine)
        if self.endpoint_url is not None:
            check_http("endpoint_url", self.endpoint_url)
        super().__post_init__()

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any]:
        if url.has_credentials:
            raise ValueError("an S3 URL takes no credentials: pass key= and secret=, or leave them to the SDK")
        return {"bucket": url.host, "root": url.path}

    @classmethod
    def lacking(cls, given: Mapping[str, Any]) -> dict[str, str]:
        some = given.keys() & {"key", "secret", "token"}
        pair = dict.fromkeys(("key", "secret"), ", or leave all credentials to the SDK's own chain") if some else {}
        return super().lacking(given) | pair
