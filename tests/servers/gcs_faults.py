"""What goes wrong at Google Cloud Storage: answers, and hooks of the double that give them."""

from __future__ import annotations

import re

from servers.double_faults import done_then as done_then
from servers.double_faults import first as first
from servers.double_faults import half_body as half_body
from servers.double_faults import hang as hang
from servers.double_faults import in_turn as in_turn
from servers.double_faults import instead as instead
from servers.double_faults import matching as matching
from servers.double_faults import once as once
from servers.double_faults import reset_after as reset_after
from servers.double_faults import reset_before as reset_before
from servers.double_faults import when as when
from servers.gcs_answers import HTML, Answer, CarryOut, Hook, Refusal, Request, unmet


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
