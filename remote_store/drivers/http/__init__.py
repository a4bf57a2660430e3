"""Files of web servers, read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.http.options import HTTPOptions

RETRIES = 3
TIMEOUT = 60.0


def make(options: HTTPOptions, asynchronous: bool) -> Driver:
    """A driver over an fsspec filesystem of its own."""
    from aiohttp import ClientSession
    from fsspec.implementations.http import HTTPFileSystem

    from remote_store._hints import arguments
    from remote_store.drivers.http.driver import HTTPDriver
    from remote_store.drivers.http.options import basic, query_of
    from remote_store.drivers.http.session import Session
    from remote_store.drivers.objects.http import connector

    given = dict(options.client_kwargs or {})
    for name in sorted(given.keys() - arguments(ClientSession)):
        raise ValueError(f"client_kwargs has {name!r}, which aiohttp.ClientSession does not take")
    given["headers"] = dict(options.headers or {})
    if options.token is not None:
        given["headers"]["Authorization"] = f"Bearer {options.token}"
    if options.username is not None:
        given["headers"]["Authorization"] = basic(options.username, options.password or "")
    if options.proxy is not None:
        given["proxy"] = options.proxy
    fs = HTTPFileSystem(client_kwargs=given, encoded=True, asynchronous=asynchronous, skip_instance_cache=True)
    retries = RETRIES if options.retries is None else options.retries
    session = Session(fs, options.base_url, query_of(options.params), options.timeout, retries)
    session.connections = connector(options.ca_bundle)
    driver = HTTPDriver(session, index=options.index)
    driver.owned = True
    return driver


def over(fs: Any, root: str, name: str) -> Driver:
    """A driver over a filesystem of fsspec that others made, whose arguments hold for each request.

    Raises:
        ValueError: the root is no URL, or an argument has no meaning for what the driver sends.
    """
    from remote_store.drivers.http.driver import HTTPDriver
    from remote_store.drivers.http.options import basic, query_of, site_of
    from remote_store.drivers.http.session import Session, deadline, requested

    site = site_of(root)
    given = requested(fs, site.login is not None)
    queries = [text for text in (site.query, query_of(fs.kwargs.get("params"))) if text]
    session = Session(fs, site.url, "&".join(queries), deadline(fs) or TIMEOUT, RETRIES, given)
    if site.login is not None:
        session.headers = {"Authorization": basic(*site.login)}
    return HTTPDriver(session, name=name)
