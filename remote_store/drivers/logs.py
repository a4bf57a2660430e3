"""Hides secrets in the logs of the SDKs: one filter, on each logger that may show them."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress

from remote_store.drivers.kinds import loaded

LOGGERS = {
    "fsspec": ".asyn .cached .caching .generic .http .reference",
    "aiohttp": ".client .internal",
    "urllib3": ".connection .connectionpool .poolmanager .response .util.retry",
}
"""Packages that several SDKs use, and what the names of their loggers add to theirs; those of one are in its kind."""

NAMES = {
    "HTTP": "password",
    "AWS": "security-token customer-key(?:-md5)? CustomerKey(?:MD5)? SecretAccessKey secret_access_key SessionToken "
    "session_token WebIdentityToken SAMLAssertion AccessKeyId Credential bearer_token metadata-token",
    "OAuth": "accessToken access_token refreshToken refresh_token id_token clientSecret client_secret",
    "Google": r"x-goog-encryption-key private_key \bupload_id \bassertion",
    "Azure": "AccountKey SharedAccessSignature x-ms-encryption-key",
    "signed URLs": r"Signature \bsig",
}
"""How names of headers, fields and parameters end whose values give access, as regular expressions."""

_NAME = "(?:" + "|".join(" ".join(NAMES.values()).split()) + ")"
_IS = r"(?:['\"]?\s*[:=]|['\"]\s*,)\s*"
"""Between a name and its value in `name: value`, `name=value`, `'name': b'value'` and `('name', 'value')`."""
_QUOTED = r"b?(?P<quote>['\"])(?:\\.|(?!(?P=quote)).)*(?P=quote)"
PATTERNS = (
    # In URLs: user:password@
    (re.compile(r"://[^/\s?#<>]*@"), "://***@"),
    # Values of several parts, to the end of the line.
    (re.compile(rf"(?is)((?:authorization|cookie){_IS})(?!\s*\*)(?:{_QUOTED}|[^\r\n'\"]+)"), r"\1***"),
    (re.compile(rf"(?is)({_NAME}{_IS})(?!\s*\*)(?:{_QUOTED}|[^\s,;&<>(){{}}'\"]+)"), r"\1***"),
    # <name>value</name>
    (re.compile(rf"(?i)({_NAME}>)[^<]+"), r"\1***"),
)
"""What is hidden, and what replaces it."""


def hide_secrets() -> None:
    """Hide secrets in what the SDKs that are loaded log from now on. May be called again."""
    # A filter does not apply to the loggers below.
    for loggers in (LOGGERS, *(kind.loggers for kind in loaded())):
        for package, below in loggers.items():
            if package in sys.modules:
                for name in ("", *below.split()):
                    logging.getLogger(package + name).addFilter(_hide)


def redacted(text: str) -> str:
    """A text without secrets."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _hide(record: logging.LogRecord) -> bool:
    """A filter that passes all records, and changes those with secrets."""
    try:
        _clean(record)
    except Exception:  # It cannot be formatted; no call of the SDK may fail because of its log.
        record.msg, record.args = "(this record cannot be shown)", ()
    return True


def _clean(record: logging.LogRecord) -> None:
    text = _message(record)
    if (clean := redacted(text)) != text or redacted(arguments := repr(record.args)) != arguments:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        text = record.exc_text or logging.Formatter().formatException(record.exc_info)
        if (clean := redacted(text)) != text:
            record.exc_text, record.exc_info = clean, None


def _message(record: logging.LogRecord) -> str:
    """The text of a record; where its arguments do not fit, both."""
    with suppress(Exception):
        return record.getMessage()
    return f"{record.msg} {record.args!r}"
