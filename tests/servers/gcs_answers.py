"""What the double of Google Cloud Storage is asked and answers.

Comments in `gcs_*.py` name the source of a behaviour: a page of the service's documentation (`docs/…`), its discovery
document storage.v1 (`discovery`), or a thread that shows a real answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from servers.double_answers import HTML as HTML
from servers.double_answers import JSON as JSON
from servers.double_answers import XML as XML
from servers.double_answers import Answer as Answer
from servers.double_answers import CarryOut as CarryOut
from servers.double_answers import Hook as Hook
from servers.double_answers import Request as Request


class Refusal(Exception):
    """A request is refused; each API has its own body for it.

    Arguments:
        reason: of the JSON API (docs/json_api/v1/status-codes).
        location: the parameter or header that is to blame.
    """

    def __init__(self, status: int, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(status, reason, message)
        self.status, self.reason, self.message, self.location = status, reason, message, location

    def as_json(self) -> Answer:
        """The body of metadata calls (docs/json_api/v1/status-codes)."""
        if self.status == 304:
            return Answer(304, headers={})
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            error |= {
                "locationType": "header" if self.location[0].isupper() else "parameter",
                "location": self.location,
            }
        return json_answer({"error": {"code": self.status, "message": self.message, "errors": [error]}}, self.status)

    def as_text(self) -> Answer:
        """The body of media calls, which is the message alone (firebase/firebase-tools#3647)."""
        return Answer(self.status, b"" if self.status == 304 else self.message.encode(), HTML)

    def as_xml(self) -> Answer:
        """The body of the XML API (docs/xml-api/reference-status)."""
        bucket = "bucket" in self.message.partition(":")[0]  # What follows names an object in one.
        codes = {
            "notFound": "NoSuchBucket" if bucket else "NoSuchKey",
            "conditionNotMet": "PreconditionFailed",
            "requestedRangeNotSatisfiable": "InvalidRange",
            "forbidden": "AccessDenied",
            "required": "UserProjectMissing" if bucket else "InvalidArgument",
        }
        code = codes.get(self.reason, self.reason[0].upper() + self.reason[1:])
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(self.message)}"
        return Answer(self.status, b"" if self.status == 304 else f"{text}</Message></Error>".encode(), XML)


def json_of(request: Request) -> dict[str, Any]:
    """The body; an empty one is an empty object.

    Raises:
        Refusal: it is not JSON.
    """
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error") from None
    if not isinstance(found, dict):
        raise Refusal(400, "parseError", "Parse Error")
    return found


def json_answer(content: object, status: int = 200) -> Answer:
    """An answer of the JSON API."""
    return Answer(status, json.dumps(content, ensure_ascii=False).encode())


def no_bucket() -> Refusal:
    """There is no such bucket; the JSON API has no reason of its own for that."""
    return Refusal(404, "notFound", "The specified bucket does not exist.")


def no_object(bucket: str, name: str) -> Refusal:
    """There is no such object (or generation of it)."""
    return Refusal(404, "notFound", f"No such object: {bucket}/{name}")


def unmet(location: str = "If-Match") -> Refusal:
    """A condition does not hold (docs/json_api/v1/status-codes)."""
    message = "At least one of the pre-conditions you specified did not hold."
    return Refusal(412, "conditionNotMet", message, location)


def invalid(message: str) -> Refusal:
    """An argument is no good."""
    return Refusal(400, "invalid", message)


def utf8(text: str) -> bytes:
    """A name or a value as it is measured.

    Raises:
        Refusal: it has half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid("The text is not valid UTF-8.") from None


def number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number.

    Raises:
        Refusal: it is none.
    """
    if (text := query.get(name)) is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise Refusal(400, "invalidParameter", f"Invalid value '{text}' for {name}", name) from None
