"""Whether signatures are of the time of the double of Azure storage."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

from servers.azure_answers import Refusal
from servers.double_answers import Request

LATEST = 15 * 60
"""How far the time of a request signed by an account key may be off [s] (authorize-with-shared-key)."""


def moment(text: str) -> float:
    """A time as signatures tell it [s since 1970]."""
    return dt.datetime.fromisoformat(text).timestamp()


def check(request: Request, now: float) -> None:
    """Look at when a request was signed, and until when it may come.

    Raises:
        Refusal: it comes too early or too late.
    """
    sent, query = request.headers.get("x-ms-date"), request.query
    if sent and request.headers.get("Authorization", "").startswith("SharedKey "):
        if abs(parsedate_to_datetime(sent).timestamp() - now) > LATEST:
            raise Refusal("AuthenticationFailed", "Request date header too old.")
    elif "sig" in query:
        # create-service-sas, create-user-delegation-sas: st and se of the signature, skt and ske of its key
        early = any(moment(query[name]) > now for name in ("st", "skt") if query.get(name))
        if early or any(moment(query[name]) <= now for name in ("se", "ske") if query.get(name)):
            raise Refusal("AuthenticationFailed", "Signature not valid in the specified time frame.")
