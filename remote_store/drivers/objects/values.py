"""Values of user metadata in headers: as they are, or by RFC 2047 where a header cannot carry them."""

from __future__ import annotations

import base64
import email.errors
import email.header


def to_header(value: str) -> str:
    """A value as a header can carry it."""
    if value.isascii() and value.isprintable() and value == value.strip() and "=?" not in value:
        return value
    return f"=?utf-8?b?{base64.b64encode(value.encode()).decode()}?="


def from_header(value: str) -> str:
    """A value as it was before `to_header`."""
    try:
        return str(email.header.make_header(email.header.decode_header(value))) if "=?" in value else value
    except (LookupError, ValueError, email.errors.HeaderParseError):
        return value  # Written by somebody else, in a code of their own.
