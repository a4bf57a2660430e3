"""Logs of the SDK without what gives access."""

from __future__ import annotations

import logging
import re

LOGGERS = ("botocore.auth", "botocore.endpoint")
"""Those that spell requests out at DEBUG."""
_SECRET = re.compile(r"(?i)(x-amz-security-token\b['\"]?\s*[:=]\s*b?['\"]?|\bCredential=)[^'\"\s,&}]+")


def hide_credentials() -> None:
    """Take session tokens and key ids out of what the SDK logs from now on."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_hide)


def _hide(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    if (clean := _SECRET.sub(r"\1***", text)) != text:
        record.msg, record.args = clean, ()
    return True
