"""What AzureBackend takes, what comes of it, and filesystems of adlfs that users made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from adlfs import AzureBlobFileSystem
from helpers.azure import PART, azure_place
from servers import web
from servers.azure import ACCOUNT, CONTAINER, HNS, KEY, AzureServer, azure
from servers.azure_faults import BUSY, instead
from servers.ports import free_port

from remote_store import BackendUnavailable, FsspecBackend, RemoteStoreError, Store
from remote_store.aio import AsyncAzureBackend, AsyncFsspecBackend, AsyncStore
from remote_store.backends import AzureBackend

SECRET = "czNjcmV0czNjcmV0czNjcmV0"
"""Which could be a key."""
ACC = {"account_name": "acc", "account_key": KEY}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, brief: None) -> None:
    """A machine whose environment says nothing of Azure."""
    for name in ("NAME", "KEY"):
        monkeypatch.delenv(f"AZURE_STORAGE_ACCOUNT_{name}", raising=False)
    for name in ("CONNECTION_STRING", "SAS_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "TENANT_ID", "ANON"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


# --- values of no use


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"container": ""}, "needs a container"),
        ({"container": None}, "needs a container"),
        ({"container": 5}, "needs a container"),
        ({"container": "az://raw"}, "a container is a name"),
        ({"container": "raw/prefix"}, "a container is a name"),
        *[({"container": name}, "and nothing else") for name in ("a b", "ü", "b\n", "b?c", "\udc80", "a%2fb", "..")],
        ({"part_size": 0}, "part_size must be a whole number"),
        ({"part_size": -PART}, "part_size must be a whole number"),
        ({"part_size": "8MB"}, "part_size must be a whole number"),
        ({"part_size": 4001 << 20}, "at most 4000 MiB"),
        ({"max_concurrency": 0}, "max_concurrency must be a whole number"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"timeout": "60"}, "timeout must be"),
        ({"timeout": None}, "timeout must be"),
        ({"retries": -1}, "retries must be a whole number"),
        ({"retries": True}, "retries must be a whole number"),
        ({"proxy": f"socks5://me:{SECRET}@h:1"}, "proxy must begin with http"),
        ({"ca_bundle": "/no/such.pem"}, "ca_bundle '/no/such.pem' cannot be used"),
        ({"hns": "yes"}, "hns must be True, False or None"),
        ({"anon": "no"}, "anon must be True, False or None"),
        ({"account_keey": SECRET}, r"unknown option 'account_keey' .*did you mean 'account_key'\?"),
        ({"kontainer": "x"}, "unknown option 'kontainer'"),
        ({"key": SECRET}, r"unknown option 'key' .*did you mean 'account_key'\?"),
        ({"sas": SECRET}, r"unknown option 'sas' .*did you mean 'sas_token'\?"),
        ({"connection_string": SECRET}, "container 'raw' cannot be opened: Connection .* blank or malformed"),
        ({"connection_string": f"AccountKey={SECRET};x"}, "malformed"),
        ({"account_key": 5}, "Unsupported credential"),
        ({"credential": ...}, "Unsupported credential"),
        ({"client_id": "x", "client_secret": SECRET, "account_key": None}, "tenant_id"),
        ({"account_name": None, "account_key": None}, "'raw' needs an account: pass account_name="),
    ],
    ids=lambda value: ascii(value)[:60],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_at_once(options: dict[str, Any], says: str) -> None:
    for cls in (AzureBackend, AsyncAzureBackend):
        with pytest.raises(ValueError, match=says) as caught:
            cls(**{"container": "raw", **ACC, **options})
        assert SECRET not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


# --- URLs

PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "az://raw/p/q": ("acc.blob.core.windows.net", ACC),
    "abfs://raw/p/q": ("acc.blob.core.windows.net", ACC),
    "abfs://raw@acc.dfs.core.windows.net/p/q": ("acc.blob.core.windows.net", {"account_key": KEY}),
    "abfss://raw@acc.dfs.core.windows.net/p/q/": ("acc.blob.core.windows.net", {"account_key": KEY}),
    "abfss://raw@acc.blob.core.windows.net/p/q": ("acc.blob.core.windows.net", {"account_key": KEY}),
    "abfss://raw@acc.dfs.core.chinacloudapi.cn/p/q": ("acc.blob.core.chinacloudapi.cn", {"account_key": KEY}),
    "abfss://raw@acc.blob.core.usgovcloudapi.net/p/q": ("acc.blob.core.usgovcloudapi.net", {"account_key": KEY}),
}


@pytest.mark.parametrize("url", PLACES)
@pytest.mark.parametrize("cls", [Store, AsyncStore])
def test_urls_name_a_place(url: str, cls: Any) -> None:
    host, options = PLACES[url]
    plan = cls.from_url(url, **options).resolve("k")
    assert (plan.kind, plan.native_path) == ("azure", "raw/p/q/k")
    assert dict(plan.details) == {"container": "raw", "root": "p/q", "endpoint_url": f"https://{host}/"}


@pytest.mark.parametrize(
    "url",
    [
        f"az://me:{SECRET}@acc.blob.core.windows.net/p",
        f"abfss://raw:{SECRET}@acc.dfs.core.windows.net/p",
        f"az://raw/p?sv=2024&sig={SECRET}",
        f"abfss://raw@acc.dfs.core.windows.net/p?sig={SECRET}",
    ],
)
def test_urls_take_no_credentials(url: str) -> None:
    with pytest.raises(ValueError, match="takes no credentials: pass account_key=") as caught:
        Store.from_url(url, account_key=KEY)
    assert SECRET not in str(caught.value) + repr(caught.value.__context__)


def test_what_a_url_says_is_not_said_again() -> None:
    with pytest.raises(ValueError, match="the URL tells the option 'account_name' already"):
        Store.from_url("abfss://raw@acc.dfs.core.windows.net/p", account_name="other", account_key=KEY)
    with pytest.raises(ValueError, match="needs a container"):
        Store.from_url("az://", **ACC)


# --- the network


def connection(endpoint: str) -> dict[str, Any]:
    protocol = endpoint.partition(":")[0]
    account = f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={KEY}"
    return {"connection_string": f"{account};BlobEndpoint={endpoint}/{ACCOUNT};", "timeout": 20, "retries": 0}


async def fails(**options: Any) -> str:
    with Store(AzureBackend(CONTAINER, **options)) as store, pytest.raises(BackendUnavailable) as caught:
        store.read_bytes("key")
    async with AsyncStore(AsyncAzureBackend(CONTAINER, **options)) as store:
        with pytest.raises(BackendUnavailable) as again:
            await store.read_bytes("key")
    assert again.value.message == caught.value.message
    return caught.value.message


@pytest.mark.parametrize("hns", [True, False, None])
async def test_nobody_there_is_told(hns: bool | None) -> None:
    port = free_port()
    assert f"127.0.0.1:{port}" in await fails(**connection(f"http://127.0.0.1:{port}"), hns=hns)


@pytest.mark.parametrize("hns", [True, False, None])
async def test_certificates_of_a_bundle_are_trusted_and_no_others(tmp_path: Path, hns: bool | None) -> None:
    certificate = web.self_signed(tmp_path)
    with azure(certificate) as server:
        options = {**server.options, "timeout": 20, "hns": hns}
        with Store(AzureBackend(CONTAINER, ca_bundle=str(certificate), **options)) as store:
            store.write("key", b"1") if hns is not True else store.ping()
        server.requests.clear()
        assert "TLS failed" in await fails(**{**options, "retries": 0})
        assert server.requests == []


@pytest.mark.parametrize("hns", [True, False, None])
async def test_all_requests_go_through_the_proxy(hns: bool | None) -> None:
    with web.serve() as proxy:
        there = f"http://127.0.0.1:{proxy.port}"
        await fails(**connection("http://storage.example"), proxy=there, hns=hns)
        assert len(proxy.asked) == 2
        assert all("http://storage.example/" in line for line, _ in proxy.asked)


async def test_the_deadline_and_the_retries_are_those_given(azure_server: AzureServer) -> None:
    async with azure_place("async", azure_server, timeout=7, retries=1) as place:
        with azure_server.hooked(instead(BUSY)), pytest.raises(BackendUnavailable):
            await place.view.read_bytes("key")
        assert len(azure_server.requests) == 2
        assert place.view.store._backend._driver.timeout == 7


# --- filesystems of users


def made(server: AzureServer, **more: Any) -> AzureBlobFileSystem:
    return AzureBlobFileSystem(**server.options, skip_instance_cache=True, **more)


Use = Callable[[AzureBlobFileSystem, str, str], None]


def use_sync(fs: AzureBlobFileSystem, container: str, prefix: str) -> None:
    with Store(FsspecBackend(fs, f"{container}/{prefix}")) as store:
        store.write("key", b"1")
        assert store.read_bytes("key") == b"1"
        assert [str(one.path) for one in store.list_files()] == ["key"]
        store.move("key", "moved")
        with pytest.raises(RemoteStoreError):
            store.read_bytes("key")


def use_async(fs: AzureBlobFileSystem, container: str, prefix: str) -> None:
    async def use() -> None:
        async with AsyncStore(AsyncFsspecBackend(fs, f"{container}/{prefix}")) as store:
            await store.write("key", b"1")
            assert await store.read_bytes("key") == b"1"
            await store.move("key", "moved")

    asyncio.run(use())


@pytest.mark.parametrize("use", [use_sync, use_async])
@pytest.mark.parametrize("container", [CONTAINER, HNS])
def test_a_filesystem_that_was_handed_in_stays_usable(azure_server: AzureServer, use: Use, container: str) -> None:
    fs, prefix = made(azure_server), azure_server.fresh_prefix()
    for number in range(2):
        use(fs, container, f"{prefix}/{number}")
        assert fs.cat_file(f"{container}/{prefix}/{number}/moved") == b"1"
    assert azure_server.keys(f"{prefix}/0/m", container) == [f"{prefix}/0/moved"]


@pytest.mark.parametrize("name", ["evil.example/#", "evil.example:1", "a.b", "", "a@b"])
def test_an_account_is_a_name_and_no_host(name: str) -> None:
    with pytest.raises(ValueError, match="account_host"):
        AzureBackend("raw", account_name=name)
