"""What nobody may see of Azure storage: keys, signatures in URLs, connection strings, tokens."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from azure.core.credentials import AccessToken
from helpers.azure import PART, Place, azure_place, copying, page, pieces, renaming
from servers.azure import ACCOUNT, CONTAINER, KEY, AzureServer
from servers.azure_faults import BUSY, UNMET, half_body, instead, matching, refusal, reset_after, reset_before, when
from servers.double_answers import Answer, CarryOut, Hook, Request

from remote_store import BackendUnavailable, RemoteStoreError


@pytest.fixture(scope="module", autouse=True)
def causes_in_pickles() -> None:
    """Let errors take their causes along in pickles, as Dask does."""
    with suppress(ImportError):  # The lowest versions are tried without Dask.
        from tblib import pickling_support

        pickling_support.install()


SAS = "sv=2025-05-05&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&spr=https,http&sig=s3cretS3cretS3cretS3cret%2Bs3%3D"
TOKEN = "eyJ0.s3cret-token-of-the-user"
SIGNATURE = parse_qs(SAS)["sig"][0]


class Credential:
    """One that can be pickled."""

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(TOKEN, 1 << 40)


def with_key(server: AzureServer) -> dict[str, Any]:
    return server.options


def with_sas(server: AzureServer) -> dict[str, Any]:
    return {"connection_string": f"BlobEndpoint={server.endpoint};SharedAccessSignature={SAS}"}


LOGINS: dict[str, Callable[[AzureServer], dict[str, Any]]] = {"key": with_key, "sas": with_sas}
SECRETS = [KEY, SIGNATURE, SIGNATURE.replace("+", "%2B"), SAS.partition("sig=")[2], TOKEN, "AccountKey"]


def told_secrets(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text or secret in unquote(text)]


@pytest.fixture(params=LOGINS)
def login(request: pytest.FixtureRequest, azure_server: AzureServer, brief: None) -> dict[str, Any]:
    return LOGINS[request.param](azure_server)


@pytest.mark.parametrize("kind", [pytest.param("sync", marks=pytest.mark.full), "async"])
@pytest.mark.parametrize("hns", [None, True, False])
async def test_no_secret_is_ever_shown(
    azure_server: AzureServer, container: str, login: dict[str, Any], kind: str, hns: bool | None
) -> None:
    if hns is not None and hns is (container == CONTAINER):
        return
    async with azure_place(kind, azure_server, container, **login, hns=hns) as place:
        await place.view.write("key", place.view.stream(pieces(1)))
        store = place.view.store
        driver = store._backend._driver
        plan = store.resolve("key")
        shown = [store, store._backend, driver, plan, dict(plan.details), store.child("x"), driver.fs]
        flat = getattr(driver, "_flat", driver)
        shown += [flat, flat.wire, flat.wire.clients, flat.wire.where, flat.wire.clients.container]
        texts = [text for one in shown for text in (repr(one), str(one))] + [store.native_path("key")]
        texts.append(json.dumps(dict(plan.details)))
        texts.append(repr(store._backend.capabilities))
        assert [found for text in texts if (found := told_secrets(text))] == []


FAULTS: dict[str, Hook] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "half a body": matching(lambda request: request.method != "HEAD", half_body),
    "no HTTP": matching(lambda request: request.method == "HEAD", half_body),
    "denied": instead(refusal("AuthorizationFailure")),
    "unmet": instead(UNMET),
    "busy": instead(BUSY),
    "no source": instead(refusal("CannotVerifyCopySource")),
    "page": instead(page(200)),
    "502": instead(page(502)),
    "redirect": instead(page(302, Location="http://192.0.2.1/?sig=s3cret")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_error_tells_a_secret(
    azure_server: AzureServer, container: str, login: dict[str, Any], fault: str
) -> None:
    """Nor does what it was caused by, nor a traceback, nor a pickle."""
    async with azure_place("async", azure_server, container, **login, retries=1) as place:
        for on in (lambda hook: hook, copying, renaming, lambda hook: when(hook, "PUT")):
            place.put("key", b"1")
            with azure_server.hooked(on(FAULTS[fault])):
                await told_without_secrets(place)


async def told_without_secrets(place: Place) -> None:
    for work in (
        lambda: place.view.write("key", place.view.stream(pieces(2)), overwrite=True),
        lambda: place.view.write("key", bytes(PART), overwrite=True),
        lambda: place.view.read_bytes("key"),
        lambda: place.view.get_file_info("key"),
        lambda: place.view.copy("key", "new", overwrite=True),
        lambda: place.view.move("key", "new", overwrite=True),
        lambda: place.view.delete_folder("gone", recursive=True),
        lambda: place.view.ping(),
    ):
        told: list[str] = []
        try:
            await work()
        except RemoteStoreError as error:
            told = [*traceback.format_exception(error), repr(error.__cause__), repr(error.__context__)]
            told.append(pickle.dumps(error).decode("latin-1"))
        assert [found for text in told if (found := told_secrets(text))] == []


def echoing(request: Request, carry_out: CarryOut) -> Answer:
    """A size that is none: the URL that was asked for."""
    reply = carry_out()
    return reply._replace(headers={**reply.headers, "x-ms-blob-sequence-number": f"{request.path}?{SAS}"})


async def test_a_reply_that_cannot_be_read_tells_no_secret(
    azure_server: AzureServer, container: str, login: dict[str, Any]
) -> None:
    async with azure_place("async", azure_server, container, **login, retries=0) as place:
        place.put("key", b"1")
        with azure_server.hooked(when(echoing, "HEAD", "/key")), pytest.raises(BackendUnavailable) as caught:
            await place.view.get_file_info("key")
        assert "malformed" in str(caught.value)
        assert told_secrets("".join(traceback.format_exception(caught.value))) == []
        assert told_secrets(pickle.dumps(caught.value).decode("latin-1")) == []


@pytest.mark.parametrize("text", [SAS, f"?{SAS}"])
def test_a_signature_is_part_of_no_plan(text: str) -> None:
    from remote_store import Store
    from remote_store.backends import AzureBackend

    with Store(AzureBackend("raw", "p", account_name=ACCOUNT, sas_token=text)) as store:
        plan = store.resolve("key")
        assert (
            told_secrets(f"{store!r} {plan!r} {dict(plan.details)} {store._backend!r} {store.native_path('k')}") == []
        )
        assert plan.details["endpoint_url"] == f"https://{ACCOUNT}.blob.core.windows.net/"


def test_a_bundle_that_cannot_be_used_is_told_alone(tmp_path: Path) -> None:
    from remote_store.backends import AzureBackend

    (tmp_path / "empty.pem").write_text("none")
    with pytest.raises(ValueError, match=r"empty\.pem") as caught:
        AzureBackend("raw", account_name=ACCOUNT, account_key=KEY, ca_bundle=str(tmp_path / "empty.pem"))
    assert told_secrets("".join(traceback.format_exception(caught.value))) == []
