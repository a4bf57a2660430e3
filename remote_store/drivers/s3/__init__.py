"""Amazon S3 and its likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.s3.options import S3Options

PASSED = ("key", "secret", "token", "anon", "endpoint_url", "use_ssl", "requester_pays", "s3_additional_kwargs")
"""Options that s3fs takes as they are."""
RETRIES = 3
CONNECTIONS = 256
"""The SDK's 10 would be held by 10 open streams, for which an eleventh call would wait in vain."""
PATIENCE = 60
"""How long the SDK waits for a connection or for bytes of a reply, and longer where a call may take longer [s]."""


def make(options: S3Options, asynchronous: bool) -> Driver:
    """A driver over an s3fs filesystem of its own."""
    from s3fs import S3FileSystem

    from remote_store._paths import key_of
    from remote_store.drivers.s3.driver import S3Driver

    fs = S3FileSystem(
        **{name: getattr(options, name) for name in PASSED},
        **({"profile": options.profile} if options.profile else {}),
        **options.rest,
        client_kwargs=_client(options),
        config_kwargs=_config(options),
        asynchronous=asynchronous,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    driver = S3Driver(
        fs,
        options.bucket,
        key_of(options.root),
        timeout=options.timeout,
        part_size=options.part_size,
        max_concurrency=options.max_concurrency,
        exclusive_copy=options.exclusive_copy,
        reject_write_under_file_ancestor=options.reject_write_under_file_ancestor,
    )
    driver.owned = driver.wire.made_here = True
    if options.engine != "fast":
        return driver
    from remote_store.drivers.fast import faster
    from remote_store.drivers.s3.fast import S3Lane

    return faster(driver, S3Lane(driver.wire, options))


def over(fs: Any, root: str, name: str) -> Driver | None:
    """A driver over an s3fs filesystem; None without a bucket as its root."""
    if not root.strip("/"):
        return None
    from remote_store.drivers.s3.driver import S3Driver

    return S3Driver(fs, *root.strip("/").split("/", 1), name=name)


def _client(options: S3Options) -> dict[str, Any]:
    """Arguments of the SDK's client; an option is stronger than what its table says."""
    given = {"region_name": options.region_name, "verify": options.ca_bundle}
    return {**(options.client_kwargs or {}), **{name: value for name, value in given.items() if value is not None}}


def _config(options: S3Options) -> dict[str, Any]:
    """The configuration of the SDK's client: defaults, its table, options, from weak to strong."""
    from remote_store.drivers.s3.session import OneTryPerRequest

    config: dict[str, Any] = {
        "retries": _retries(RETRIES),
        "http_session_cls": OneTryPerRequest,
        "max_pool_connections": CONNECTIONS,
        "read_timeout": max(options.timeout or 0, PATIENCE),
        # The SDK need only look at what is not made here.
        "parameter_validation": bool(options.s3_additional_kwargs),
        **(options.config_kwargs or {}),
    }
    if options.retries is not None:
        config["retries"] = _retries(options.retries)
    if options.proxy is not None:
        config["proxies"] = dict.fromkeys(("http", "https"), options.proxy)
    return config


def _retries(tries: int) -> dict[str, Any]:
    return {"mode": "standard", "max_attempts": tries}
