"""Credentials of Azure storage: every kind, found where adlfs looks, signing, and what outlives a process."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from adlfs import AzureBlobFileSystem
from azure.core.credentials import AccessToken, AccessTokenInfo, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from helpers.azure import azure_view
from helpers.processes import run_script
from servers import web
from servers.azure import ACCOUNT, CONTAINER, HNS, KEY, AzureServer, azure
from servers.double_answers import CarryOut, Request

from remote_store import BackendUnavailable, CapabilityNotSupported, PermissionDenied, Store
from remote_store.backends import AzureBackend

TOKEN = "eyJ0.s3cret-token"
SETTINGS = ("ACCOUNT_NAME", "ACCOUNT_KEY", "CONNECTION_STRING", "SAS_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "TENANT_ID")


class Credential:
    """One of a user, which counts what it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked, self.closed, self.error = 0, 0, error

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked += 1
        if self.error:
            raise self.error
        return AccessToken(TOKEN, int(time.time()) + 3600)

    async def get_token_info(self, *scopes: str, **_: Any) -> AccessTokenInfo:
        return AccessTokenInfo(*await self.get_token(*scopes))

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> Credential:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, brief: None) -> None:
    for name in (*SETTINGS, "ANON"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AzureServer, str]]:
    """The double over TLS, without which the SDK sends no token; and its certificate."""
    certificate = web.self_signed(tmp_path_factory.mktemp("tls"))
    with azure(certificate) as server:
        yield server, str(certificate)


@pytest.fixture
def place(tls: tuple[AzureServer, str]) -> dict[str, Any]:
    """Options that name the account there."""
    server, certificate = tls
    server.requests.clear()
    host = server.endpoint.partition("://")[2]
    return {"account_name": ACCOUNT, "account_host": host, "ca_bundle": certificate, "timeout": 20}


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of this machine are taken for those of Azure."""
    monkeypatch.setattr("remote_store.drivers.azure.login.CLOUDS", re.compile(rf"127\.0\.0\.1:\d+/({ACCOUNT})"))


def sas() -> str:
    """A signature for the account."""
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    all_types = ResourceTypes(service=True, container=True, object=True)
    allowed = AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True)
    return str(generate_account_sas(ACCOUNT, KEY, all_types, allowed, until))


def stand_in(monkeypatch: pytest.MonkeyPatch, kind: str, credential: Credential) -> None:
    """Entra is not asked."""
    for name in ("get_token", "get_token_info", "close"):
        monkeypatch.setattr(f"azure.identity.aio.{kind}Credential.{name}", getattr(credential, name))


def principal(monkeypatch: pytest.MonkeyPatch) -> Credential:
    made = Credential()
    stand_in(monkeypatch, "ClientSecret", made)
    return made


PRINCIPAL = {
    "client_id": "id",
    "client_secret": "s3cret-of-client",
    "tenant_id": "00000000-0000-0000-0000-000000000000",
}
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"account_key": KEY}, "key"),
    "sas": ({"sas_token": sas()}, "sas"),
    "sas, ?": ({"sas_token": f"?{sas()}"}, "sas"),
    "credential": ({"credential": Credential()}, "token"),
    "sas as a credential": ({"credential": sas()}, "sas"),
    "sas of the SDK": ({"credential": AzureSasCredential(sas())}, "sas"),
    "principal": (PRINCIPAL, "token"),
}


async def used(mode: str, server: AzureServer, container: str, **options: Any) -> None:
    """Each kind of request."""
    prefix = server.fresh_prefix()
    server.requests.clear()
    async with azure_view(mode, server, prefix, container, connection_string=None, **options) as view:
        await view.write("d/key", b"1")
        await view.write("long", view.stream([bytes(3000)]))
        await view.copy("d/key", "copy")
        await view.copy("d/key", "copy", overwrite=True)
        assert sum("PUT" in request and "/copy" in request for request in server.requests) == 2  # At once.
        await view.move("copy", "moved")
        assert await view.read_bytes("moved") == b"1"
        assert len([one async for one in view.list_files("", recursive=True)]) == 3
        await view.delete_folder("d", recursive=True)
        await view.delete("long")


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hns", [None, True, False])
async def test_each_kind_lets_in(
    tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str, hns: bool | None
) -> None:
    options, demand = KINDS[kind]
    principal(monkeypatch)
    with tls[0].having(demands=frozenset({demand})):
        await used(mode, tls[0], HNS if hns else CONTAINER, **place, **options, hns=hns)
        other = {"credential": Credential()} if demand == "key" else {"account_key": KEY}
        with pytest.raises(PermissionDenied, match="does not accept the credentials"):
            await used(mode, tls[0], HNS if hns else CONTAINER, **place, **other, hns=hns)


ENVIRONMENT: dict[str, tuple[dict[str, str], str]] = {
    "key": ({"ACCOUNT_KEY": KEY}, "key"),
    "sas": ({"SAS_TOKEN": sas()}, "sas"),
    "principal": ({name.upper(): value for name, value in PRINCIPAL.items()}, "token"),
}


@pytest.mark.parametrize("kind", ENVIRONMENT)
async def test_credentials_are_found_where_adlfs_looks(
    tls: Any, place: Any, at_home: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings, demand = ENVIRONMENT[kind]
    principal(monkeypatch)
    for name, value in {**settings, "ACCOUNT_NAME": ACCOUNT}.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    place.pop("account_name")
    with tls[0].having(demands=frozenset({demand})):
        await used("async", tls[0], CONTAINER, **place)


OTHERS = {
    "ACCOUNT_KEY": "b3RoZXI=",
    "SAS_TOKEN": "sig=other",
    "CLIENT_ID": "other",
    "CLIENT_SECRET": "other",
    "TENANT_ID": "11111111-1111-1111-1111-111111111111",
    "CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=other;AccountKey=b3RoZXI=;"
    "BlobEndpoint=http://127.0.0.1:9/other;",
}


@pytest.mark.parametrize("other", [*OTHERS, "all"])
@pytest.mark.parametrize("kind", [*KINDS, "anonymous"])
async def test_arguments_outrank_the_environment(
    tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch, kind: str, other: str
) -> None:
    options, demand = KINDS.get(kind, ({"anon": True}, ""))
    principal(monkeypatch)
    for name, value in OTHERS.items():
        if other in (name, "all"):
            monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    seen: set[str] = set()

    def hook(request: Request, carry_out: CarryOut) -> None:
        seen.add(request.headers.get("Authorization", "sas" if "sig" in request.query else "").partition(" ")[0])
        assert "other" not in str(request.query)

    with tls[0].having(demands=frozenset({demand}) if demand else None), tls[0].hooked(hook):
        await used("async", tls[0], CONTAINER, **place, **options)
    assert seen == {{"key": "SharedKey", "sas": "sas", "token": "Bearer", "": ""}[demand]}


@pytest.mark.parametrize("string", [OTHERS["CONNECTION_STRING"], "BlobEndpoint=https://other.example;", "no;sense"])
async def test_a_connection_string_of_another_account_is_not_meant(
    tls: Any, place: Any, at_home: None, monkeypatch: pytest.MonkeyPatch, string: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    with tls[0].having(demands=frozenset({"key"})):
        await used("async", tls[0], CONTAINER, **place)


@pytest.mark.parametrize("named", [{"account_name": ACCOUNT}, {}])
async def test_a_connection_string_of_the_account_is_meant(
    azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch, named: dict[str, str]
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    with azure_server.having(demands=frozenset({"key"})):
        await used("async", azure_server, CONTAINER, **named)


ELSEWHERE = [
    {"account_name": "theirs"},
    {"account_host": "theirs.blob.core.windows.net"},
    {"account_name": "mine", "account_host": "theirs.blob.core.windows.net"},
    {"account_name": "theirs", "account_host": "mine.blob.core.windows.net"},
]
STRANGE = [
    {"account_name": "theirs", "account_host": "theirs.example"},
    {"account_host": "mine.theirs.example"},
    {"account_name": "mine", "account_host": "mine.blob.core.example"},
    {"account_name": "mine", "account_host": "mine.blob.core.windows.net.example"},
    {"account_name": "mine", "account_host": "mine.blob.core.windows.net:443@theirs.example"},
    {"account_name": "mine", "account_host": "127.0.0.1:9/mine"},
]
"""Hosts that may be anybody's, whatever they call the account."""
OWN = [
    {},
    {"account_name": "mine"},
    {"account_name": "mine", "account_host": "mine.blob.core.windows.net"},
    {"account_host": "mine.blob.core.chinacloudapi.cn"},
    {"account_host": "mine-secondary.blob.core.windows.net"},
]
GIVES_ACCESS = {"ACCOUNT_KEY": "b3RoZXI=", "SAS_TOKEN": "sig=own"}


def opened(**options: Any) -> AzureBlobFileSystem:
    with Store(AzureBackend(CONTAINER, hns=False, **options)) as store:
        return store.unwrap(AzureBlobFileSystem)


@pytest.mark.parametrize("name", GIVES_ACCESS)
@pytest.mark.parametrize("named", [*ELSEWHERE, *STRANGE], ids=str)
def test_credentials_of_one_account_are_not_shown_to_another(
    monkeypatch: pytest.MonkeyPatch, name: str, named: dict[str, str]
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv(f"AZURE_STORAGE_{name}", GIVES_ACCESS[name])
    stand_in(monkeypatch, "DefaultAzure", Credential())
    fs = opened(**named)
    assert (fs.account_key, fs.sas_token) == (None, None)
    assert "sig=" not in fs.service_client.url
    assert isinstance(fs.service_client.credential, DefaultAzureCredential) is (named in ELSEWHERE)


@pytest.mark.parametrize("name", GIVES_ACCESS)
@pytest.mark.parametrize("named", OWN, ids=str)
def test_credentials_of_the_environment_are_for_its_account(
    monkeypatch: pytest.MonkeyPatch, name: str, named: dict[str, str]
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv(f"AZURE_STORAGE_{name}", GIVES_ACCESS[name])
    assert getattr(opened(**named), name.lower()).removeprefix("?") == GIVES_ACCESS[name]


def test_a_signature_of_the_environment_is_for_a_host_of_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key adlfs takes none of them."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sig=own")
    assert opened(account_host="mine.z01.blob.storage.azure.net").sas_token == "?sig=own"


def test_credentials_of_no_account_are_for_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    assert opened(account_name="theirs").account_key == KEY
    assert opened(account_name="theirs", account_host="theirs.example").account_key is None


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_strange_host_is_shown_nothing_that_was_not_meant_for_it(
    tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Neither a key, nor what Azure's libraries find, nor a principal; the error says so."""
    made = principal(monkeypatch)
    stand_in(monkeypatch, "DefaultAzure", made)
    for name, value in {**OTHERS, "ACCOUNT_NAME": ACCOUNT, "ACCOUNT_KEY": KEY}.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    seen: set[str | None] = set()

    def hook(request: Request, carry_out: CarryOut) -> None:
        seen.add(request.headers.get("Authorization") or request.query.get("sig"))

    with tls[0].having(demands=frozenset({"key"})), tls[0].hooked(hook):
        with pytest.raises(PermissionDenied, match="were not sent: pass them as arguments"):
            await used(mode, tls[0], CONTAINER, **place)
        assert (seen, made.asked) == ({None}, 0)
        await used(mode, tls[0], CONTAINER, **place, account_key=KEY)
        with pytest.raises(PermissionDenied) as caught:
            await used(mode, tls[0], CONTAINER, **place, sas_token=sas())
        assert "pass them" not in str(caught.value)


async def test_a_strange_host_that_the_environment_names_is_none(
    tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    string = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={tls[0].endpoint}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    with tls[0].having(demands=frozenset({"key"})):
        await used("async", tls[0], CONTAINER, **place)


def test_a_url_shows_no_credentials_to_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sig=own")
    stand_in(monkeypatch, "DefaultAzure", Credential())
    for host in (
        "theirs.example",
        "theirs.blob.core.windows.net",
        "mine.theirs.example",
        "mine.dfs.core.theirs.example",
        "mine.blob.example",
    ):
        with Store.from_url(f"abfss://{CONTAINER}@{host}/p", hns=False) as store:
            fs = store.unwrap(AzureBlobFileSystem)
            assert "sig=" not in fs.service_client.url
            assert (fs.service_client.credential is None) is host.endswith("example")


async def test_public_containers_need_none(tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"anon": True}, {}):
        if not options:
            monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
        with tls[0].having(demands=None):
            await used("async", tls[0], CONTAINER, **place, **options)
        with tls[0].having(demands=frozenset({"key"})), pytest.raises(PermissionDenied):
            await used("async", tls[0], CONTAINER, **place, **options)


# --- none found, none given


@pytest.mark.parametrize("hns", [None, True, False])
async def test_where_none_are_found_they_are_looked_for_once(tls: Any, place: Any, hns: bool | None) -> None:
    nothing = Credential(ClientAuthenticationError("no s3cret found"))
    with pytest.raises(PermissionDenied, match=r"were found for 127\.0\.0\.1:.*account_key="):
        await used("async", tls[0], CONTAINER, **place, credential=nothing, hns=hns)
    assert nothing.asked == 1
    assert tls[0].requests == []


async def test_the_default_ones_are_looked_for(
    tls: Any, place: Any, at_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Credential(ClientAuthenticationError("none"))
    stand_in(monkeypatch, "DefaultAzure", nothing)
    with pytest.raises(PermissionDenied, match="no usable credentials were found"):
        await used("async", tls[0], CONTAINER, **place)
    assert nothing.asked == 1


async def test_no_token_because_nobody_answers_is_an_outage(tls: Any, place: Any) -> None:
    nobody = Credential(ServiceRequestError("connection refused"))
    with pytest.raises(BackendUnavailable):
        await used("async", tls[0], CONTAINER, **place, credential=nobody)
    assert nobody.asked == 4


async def test_a_key_that_is_none_is_refused(tls: Any, place: Any) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await used("async", tls[0], CONTAINER, **place, account_key="s3cret!")
    assert "s3cret" not in str(caught.value)
    assert tls[0].requests == []


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_credential_of_the_user_stays_open(tls: Any, place: Any, mode: str) -> None:
    """Another store may use it."""
    own = Credential()
    for _ in range(2):
        await used(mode, tls[0], CONTAINER, **place, credential=own)
    assert own.closed == 0


async def test_credentials_that_were_made_are_closed(tls: Any, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = principal(monkeypatch)
    await used("async", tls[0], CONTAINER, **place, **PRINCIPAL)
    assert made.closed == 1


# --- signed URLs


def ask(url: str, certificate: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    import ssl

    headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain"} if method == "PUT" else {}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        trust = ssl.create_default_context(cafile=certificate)
        with urllib.request.urlopen(request, timeout=60, context=trust) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


@pytest.mark.parametrize("login", [{"account_key": KEY}, {"credential": Credential()}], ids=["key", "token"])
@pytest.mark.parametrize("key", ["f", "d/a b.txt", "ü/𝄞", "a?b#c&d=e;f", "%41%"])
async def test_a_url_reads_and_another_writes(tls: Any, place: Any, login: Any, key: str) -> None:
    server, certificate = tls
    with server.having(demands=frozenset({"key", "token", "sas"})):
        options = {**place, **login, "connection_string": None}
        async with azure_view("async", server, server.fresh_prefix(), **options) as view:
            await view.write(key, b"old")
            assert await asyncio.to_thread(ask, await view.sign(key), certificate) == (200, b"old")
            url = await view.sign(key, method="PUT")
            assert (await asyncio.to_thread(ask, url, certificate, "PUT", b"new"))[0] == 201
            assert await view.read_bytes(key) == b"new"


@pytest.mark.parametrize("login", [{"sas_token": sas()}, {"anon": True}], ids=["sas", "anonymous"])
async def test_who_cannot_sign_is_told(tls: Any, place: Any, login: Any) -> None:
    async with azure_view("async", tls[0], "p", **place, **login, connection_string=None) as view:
        with pytest.raises(CapabilityNotSupported, match="these credentials"):
            await view.sign("f")
    assert tls[0].requests == []


async def test_who_may_get_no_key_to_sign_is_denied(tls: Any, place: Any) -> None:
    with tls[0].having(demands=frozenset({"token"}), token="another"):
        async with azure_view("async", tls[0], "p", **place, credential=Credential(), connection_string=None) as view:
            with pytest.raises(PermissionDenied):
                await view.sign("f")


# --- left open


class TokenHandler(http.server.BaseHTTPRequestHandler):
    """Gives a token to whoever asks, as the machines of the service do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        until = str(int(time.time()) + 3600)
        body = json.dumps({"access_token": TOKEN, "expires_on": until, "resource": "", "token_type": "Bearer"})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


LEFT_OPEN = """
import json, os, sys
from remote_store import Store
from remote_store.backends import AzureBackend

store = Store(AzureBackend(**json.loads(sys.argv[1])))
store.write("key", b"1", overwrite=True)
if "fork" in sys.argv and (child := os.fork()) == 0:
    sys.exit()
"""


@pytest.mark.parametrize("end", ["alone", pytest.param("fork", marks=pytest.mark.full)])
def test_a_program_says_nothing_of_connections_for_tokens(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenHandler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        assert run_script(LEFT_OPEN, json.dumps({"container": CONTAINER, "root": "left", **place}), end) == ("", "")
        server.shutdown()
