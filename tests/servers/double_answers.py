"""What the doubles of services in this process are asked and answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from multidict import CIMultiDict

JSON = {"Content-Type": "application/json; charset=UTF-8"}
HTML = {"Content-Type": "text/html; charset=UTF-8"}
XML = {"Content-Type": "application/xml; charset=UTF-8"}


@dataclass
class Request:
    """A request; a hook may change it before it is carried out.

    Attributes:
        path: as it was sent, percent-encoded, without the query.
        query: decoded.
        headers: names compare without case.
        body: as it was sent, not decompressed.
        over: set when the server ends, for hooks that wait.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDict[str]
    body: bytes
    over: threading.Event


class Answer(NamedTuple):
    """What a double answers.

    Attributes:
        sized: whether the length of the body is told.
        sent: bytes of the body to send before the connection is reset; None sends all and resets nothing.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = JSON
    sized: bool = True
    sent: int | None = None


CarryOut = Callable[[], Answer]
Hook = Callable[[Request, CarryOut], Answer | None]
"""Answers a request itself, or lets it pass (None); the second argument carries the request out, once.

It runs in a thread of its own. A ConnectionResetError that it raises resets the connection.
"""
