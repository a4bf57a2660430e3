"""What goes wrong at Google Cloud Storage: answers, and hooks of the double that give them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from servers.gcs_answers import HTML, Answer, CarryOut, Hook, Refusal, Request, unmet

POLL = 0.01
"""How often a hook that waits looks whether the server has ended [s]."""


def refusal(status: int, reason: str, message: str = "", **headers: str) -> Answer:
    """An error of the JSON API; an underscore in the name of a header is a hyphen."""
    answer = Refusal(status, reason, message or reason).as_json()
    return answer._replace(
        headers={**answer.headers, **{name.replace("_", "-"): told for name, told in headers.items()}}
    )


def page(status: int) -> Answer:
    """An error whose body is a page for people (googleapis/nodejs-storage#1183)."""
    return Answer(status, f"<html><title>Error {status}</title><p>That is an error.</html>".encode(), HTML)


def throttled(seconds: int | None = None) -> Answer:
    """429, with what to wait [s] where that is told."""
    headers = {} if seconds is None else {"Retry_After": str(seconds)}
    return refusal(429, "rateLimitExceeded", "The rate of requests is too high.", **headers)


# docs/json_api/v1/status-codes
UNAUTHORIZED = refusal(401, "authError", "Invalid Credentials")
DENIED = refusal(403, "forbidden", "tests does not have storage.objects access to the Google Cloud Storage object.")
RATE_LIMITED = refusal(403, "rateLimitExceeded", "Rate Limit Exceeded")
RETAINED = refusal(403, "retentionPolicyNotMet", "Object is subject to bucket's retention policy.")
HELD = refusal(403, "objectUnderActiveHold", "Object is under active hold.")
PROJECT_MISSING = refusal(400, "required", "Bucket is a requester pays bucket but no user project provided.")
TIMEOUT = refusal(408, "uploadBrokenConnection", "Request Timeout")
GONE = refusal(410, "gone", "The upload session is no longer available.")
UNMET = unmet().as_json()
BROKEN = refusal(500, "internalError", "We encountered an internal error. Please try again.")
BAD_GATEWAY = page(502)
UNAVAILABLE = refusal(503, "backendError", "Backend Error")
GATEWAY_TIMEOUT = refusal(504, "gatewayTimeout", "Gateway Timeout")


def instead(answer: Answer) -> Hook:
    """Nothing is carried out."""
    return lambda request, carry_out: answer


def done_then(answer: Answer) -> Hook:
    """The request is carried out, and something else is answered."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        carry_out()
        return answer

    return hook


def reset_before(request: Request, carry_out: CarryOut) -> Answer:
    """The connection is reset, and nothing is carried out."""
    raise ConnectionResetError


def reset_after(request: Request, carry_out: CarryOut) -> Answer:
    """The request is carried out, and the connection is reset without an answer."""
    carry_out()
    raise ConnectionResetError


def half_body(request: Request, carry_out: CarryOut) -> Answer:
    """The request is carried out, and the connection is reset in the middle of the answer's body."""
    answer = carry_out()
    return answer._replace(sent=len(answer.body) // 2)


def hang(released: threading.Event, done: bool = False) -> Hook:
    """The answer waits for an event, or for the end of the server.

    Arguments:
        done: whether the request is carried out first, not when it is released.
    """

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        if done:
            carry_out()
        while not released.wait(POLL) and not request.over.is_set():
            pass
        return carry_out()

    return hook


def keeping(size: int) -> Hook:
    """Of each part of a resumable upload its first bytes are kept (docs/performing-resumable-uploads: 308).

    Arguments:
        size: a multiple of 256 KiB, less than a part [bytes].
    """

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        if found := re.fullmatch(r"bytes (\d+)-\d+/.*", request.headers.get("Content-Range", "")):
            first = int(found[1])
            request.body = request.body[:size]
            request.headers["Content-Range"] = f"bytes {first}-{first + len(request.body) - 1}/*"
        return carry_out()

    return hook


def first(count: int, hook: Hook) -> Hook:
    """The hook has the first requests only; others pass."""
    left, lock = [count], threading.Lock()

    def limited(request: Request, carry_out: CarryOut) -> Answer | None:
        with lock:
            left[0] -= 1
        return hook(request, carry_out) if left[0] >= 0 else None

    return limited


def once(hook: Hook) -> Hook:
    """The hook has the first request only."""
    return first(1, hook)


def when(hook: Hook, method: str = "", part: str = "") -> Hook:
    """The hook has requests of a method that have this in their path or query; others pass."""
    return matching(lambda request: (not method or request.method == method) and part in _target(request), hook)


def matching(condition: Callable[[Request], bool], hook: Hook) -> Hook:
    """The hook has requests that meet a condition; others pass."""
    return lambda request, carry_out: hook(request, carry_out) if condition(request) else None


def in_turn(*hooks: Hook | None) -> Hook:
    """Each hook has one request; None lets one pass, as do those that follow."""
    rest, lock = list(hooks), threading.Lock()

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        with lock:
            current = rest.pop(0) if rest else None
        return current(request, carry_out) if current else None

    return hook


def _target(request: Request) -> str:
    return request.path + "?" + "&".join(f"{name}={value}" for name, value in request.query.items())
