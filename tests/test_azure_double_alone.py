"""What the double of Azure storage does that azurite does not: slow copies, refusals on demand, faults."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient
from helpers.deadline import DEADLINE
from servers import azure_faults as faults
from servers.azure import ACCOUNT, CONTAINER, HNS, KEY, AzureServer, azure
from servers.azure_client import ONCE, blobs, commit, content_of, refusal
from servers.double_answers import Answer, CarryOut, Request
from servers.web import self_signed

Reply = tuple[int, dict[str, str], str]
"""Status, headers with names in lower case, and body."""


@pytest.fixture
def double(azure_server: AzureServer) -> AzureServer:
    return azure_server


@pytest.fixture
async def container(double: AzureServer) -> AsyncIterator[ContainerClient]:
    async with blobs(double) as client:
        yield client


@pytest.fixture
def name(double: AzureServer) -> str:
    return double.fresh_prefix()


@pytest.fixture
def blob(container: ContainerClient, name: str) -> BlobClient:
    return container.get_blob_client(name)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The double fails on purpose only."""
    yield
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def copied(container: ContainerClient, double: AzureServer, name: str) -> tuple[BlobClient, dict[str, Any]]:
    """A copy that is under way, and what its start was answered."""
    double.put(f"{name}-source", b"hello", a="b")
    blob = container.get_blob_client(name)
    return blob, await blob.start_copy_from_url(f"{blob.url}-source")


async def test_requests_are_counted_as_they_were_sent(double: AzureServer, container: ContainerClient) -> None:
    double.requests.clear()
    await container.upload_blob("ä b/%", b"1", overwrite=True)
    await container.delete_blob("ä b/%")
    path = f"/devstoreaccount1/{CONTAINER}/%C3%A4%20b/%25"
    assert double.requests == [f"PUT {path}", f"DELETE {path}"]


async def test_a_pending_copy_is_there_and_empty_until_it_ends(
    double: AzureServer, container: ContainerClient, name: str
) -> None:
    with double.having(copy_polls=2):
        blob, told = await copied(container, double, name)
        assert told["copy_status"] == "pending"
        assert await refusal(blob.upload_blob(b"1", overwrite=True)) == (409, "PendingCopyOperation")
        for _ in range(2):
            found = await blob.get_blob_properties()
            assert (found.copy.id, found.copy.status, found.size) == (told["copy_id"], "pending", 0)
        found = await blob.get_blob_properties()
        assert (found.copy.status, found.size, found.metadata) == ("success", 5, {"a": "b"})
        assert found.etag != told["etag"]
    assert await content_of(blob) == b"hello"


async def test_an_aborted_copy_leaves_an_empty_blob(double: AzureServer, container: ContainerClient, name: str) -> None:
    with double.having(copy_polls=None):
        blob, told = await copied(container, double, name)
    for _ in range(3):
        assert (await blob.get_blob_properties()).copy.status == "pending"
    assert await refusal(blob.abort_copy("other")) == (409, "CopyIdMismatch")
    await blob.abort_copy(told["copy_id"])
    assert await refusal(blob.abort_copy(told["copy_id"])) == (409, "NoPendingCopyOperation")
    found = await blob.get_blob_properties()
    assert (found.copy.status, found.size) == ("aborted", 0)
    await blob.upload_blob(b"1", overwrite=True)


@pytest.mark.parametrize("polls", [0, 1])
async def test_a_copy_that_fails_leaves_an_empty_blob(
    double: AzureServer, container: ContainerClient, name: str, polls: int
) -> None:
    with double.having(copy_polls=polls, copy_fails=True):
        blob, told = await copied(container, double, name)
        for _ in range(polls + 1):
            found = await blob.get_blob_properties()
    assert (found.copy.status, found.size) == ("failed", 0)
    assert told["copy_status"] == ("pending" if polls else "failed")


async def test_a_synchronous_copy_needs_a_signed_source(
    double: AzureServer, container: ContainerClient, name: str
) -> None:
    double.put(f"{name}-source", b"hello")
    blob = container.get_blob_client(name)
    url, at_once = f"{blob.url}-source", {"requires_sync": True}
    assert await refusal(blob.start_copy_from_url(url, **at_once)) == (401, "CannotVerifyCopySource")
    assert (await blob.start_copy_from_url(f"{url}?sig=x", **at_once))["copy_status"] == "success"


async def test_pages_may_be_short_or_empty(double: AzureServer, container: ContainerClient, name: str) -> None:
    for letter in "abc":
        double.put(f"{name}/{letter}", b"1")
    for settings, sizes in (({"page": 2}, [2, 1]), ({"empty_page": True}, [0, 3])):
        with double.having(**settings):
            pages = container.list_blobs(name_starts_with=f"{name}/").by_page()
            found = [[one.name async for one in page] async for page in pages]
        assert [len(page) for page in found] == sizes
        assert [one for page in found for one in page] == [f"{name}/{letter}" for letter in "abc"]


async def test_a_name_that_xml_cannot_hold_is_listed(container: ContainerClient, blob: BlobClient, name: str) -> None:
    odd = f"{name}\x01%\uffff"
    await container.upload_blob(odd, b"1")
    assert [one.name async for one in container.list_blobs(name_starts_with=name)] == [odd]


async def test_a_range_that_begins_at_the_end_is_none(double: AzureServer, blob: BlobClient, name: str) -> None:
    double.put(name, b"hello")
    assert await refusal(blob.download_blob(offset=5, length=1)) == (416, "InvalidRange")


async def test_an_empty_block_is_refused(blob: BlobClient) -> None:
    assert await refusal(blob.stage_block("0001", b"")) == (400, "InvalidHeaderValue")


async def test_an_etag_is_quoted(double: AzureServer, blob: BlobClient, name: str) -> None:
    bare = {"etag": double.put(name, b"1").etag, "match_condition": MatchConditions.IfNotModified}
    assert await refusal(blob.upload_blob(b"2", overwrite=True, **bare)) == (412, "ConditionNotMet")


async def test_what_blocks_are_left_is_told(double: AzureServer, blob: BlobClient, name: str) -> None:
    await blob.stage_block(f"{7:048d}", b"1")
    assert double.uncommitted(name) == {name: 1}
    await commit(blob, b"1", b"2")
    assert double.uncommitted(name) == {}
    assert double.keys(name) == [name]


async def test_account_information_tells_of_folders_as_set(double: AzureServer) -> None:
    async with BlobServiceClient.from_connection_string(double.connection_string, **ONCE) as client:
        for hns in (False, True):
            with double.having(hns=hns):
                assert (await client.get_account_information())["is_hns_enabled"] is hns
        for name, hns in ((CONTAINER, False), (HNS, True)):
            assert (await client.get_container_client(name).get_account_information())["is_hns_enabled"] is hns
        with double.having(tells_hns=False):
            assert (await client.get_account_information()).get("is_hns_enabled") is None
        with double.hooked(faults.when(faults.instead(faults.HIDDEN), part="restype=account")):
            assert await refusal(client.get_account_information()) == (404, "ResourceNotFound")


class Token:
    """A credential whose token is given."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self.token, 1 << 40)


async def test_who_asks_may_be_looked_at(tmp_path: Path) -> None:
    with azure(self_signed(tmp_path)) as double:
        double.put("a", b"1")
        url = f"{double.endpoint}/{CONTAINER}/a"

        async def asked(credential: Any, url: str = url) -> bool:
            async with BlobClient.from_blob_url(url, credential, **ONCE, connection_verify=False) as client:
                return await client.exists()

        key: Any = {"account_name": ACCOUNT, "account_key": KEY}
        given: dict[str, tuple[Any, str]] = {
            "key": (key, url),
            "sas": (None, f"{url}?sig=x"),
            "token": (Token("t"), url),
        }
        for demanded in given:
            with double.having(demands=frozenset({demanded})):
                for kind, one in given.items():
                    if kind == demanded:
                        assert await asked(*one)
                    else:
                        assert await refusal(asked(*one)) == (403, "AuthenticationFailed")
                assert await refusal(asked(None)) == (401, "NoAuthenticationInformation")
        with double.having(demands=frozenset({"token"}), token="other"):
            assert await refusal(asked(Token("t"))) == (401, "InvalidAuthenticationInfo")
        assert await asked(None)


async def test_a_token_gets_a_key_to_sign_with(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with azure(self_signed(tmp_path)) as double:
        async with BlobServiceClient(double.endpoint, Token("t"), **ONCE, connection_verify=False) as client:
            found = await client.get_user_delegation_key(now, now + dt.timedelta(hours=1))
    assert found.value
    assert found.signed_expiry == (now + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (faults.UNAUTHENTICATED, 401, "NoAuthenticationInformation"),
        (faults.BAD_SIGNATURE, 403, "AuthenticationFailed"),
        (faults.DENIED, 403, "AuthorizationFailure"),
        (faults.MISMATCH, 403, "AuthorizationPermissionMismatch"),
        (faults.DISABLED, 403, "AccountIsDisabled"),
        (faults.CREATE_ONLY, 403, "UnauthorizedBlobOverwrite"),
        (faults.CONTAINER_MISSING, 404, "ContainerNotFound"),
        (faults.CONTAINER_BEING_DELETED, 409, "ContainerBeingDeleted"),
        (faults.ARCHIVED, 409, "BlobArchived"),
        (faults.REHYDRATED, 409, "BlobBeingRehydrated"),
        (faults.IMMUTABLE, 409, "BlobImmutableDueToPolicy"),
        (faults.SNAPSHOTS, 409, "SnapshotsPresent"),
        (faults.PENDING_COPY, 409, "PendingCopyOperation"),
        (faults.LEASED, 412, "LeaseIdMissing"),
        (faults.UNMET, 412, "ConditionNotMet"),
        (faults.BROKEN, 500, "InternalError"),
        (faults.TIMED_OUT, 500, "OperationTimedOut"),
        (faults.BUSY, 503, "ServerBusy"),
    ],
)
async def test_a_hook_answers_with_or_without_carrying_out(
    double: AzureServer, blob: BlobClient, name: str, answer: Answer, status: int, code: str
) -> None:
    for hook, stored in ((faults.instead(answer), []), (faults.done_then(answer), [name])):
        with double.hooked(faults.once(hook)):
            assert await refusal(blob.upload_blob(b"1")) == (status, code)
            assert double.keys(name) == stored


async def test_a_connection_is_reset_before_or_after_the_work(double: AzureServer, blob: BlobClient, name: str) -> None:
    for hook, stored in ((faults.reset_before, []), (faults.reset_after, [name])):
        # aiohttp by itself sends a PUT once more.
        with double.hooked(hook), pytest.raises((ServiceRequestError, ServiceResponseError)):
            await blob.upload_blob(b"1")
        assert double.keys(name) == stored


async def test_a_connection_is_reset_in_the_middle_of_a_body(double: AzureServer, blob: BlobClient, name: str) -> None:
    double.put(name, bytes(1 << 20))
    with double.hooked(faults.half_body):
        found = await blob._client.blob.download(cls=lambda response, body, headers: body)
        with pytest.raises((IncompleteReadError, ServiceResponseError)):
            [chunk async for chunk in found]


async def test_an_answer_waits_for_its_release(double: AzureServer, blob: BlobClient, name: str) -> None:
    released = threading.Event()
    with double.hooked(faults.when(faults.hang(released), "PUT")):
        waiting = asyncio.create_task(blob.upload_blob(b"1"))
        assert not await blob.exists()
        assert not waiting.done()
        released.set()
        await asyncio.wait_for(waiting, DEADLINE)
    assert double.keys(name) == [name]


async def test_a_hook_may_change_what_is_asked(double: AzureServer, blob: BlobClient, name: str) -> None:
    """As a commit of another writer in between does, which discards the blocks of this one."""

    def hook(request: Request, carry_out: CarryOut) -> None:
        if request.query.get("comp") == "blocklist":
            double.put(name, b"theirs")

    with double.hooked(hook):
        assert await refusal(commit(blob, b"1", b"2")) == (400, "InvalidBlockList")
    assert await content_of(blob) == b"theirs"


def ask(double: AzureServer, method: str, target: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A request as it is, past the SDK."""
    address = urlsplit(double.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=DEADLINE)
    connection.putrequest(method, target)
    for header, value in (*headers, ("Content-Length", "0")):
        connection.putheader(header, value)
    connection.endheaders()
    with connection.getresponse() as reply:
        told = {name.lower(): value for name, value in reply.getheaders()}
        found = reply.status, told, reply.read().decode()
    connection.close()
    return found


async def test_nothing_comes_between_a_condition_and_its_write(
    double: AzureServer, blob: BlobClient, name: str
) -> None:
    assert double.service
    arrived = threading.Event()
    with double.hooked(lambda request, carry_out: arrived.set()), double.service.lock:
        waiting = asyncio.create_task(refusal(blob.upload_blob(b"1")))
        assert await asyncio.to_thread(arrived.wait, DEADLINE)
        double.put(name, b"theirs")
    assert await waiting == (409, "BlobAlreadyExists")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/other/test-container/a", 404, "ResourceNotFound"),
        ("GET", f"/devstoreaccount1/{CONTAINER}", 400, "InvalidUri"),
        ("GET", f"/devstoreaccount1/{CONTAINER}/%FF", 400, "InvalidUri"),
        ("GET", f"/devstoreaccount1/{CONTAINER}?restype=container&comp=list&maxresults=0", 400, None),
        ("PUT", f"/devstoreaccount1/{CONTAINER}/a", 400, "MissingRequiredHeader"),
        ("PUT", f"/devstoreaccount1/{CONTAINER}/a?comp=tier", 501, "NotImplemented"),
        ("PUT", f"/devstoreaccount1/{CONTAINER}/a?resource=file", 400, "HierarchicalNamespaceNotEnabled"),
        ("HEAD", f"/devstoreaccount1/{CONTAINER}//?action=getAccessControl", 400, "HierarchicalNamespaceNotEnabled"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    double: AzureServer, method: str, target: str, status: int, code: str | None
) -> None:
    found, headers, body = ask(double, method, target)
    assert found == status
    assert code in (None, headers["x-ms-error-code"])
    assert method == "HEAD" or headers["x-ms-error-code"] in body


def test_of_metadata_whose_names_differ_in_case_the_last_stays(double: AzureServer, name: str) -> None:
    told = ("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-Key", "1"), ("x-ms-meta-key", "2")
    assert ask(double, "PUT", f"/{ACCOUNT}/{CONTAINER}/{name}", told)[0] == 201
    assert double.container().items[name].metadata == {"key": "2"}
