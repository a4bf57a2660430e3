"""What the SDKs log through the stores has no secret in it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytest.importorskip("s3fs")

from adlfs import AzureBlobFileSystem
from s3fs import S3FileSystem
from servers import azure, gcs_login
from servers.gcs import GcsServer
from servers.s3 import BUCKET, S3Server

from remote_store import CapabilityNotSupported, FsspecBackend, RemoteStoreError, Store
from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import AzureBackend, GCSBackend, S3Backend

SECRET = "hunter2hunter2hunter2hunter2-key"  # As long as a customer's key must be.


class Records(logging.Handler):
    """All that is told, in each of the forms a handler may show."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.names: set[str] = set()
        self.texts: list[str] = []
        self.hidden_by: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        told = f"{record.name}: {logging.Formatter().format(record)} {record.msg!r} {record.args!r} {record.exc_text}"
        told += str([getattr(record, name, "") for name in ("httpRequest", "httpResponse")])  # Of Google's loggers.
        self.names.add(record.name)
        self.texts.append(told)
        if "***" in told:
            self.hidden_by.add(record.name)


@pytest.fixture
def records() -> Iterator[Records]:
    handler, listened = Records(), (logging.getLogger(), logging.getLogger("google"))  # Which tells the root nothing.
    levels = [logger.level for logger in listened]
    for logger in listened:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        for logger, level in zip(listened, levels, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)


Setup = Callable[[Any, pytest.MonkeyPatch, Path], tuple[dict[str, Any], list[str], set[str]]]
"""Options of a backend on a server, secrets, and loggers that would tell them."""


def session_token(server: S3Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    login = {"key": f"{SECRET}-id", "secret": f"{SECRET}-secret", "token": f"{SECRET}-token"}
    return {**server.options, **login}, [SECRET], {"botocore.auth", "botocore.endpoint"}


def customer_key(server: S3Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    more = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SECRET}
    secrets = [SECRET, base64.b64encode(SECRET.encode()).decode()]
    return {**server.options, "s3_additional_kwargs": more}, secrets, {"botocore.auth", "botocore.endpoint"}


def userinfo(server: S3Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    endpoint = server.endpoint.replace("://", f"://{SECRET}-user:{SECRET}@")
    once = {"retries": {"max_attempts": 0}}  # The SDK refuses each request, whose signature is another login.
    return (
        {**server.options, "endpoint_url": endpoint, "config_kwargs": once},
        [SECRET],
        {"botocore.endpoint", "aiobotocore.regions"},
    )


def web_identity(server: S3Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The SDK exchanges a token in a file for credentials, which the reply holds."""
    (folder / "token").write_text(f"{SECRET}.{SECRET}")
    for name, value in {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/tests",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
        "AWS_ENDPOINT_URL_STS": server.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    options = {name: value for name, value in server.options.items() if name not in ("key", "secret")}
    return options, [SECRET], {"botocore.endpoint", "botocore.parsers"}


async def secrets_of_s3(store: AsyncStore, server: S3Server) -> list[str]:
    """What a store got hold of."""
    credentials = await store.unwrap(S3FileSystem).session.get_credentials()
    found = await credentials.get_frozen_credentials() if credentials else None
    url = await store.unwrap(S3FileSystem)._url(store.native_path("f"))
    signature = url.partition("Signature=")[2].partition("&")[0]
    return [signature, *(filter(None, (found.access_key, found.secret_key, found.token)) if found else ())]


def service_account_key(server: GcsServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    account = gcs_login.service_account(server.endpoint)
    return {**server.options, "token": account}, account["private_key"].splitlines()[1:3], set()


def refresh_token(server: GcsServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    from google.oauth2.credentials import Credentials

    login = {**gcs_login.user(server.endpoint), "client_secret": SECRET, "refresh_token": f"{SECRET}-refresh"}
    return {**server.options, "token": Credentials(None, **login)}, [SECRET], set()


def access_token(server: GcsServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    return {**server.options, "token": f"{SECRET}-token"}, [SECRET], set()


async def secrets_of_gcs(store: AsyncStore, server: GcsServer) -> list[str]:
    """The address of an upload, access tokens, and a signature."""
    assert server.service
    found = [*server.service.sessions, *server.service.issued]
    with suppress(CapabilityNotSupported):
        found.append((await store.sign("f")).partition("X-Goog-Signature=")[2])
    assert len(found) > 0
    return found


def account_key(server: azure.AzureServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    return server.options, [azure.KEY], set()


def sas(server: azure.AzureServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """A signature is a part of each URL."""
    signature = f"sv=2025-05-05&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig={SECRET}"
    login = f"BlobEndpoint={server.endpoint};SharedAccessSignature={signature}"
    return {"connection_string": login}, [SECRET], set()


def folders_by_sas(server: azure.AzureServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    options, secrets, tellers = sas(server, monkeypatch, folder)
    return {**options, "hns": True}, secrets, tellers


async def secrets_of_azure(store: AsyncStore, server: azure.AzureServer) -> list[str]:
    """A signature for a time."""
    with suppress(CapabilityNotSupported):
        return [(await store.sign("f")).partition("sig=")[2]]
    return []


S3 = ("moto_server", BUCKET, AsyncS3Backend, S3Backend, secrets_of_s3)
GCS = ("gcs_server", BUCKET, AsyncGCSBackend, GCSBackend, secrets_of_gcs)
AZURE = ("azure_server", azure.CONTAINER, AsyncAzureBackend, AzureBackend, secrets_of_azure)
FOLDERS = ("azure_server", azure.HNS, *AZURE[2:])
SETUPS: list[tuple[Any, Setup]] = [(S3, setup) for setup in (session_token, customer_key, userinfo, web_identity)]
SETUPS += [(GCS, setup) for setup in (service_account_key, refresh_token, access_token)]
SETUPS += [(AZURE, account_key), (AZURE, sas), (FOLDERS, folders_by_sas)]


async def use(store: AsyncStore) -> None:
    """Each kind of request, a multipart upload and errors among them; what the server makes of them does not count."""
    for attempt in (
        lambda: store.write("f", b"1", overwrite=True, metadata={"m": "1"}),
        lambda: store.write("f", b"1"),
        lambda: store.write("big", b"x" * (9 << 20), overwrite=True),
        lambda: store.read_bytes("f"),
        lambda: store.read_bytes("missing"),
        lambda: store.get_file_info("f"),
        lambda: store.copy("f", "g", overwrite=True),
        lambda: store.move("g", "h", overwrite=True),
        lambda: store.delete("f", missing_ok=True),
        lambda: store.delete_folder("d", missing_ok=True, recursive=True),
        lambda: store.ping(),
    ):
        with suppress(RemoteStoreError):
            await attempt()
    with suppress(RemoteStoreError):
        assert [file async for file in store.list_files("", recursive=True)]


@pytest.mark.parametrize(("service", "setup"), SETUPS, ids=[setup.__name__ for _, setup in SETUPS])
def test_no_secret_is_logged(
    service: Any,
    setup: Setup,
    request: pytest.FixtureRequest,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    needs, container, asynchronous, synchronous, gathered = service
    server = request.getfixturevalue(needs)
    options, secrets, tellers = setup(server, monkeypatch, tmp_path)
    prefix = server.fresh_prefix()

    async def main() -> list[str]:
        async with AsyncStore(asynchronous(container, prefix, **options)) as store:
            await use(store)
            found: list[str] = await gathered(store, server)
            return found

    secrets = [*secrets, *asyncio.run(main())]
    with Store(synchronous(container, prefix, **options)) as store:
        with suppress(RemoteStoreError):
            store.read_bytes("h")
        with suppress(RemoteStoreError):
            list(store.list_files())
    assert tellers <= records.hidden_by  # They would have told.
    told = "\n".join(records.texts)
    assert all(len(secret) > 15 and secret not in told for secret in secrets)


def test_all_loggers_of_the_sdks_are_filtered(moto_server: S3Server, records: Records) -> None:
    from remote_store.drivers.kinds import by_name
    from remote_store.drivers.logs import LOGGERS, _hide

    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)) as store:
        store.write("f", b"1")
        store.unwrap(S3FileSystem).ls(BUCKET)
    speaking = {name for name in records.names if name.partition(".")[0] in {*LOGGERS, *by_name("s3").loggers}}
    assert {"botocore.endpoint", "s3fs"} <= speaking
    assert {name for name in speaking if _hide not in logging.getLogger(name).filters} <= {"botocore.loaders"}


def test_all_loggers_of_azure_are_filtered(records: Records, azure_server: azure.AzureServer) -> None:
    from remote_store.drivers.kinds import by_name
    from remote_store.drivers.logs import LOGGERS, _hide

    with Store(AzureBackend(azure.CONTAINER, azure_server.fresh_prefix(), **azure_server.options)) as store:
        store.write("f", b"1")
        store.unwrap(AzureBlobFileSystem).ls(azure.CONTAINER)
    packages = (*LOGGERS, *by_name("azure").loggers)
    speaking = {name for name in records.names if name.startswith(packages)}
    assert "azure.core.pipeline.policies.http_logging_policy" in speaking
    assert {name for name in speaking if _hide not in logging.getLogger(name).filters} == set()


def test_a_store_over_a_filesystem_of_the_users_own_hides_too(
    moto_server: S3Server, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("botocore.endpoint", "botocore.auth"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    fs = S3FileSystem(**_login(moto_server), skip_instance_cache=True)
    with Store(FsspecBackend(fs, BUCKET).adopt()) as store:
        store.write(f"{moto_server.fresh_prefix()}/f", b"1")
    assert "botocore.endpoint" in records.hidden_by
    assert SECRET not in "\n".join(records.texts)


def _login(server: S3Server) -> dict[str, Any]:
    login = {"key": server.options["key"], "secret": server.options["secret"], "token": SECRET}
    return {**login, "endpoint_url": server.endpoint, "client_kwargs": {"region_name": "us-east-1"}}


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://host/c?sv=2026&sig={SECRET}&se=1 HTTP/1.1",
        f'http://localhost:80 "PUT /b/k?X-Amz-Credential={SECRET}%2Fs3&X-Amz-Signature={SECRET} HTTP/1.1" 200 None',
        f"https://storage.example.com/b/k?X-Goog-Credential={SECRET}&X-Goog-Signature={SECRET}",
        f"Starting https://{SECRET}@host/a", f"ftp://me:{SECRET}@b@host/a b@c",
        f"Authorization: Bearer {SECRET}\nHost: h",
        f"{{'Authorization': b'AWS4-HMAC-SHA256 Credential={SECRET}/x, Signature={SECRET}', 'Host': 'h'}}",
        f"(b'authorization', b'Basic {SECRET}'), (b'Cookie', b'a=1; b={SECRET}')",
        f"set-cookie: a=1; b={SECRET}; c",
        f'{{"SecretAccessKey" : "{SECRET}", "SessionToken":"{SECRET}"}}',
        f"b'<Credentials><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{SECRET}</SessionToken>'",
        f"x-amz-copy-source-server-side-encryption-customer-key:{SECRET}",
        f"{{'SSECustomerKey': b'with \\' a quote, {SECRET}'}}",
        f"grant_type=refresh_token&client_secret={SECRET}&refresh_token={SECRET}",
        f'{{"private_key": "-----BEGIN\\n{SECRET}\\n-----END", "private_key_id": "7"}}',
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}==;EndpointSuffix=e",
        f"x-ms-encryption-key: {SECRET}",
        f"StringToSign:\nx\nSignature:\n{SECRET}",
    ],
)  # fmt: skip
def test_secrets_are_known_by_where_they_stand(text: str) -> None:
    from remote_store.drivers.logs import redacted

    assert "***" in redacted(text)
    assert SECRET not in redacted(text)
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "Looking for credentials via: env",
        "Found credentials in shared credentials file: ~/.aws/credentials",
        "Calculating signature using v4 auth.",
        "{'Key': 'a/b', 'ContinuationToken': 'abc', 'auth_path': '/b/k', 'signature_version': 's3v4'}",
        "host;x-amz-date;x-amz-security-token\ne3b0c44298fc1c14",
        "https://host:9000/b/k?list-type=2&prefix=a@b/",
        "mail to me@host, or see file:///a/b",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    from remote_store.drivers.logs import redacted

    assert redacted(text) == text


class Broken:
    """Has no text."""

    def __str__(self) -> NoReturn:
        raise RuntimeError(f"no text, {SECRET}")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("only %s", ("one", f"sig={SECRET}")),
        ("%s", (Broken(),)),
        ("%d", (f"sig={SECRET}",)),
        ("%s %s", ({"sig": SECRET},)),
    ],
    ids=["too many", "broken", "of another type", "too few"],
)
def test_a_record_that_cannot_be_formatted_breaks_nothing(
    message: str, arguments: tuple[Any, ...], moto_server: S3Server, records: Records
) -> None:
    S3Backend(BUCKET, **moto_server.options)
    before = len(records.texts)  # Of the event loop, which begins with the first backend.
    logging.getLogger("botocore.endpoint").debug(message, *arguments)
    assert len(records.texts) == before + 1
    assert SECRET not in records.texts[-1]


def test_a_traceback_that_is_logged_has_no_secret(moto_server: S3Server, records: Records) -> None:
    S3Backend(BUCKET, **moto_server.options)
    log = logging.getLogger("s3fs")
    for url in (f"http://me:{SECRET}@host/a", "http://host/a"):
        try:
            raise OSError(f"cannot reach {url}")
        except OSError:
            log.debug("Retryable", exc_info=True)
    assert "OSError: cannot reach http://***@host/a" in records.texts[0]
    assert "OSError: cannot reach http://host/a" in records.texts[1]
    assert SECRET not in "".join(records.texts)


def test_a_record_without_a_secret_stays_as_it_was(moto_server: S3Server) -> None:
    S3Backend(BUCKET, **moto_server.options)
    log, arguments = logging.getLogger("botocore.endpoint"), ({"Bucket": "b"}, 7)
    record = log.makeRecord(log.name, logging.DEBUG, "f", 1, "params %s, %d", arguments, None)
    assert log.filter(record)
    assert (record.msg, record.args) == ("params %s, %d", arguments)
