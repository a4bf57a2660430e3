"""Where clients of the double of Google Cloud Storage get access tokens (RFC 6749, RFC 7523)."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from servers.gcs_answers import Answer, Refusal, Request, json_answer

if TYPE_CHECKING:
    from servers.gcs_service import Service

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

LEEWAY = 300
"""How much clocks may differ [s] [unproved]."""


def grant(service: Service, request: Request) -> Answer:
    """Call of `/token`: a signed assertion or a refresh token, of which neither is verified, gives an access token."""
    asked = dict(parse_qsl(request.body.decode()))
    needed = {JWT: "assertion", "refresh_token": "refresh_token"}.get(asked.get("grant_type", ""))
    if needed is None:
        return json_answer({"error": "unsupported_grant_type"}, 400)
    if not asked.get(needed):
        return json_answer({"error": "invalid_grant", "error_description": "Bad Request"}, 400)
    if needed == "assertion" and not _is_of_now(asked[needed], service.now):
        why = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        return json_answer({"error": "invalid_grant", "error_description": why}, 400)
    token, lifetime = f"issued-{uuid.uuid4().hex}", service.settings.token_lifetime
    service.issued[token] = time.monotonic() + lifetime
    return json_answer({"access_token": token, "expires_in": int(lifetime), "token_type": "Bearer"})


def _is_of_now(assertion: str, now: float) -> bool:
    """Whether the time of an assertion is near that of the double (identity/protocols/oauth2/service-account)."""
    claims = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    return bool(claims["iat"] - LEEWAY <= now < claims["exp"])


def check_times(request: Request, now: float) -> None:
    """Look at when a signed URL begins and ends (docs/access-control/signed-urls).

    Raises:
        Refusal: it is used too early or too late.
    """
    if "X-Goog-Date" not in request.query:
        return
    told = dt.datetime.strptime(request.query["X-Goog-Date"], "%Y%m%dT%H%M%S%z").timestamp()
    if now > told + int(request.query["X-Goog-Expires"]):
        raise Refusal(400, "expiredToken", "Invalid argument.")
    if now < told - LEEWAY:  # [unproved]: how long before
        raise Refusal(403, "accessDenied", "The signature is not valid yet.")


@functools.cache
def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def service_account(endpoint: str) -> dict[str, str]:
    """The key file of a service account whose tokens come from the double."""
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": _private_key(),
        "client_email": "tests@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{endpoint}/token",
    }


def user(endpoint: str) -> dict[str, str]:
    """Arguments of `google.oauth2.credentials.Credentials` of a user, whose tokens come from the double."""
    login = {"refresh_token": "refresh", "client_id": "client", "client_secret": "s3cret-client"}
    return {"token_uri": f"{endpoint}/token", **login}
