"""Signed URLs of Google Cloud Storage: Cloud Storage guide, V4 signing process."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

ALGORITHM = "GOOG4-RSA-SHA256"


def signed_url(
    signer: Any,
    endpoint: str,
    bucket: str,
    name: str,
    method: str,
    expires_in: int,
    parameters: Mapping[str, str],
    now: dt.datetime,
) -> str:
    """A URL by which whoever has it reads or writes an object.

    Args:
        signer: credentials of a service account; may ask Google to sign, and then blocks.
        endpoint: URL of the service.
        bucket: name of the bucket.
        name: of the object.
        method: of HTTP.
        expires_in: how long it is good for [s].
        parameters: further ones of the query, such as who pays.
        now: when it begins to be good.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/auto/storage/goog4_request"
    host, path = urlsplit(endpoint).netloc, f"/{quote(bucket, safe='')}/{quote(name, safe='/~')}"
    query = {
        "X-Goog-Algorithm": ALGORITHM,
        "X-Goog-Credential": f"{signer.signer_email}/{scope}",
        "X-Goog-Date": moment,
        "X-Goog-Expires": str(expires_in),
        "X-Goog-SignedHeaders": "host",
        **parameters,
    }
    told = urlencode(sorted(query.items()), quote_via=quote, safe="~")
    request = f"{method}\n{path}\n{told}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"{ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return f"{endpoint.rstrip('/')}{path}?{told}&X-Goog-Signature={signer.sign_bytes(text.encode()).hex()}"
