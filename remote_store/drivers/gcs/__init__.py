"""Google Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.gcs.options import GCSOptions

RETRIES = 3
TIMEOUT = 60.0
UNTIL_NEEDED = (None, "cache", "cloud", "google_default")
"""Ways to find credentials that ask others, and so wait for the first call."""


def make(options: GCSOptions, asynchronous: bool) -> Driver:
    """A driver over a gcsfs filesystem of its own."""
    from gcsfs.core import GCSFileSystem  # Not the extended one, which tries gRPC first.

    from remote_store._paths import key_of
    from remote_store.drivers.gcs.credentials import Login, known
    from remote_store.drivers.gcs.driver import GCSDriver
    from remote_store.drivers.gcs.session import Session
    from remote_store.drivers.objects.http import connector

    token = known(options.token)
    later = token in UNTIL_NEEDED if token is None or isinstance(token, str) else False
    try:
        fs = GCSFileSystem(
            **({} if options.project is None else {"project": options.project}),
            **options.rest,
            token="anon" if later else token,
            requester_pays=options.requester_pays,
            endpoint_url=options.endpoint_url,
            asynchronous=asynchronous,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
    except (KeyError, OSError, ValueError) as error:  # Its text may show what the file or the dict holds.
        raise ValueError(f"the options are of no use, token= maybe ({type(error).__name__})") from None
    session = Session(
        fs,
        Login(fs, (token,) if later else None, options.timeout, options.proxy, options.ca_bundle),
        options.timeout,
        RETRIES if options.retries is None else options.retries,
        connector(options.ca_bundle),
        options.proxy,
    )
    driver = GCSDriver(
        session,
        options.bucket,
        key_of(options.root),
        part_size=options.part_size,
        reject_write_under_file_ancestor=options.reject_write_under_file_ancestor,
    )
    driver.owned = True
    return driver


def over(fs: Any, root: str, name: str) -> Driver | None:
    """A driver over a gcsfs filesystem; None without a bucket as its root."""
    if not root.strip("/"):
        return None
    from remote_store.drivers.gcs.credentials import Login
    from remote_store.drivers.gcs.driver import GCSDriver
    from remote_store.drivers.gcs.session import Session

    timeout = fs.timeout or TIMEOUT
    session = Session(fs, Login(fs, timeout=timeout), timeout, RETRIES)
    return GCSDriver(session, *root.strip("/").split("/", 1), name=name)
