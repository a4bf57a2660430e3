"""What goes wrong at the double of Google Cloud Storage when a test wants it to, and who may ask it at all."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from helpers.deadline import DEADLINE
from servers import gcs_faults as faults
from servers.gcs import BUCKET, GcsServer, gcs
from servers.gcs_answers import Answer, CarryOut, Hook, Request
from servers.gcs_client import LIST, MIB, PART, address, ask, content_of, move, put_media, send, start
from servers.gcs_login import JWT, service_account, user


@pytest.fixture
def double(gcs_server: GcsServer) -> GcsServer:
    return gcs_server


@pytest.fixture
def name(gcs_server: GcsServer) -> str:
    return gcs_server.fresh_prefix()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The double fails on purpose only."""
    yield
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


def test_requests_are_counted_as_they_were_sent(double: GcsServer, name: str) -> None:
    double.requests.clear()
    put_media(double, f"{name}/ä b", b"1")
    content_of(double, f"{name}/ä b")
    assert double.requests == [
        f"POST /upload{LIST}?uploadType=media&name={name}%2F%C3%A4%20b",
        f"GET {address(f'{name}/ä b')}?alt=media",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (faults.UNAUTHORIZED, 401, "authError"),
        (faults.DENIED, 403, "forbidden"),
        (faults.RATE_LIMITED, 403, "rateLimitExceeded"),
        (faults.RETAINED, 403, "retentionPolicyNotMet"),
        (faults.HELD, 403, "objectUnderActiveHold"),
        (faults.PROJECT_MISSING, 400, "required"),
        (faults.TIMEOUT, 408, "uploadBrokenConnection"),
        (faults.GONE, 410, "gone"),
        (faults.UNMET, 412, "conditionNotMet"),
        (faults.throttled(), 429, "rateLimitExceeded"),
        (faults.BROKEN, 500, "internalError"),
        (faults.UNAVAILABLE, 503, "backendError"),
        (faults.GATEWAY_TIMEOUT, 504, "gatewayTimeout"),
    ],
)
def test_a_hook_answers_with_or_without_carrying_out(
    double: GcsServer, name: str, answer: Answer, status: int, reason: str
) -> None:
    for hook, stored in ((faults.instead(answer), []), (faults.done_then(answer), [name])):
        with double.hooked(faults.once(hook)):
            reply = put_media(double, name, b"1")
            assert (reply.status, reply.reason) == (status, reason)
            assert double.keys(name) == stored
            assert ask(double, "GET", LIST).status == 200


def test_a_request_is_carried_out_once(double: GcsServer, name: str) -> None:
    def hook(request: Request, carry_out: CarryOut) -> None:
        assert carry_out() == carry_out()

    double.put(name, b"1")
    with double.hooked(hook):
        told = ask(double, "PATCH", address(name), None, {"contentType": "text/x"}).json
    assert told["metageneration"] == "2"
    assert ask(double, "GET", address(name)).json == told


def test_a_refusal_can_be_a_page_and_tell_when_to_come_again(double: GcsServer) -> None:
    with double.hooked(faults.in_turn(faults.instead(faults.page(404)), faults.instead(faults.throttled(3)))):
        page = ask(double, "GET", LIST)
        assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=UTF-8")
        assert ask(double, "GET", LIST).headers["retry-after"] == "3"
        assert ask(double, "GET", LIST).status == 200


def test_a_hook_has_the_requests_it_is_meant_for(double: GcsServer, name: str) -> None:
    with double.hooked(faults.when(faults.instead(faults.DENIED), "POST", "/moveTo/")):
        put_media(double, name, b"1")
        assert move(double, name, f"{name}2").status == 403
    assert move(double, name, f"{name}2").status == 200


@pytest.mark.parametrize(("hook", "stored"), [(faults.reset_before, False), (faults.reset_after, True)])
def test_a_connection_is_reset(double: GcsServer, name: str, hook: Hook, stored: bool) -> None:
    with double.hooked(faults.once(hook)), pytest.raises(ConnectionResetError):
        put_media(double, name, b"1")
    assert double.keys(name) == [name] * stored


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_half_a_body_arrives(double: GcsServer, name: str, size: int) -> None:
    double.put(name, b"x" * size)
    place = urlsplit(double.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=DEADLINE)
    got: list[bytes] = []
    with double.hooked(faults.half_body):
        connection.request("GET", f"{address(name)}?alt=media")
        with connection.getresponse() as reply:
            assert (reply.status, reply.getheader("Content-Length")) == (200, str(size))
            with pytest.raises(ConnectionResetError):
                got.extend(iter(lambda: reply.read1(MIB), b""))
    connection.close()
    assert 0 < len(b"".join(got)) <= size // 2


@pytest.mark.parametrize("done", [False, True])
def test_an_answer_waits_until_it_is_released(double: GcsServer, name: str, done: bool) -> None:
    released = threading.Event()
    with ThreadPoolExecutor(1) as pool, double.hooked(faults.when(faults.hang(released, done), "POST")):
        reply = pool.submit(put_media, double, name, b"1")
        try:
            until = time.monotonic() + DEADLINE
            while done and not double.keys(name) and time.monotonic() < until:
                time.sleep(0.005)
            assert ask(double, "GET", LIST).status == 200  # Others do not wait.
            assert double.keys(name) == [name] * done
            assert not reply.done()
        finally:
            released.set()
        assert reply.result(DEADLINE).status == 200


def test_an_answer_that_nobody_releases_does_not_keep_the_server() -> None:
    waiting = threading.Event()

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        waiting.set()
        return faults.hang(threading.Event())(request, carry_out)

    with ThreadPoolExecutor(1) as pool:
        with gcs() as server:
            server.hook = hook
            lost = pool.submit(ask, server, "GET", LIST)
            assert waiting.wait(DEADLINE)
        assert lost.exception(DEADLINE) is None or isinstance(lost.exception(), OSError | http.client.HTTPException)


def test_a_part_is_kept_in_part(double: GcsServer, name: str) -> None:
    begun = start(double, name)
    with double.hooked(faults.once(faults.keeping(PART))):
        reply = send(double, begun, f"bytes 0-{3 * PART - 1}/{3 * PART}", b"x" * 3 * PART)
        assert (reply.status, reply.headers["range"]) == (308, f"bytes=0-{PART - 1}")
    assert send(double, begun, f"bytes {PART}-{3 * PART - 1}/{3 * PART}", b"y" * 2 * PART).json["size"] == str(3 * PART)
    assert content_of(double, name) == b"x" * PART + b"y" * 2 * PART


def test_a_request_that_breaks_off_is_none(double: GcsServer, name: str) -> None:
    place = urlsplit(double.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=DEADLINE)
    connection.putrequest("POST", f"/upload{LIST}?uploadType=media&name={name}")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"x" * 50)
    connection.close()
    assert ask(double, "GET", LIST).status == 200
    assert double.keys(name) == []


@pytest.fixture
def closed(double: GcsServer) -> Iterator[GcsServer]:
    with double.having(token="s3cret-token"):
        yield double


def test_a_token_is_demanded(closed: GcsServer, name: str) -> None:
    begun_with = {"Authorization": "Bearer s3cret-token"}
    assert ask(closed, "GET", LIST).reason == "required"
    assert ask(closed, "GET", LIST, Authorization="Bearer wrong").reason == "authError"
    assert ask(closed, "GET", f"/{BUCKET}/a").status == 401
    assert ask(closed, "GET", LIST, None, **begun_with).status == 200
    query = {"uploadType": "resumable"}
    begun = ask(closed, "POST", f"/upload{LIST}", query, {"name": name}, **begun_with)
    assert send(closed, begun, "bytes 0-0/1", b"1").status == 200  # Its address is all that it takes.


def assertion(age: float = 0) -> str:
    """What a service account asks with, made so many seconds ago."""
    made = int(time.time() - age)
    claims = json.dumps({"iat": made, "exp": made + 3600}).encode()
    return f"grant_type={JWT}&assertion=a.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c"


@pytest.mark.parametrize("kind", ["assertion", "refresh token"])
def test_tokens_are_given_out_and_expire(closed: GcsServer, kind: str) -> None:
    asked = "grant_type=refresh_token&refresh_token=r&client_id=c&client_secret=s"
    if kind == "assertion":
        asked = assertion()
        assert ask(closed, "POST", "/token", None, assertion(age=7200).encode()).json["error"] == "invalid_grant"
    for lifetime, status in ((3600, 200), (0, 401)):
        with closed.having(token_lifetime=lifetime):
            told = ask(closed, "POST", "/token", None, asked.encode()).json
        assert told["expires_in"] == lifetime
        assert ask(closed, "GET", LIST, Authorization=f"Bearer {told['access_token']}").status == status
    assert ask(closed, "POST", "/token", None, b"grant_type=password").json["error"] == "unsupported_grant_type"
    assert ask(closed, "POST", "/token", None, b"grant_type=refresh_token").json["error"] == "invalid_grant"


def test_a_token_can_take_a_while(double: GcsServer) -> None:
    with double.having(token_delay=0.05):
        before = time.monotonic()
        assert ask(double, "POST", "/token", None, b"grant_type=refresh_token&refresh_token=r").status == 200
        assert time.monotonic() - before >= 0.05


def test_google_auth_gets_tokens(closed: GcsServer) -> None:
    pytest.importorskip("google.auth")
    requests = pytest.importorskip("requests")
    from google.auth.transport.requests import Request
    from google.oauth2.credentials import Credentials
    from google.oauth2.service_account import Credentials as Account

    closed.requests.clear()
    account = Account.from_service_account_info(service_account(closed.endpoint), scopes=["scope"])
    with requests.Session() as session:
        for credentials in (Credentials(None, **user(closed.endpoint)), account):
            credentials.refresh(Request(session))
            assert credentials.valid
            assert ask(closed, "GET", LIST, Authorization=f"Bearer {credentials.token}").status == 200
    assert closed.requests.count("POST /token") == 2


def test_a_payer_is_demanded(double: GcsServer) -> None:
    with double.having(requester_pays=True):
        refused = ask(double, "GET", LIST)
        assert (refused.status, "requester pays" in refused.json["error"]["message"]) == (400, True)
        assert ask(double, "GET", LIST, {"userProject": "p"}).status == 200
        assert ask(double, "GET", f"/{BUCKET}", x_goog_user_project="p").status == 200
        assert json.loads(ask(double, "GET", LIST).body)["error"]["code"] == 400
