"""Azure Blob Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.azure.options import AzureOptions
    from remote_store.drivers.base import Driver

PASSED = (
    "account_name", "account_key", "connection_string", "sas_token", "credential", "client_id", "client_secret",
    "tenant_id", "anon", "account_host",
)  # fmt: skip
"""Options that adlfs takes as they are."""
NO_ACCOUNT = (
    "needs an account: pass account_name= or connection_string=, or set AZURE_STORAGE_ACCOUNT_NAME or "
    "AZURE_STORAGE_CONNECTION_STRING"
)
RETRIES = 3
TIMEOUT = 60.0


def make(options: AzureOptions, asynchronous: bool) -> Driver:
    """A driver over an adlfs filesystem of its own."""
    from remote_store._paths import key_of
    from remote_store.drivers.azure.clients import Clients, close_at_end, detach
    from remote_store.drivers.azure.login import Filesystem
    from remote_store.drivers.objects.http import connector

    given = {name: value for name in PASSED if (value := getattr(options, name)) is not None}
    try:
        fs = Filesystem(
            **given, **options.rest, asynchronous=asynchronous, use_listings_cache=False, skip_instance_cache=True
        )
    except ValueError as error:
        why = str(error).removeprefix("unable to connect to account for ")
        told = NO_ACCOUNT if why.startswith("Must provide either") else f"cannot be opened: {why}"
        raise ValueError(f"container {options.container!r} {told}") from error
    detach(fs)
    retries = RETRIES if options.retries is None else options.retries
    clients = Clients(fs, options.container, options.timeout, retries, connector(options.ca_bundle), options.proxy)
    close_at_end(clients)
    driver = _driver(
        clients,
        options.hns,
        root=key_of(options.root),
        part_size=options.part_size,
        max_concurrency=options.max_concurrency,
        reject_write_under_file_ancestor=options.reject_write_under_file_ancestor,
    )
    driver.owned = True
    return driver


def over(fs: Any, root: str, name: str) -> Driver | None:
    """A driver over an adlfs filesystem; None without a container as its root."""
    container, _, prefix = root.strip("/").partition("/")
    if not container:
        return None
    from remote_store.drivers.azure.clients import Clients

    return _driver(Clients(fs, container, TIMEOUT, RETRIES), None, root=prefix, name=name)


def _driver(clients: Any, hns: bool | None, **options: Any) -> Driver:
    from remote_store.drivers.azure.choice import AzureChoice
    from remote_store.drivers.azure.driver import AzureDriver
    from remote_store.drivers.azure.tree import AzureTreeDriver

    if hns is not None:
        return (AzureTreeDriver if hns else AzureDriver)(clients, **options)
    return AzureChoice(AzureDriver(clients, **options), lambda: AzureTreeDriver(clients, **options))
