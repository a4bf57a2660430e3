"""What obstore raises, as the contract's errors: its classes are coarse, and status and code only in their text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from remote_store._errors import (
    BackendUnavailable,
    CapabilityNotSupported,
    InvalidPath,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    container_missing,
    file_missing,
)
from remote_store.drivers import reasons
from remote_store.drivers.errors import DENIED, by_status, unreachable
from remote_store.drivers.objects.where import Where
from remote_store.drivers.objects.wire import Malformed, Meaning

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_ANSWER = re.compile(r"status code: (\d{3})[^:\n]*: (.*?)\n\nDebug source:", re.DOTALL)
_TIMED_OUT = re.compile(r"kind: Timeout|TimedOut")
_NOT_SENT = re.compile(
    r"Could not parse path|Error parsing Path|without LOCATION|kind: Connect|legacy::Error\(\s*Connect"
)
_RETRIED = re.compile(r", after [1-9]\d* retries")
_NO_CONTAINER = {"NoSuchBucket", "ContainerNotFound"}
_BAD_RANGE = re.compile(r"StartTooLarge|Wanted range starting at")
_REASONS = (
    (re.compile(r"dns error|failed to lookup"), "no such host"),
    (re.compile(r"Connection refused"), "the connection was refused"),
    (re.compile(r"certificate|tls handshake", re.IGNORECASE), "TLS failed"),
    (re.compile(r"timed out|TimedOut|TimeoutError"), "it did not answer in time"),
    (
        re.compile(r"connection (closed|reset)|IncompleteMessage|error decoding response"),
        "the connection was lost",
    ),
)
"""Text of an error without an answer → why there was none."""
_ODD_NAME = "A listing holds a name that obstore cannot spell (an empty segment, `.`, `..` or a control character)"


class Store(Where):
    """A store of obstore."""

    SERVICE = "the object store"
    OWN = ()

    def __str__(self) -> str:
        return super().__str__() if self.container else "obstore's memory"


def status_of(error: BaseException | None) -> int:
    """The status of HTTP that an error tells of, 0 for none."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0


def lost_reply(error: BaseException | None) -> bool:
    """Whether obstore tried again before the answer that the error is made of."""
    return bool(_RETRIED.search(str(error)))


def meaning(error: BaseException | None) -> Meaning:
    """What an error says about the request."""
    names, status = reasons.kinds(error), status_of(error)
    if status == 416 or _BAD_RANGE.search(str(error)):
        return Meaning.BAD_RANGE
    if "FileNotFoundError" in names or ("PreconditionError" in names and status == 404):
        return Meaning.OTHER if _no_container(error) else Meaning.MISSING
    if names & {"AlreadyExistsError", "PreconditionError", "Changed"}:
        return Meaning.CONFLICT if status == 409 else Meaning.CONDITION_FAILED
    return Meaning.OTHER


def _no_container(error: BaseException | None) -> bool:
    code = _CODE.search(str(error))
    return code is not None and code[1] in _NO_CONTAINER


class Changed(Exception):
    """An object is not the one that was meant, as a look at it told."""


@contextmanager
def obstore_errors(where: Where, key: str) -> Iterator[None]:
    """Map what obstore raises."""
    try:
        yield
    except RemoteStoreError:
        raise
    except RuntimeError as error:
        if not isinstance(error, NotImplementedError):
            raise  # Of an event loop that is not the store's.
        raise _verdict(error, where, key) from error
    except Malformed as error:
        raise where.malformed(error, key) from error
    except TimeoutError as error:
        raise where.no_answer(error, key) from error
    except Exception as error:
        raise _verdict(error, where, key) from error


def _verdict(error: Exception, where: Where, key: str) -> RemoteStoreError:
    names, status, backend = reasons.kinds(error), status_of(error), where.backend
    if _no_container(error):
        return container_missing(where.container, key, backend)
    if "FileNotFoundError" in names:
        return file_missing(key, backend)
    if names & {"AlreadyExistsError", "PreconditionError", "Changed"}:
        return PreconditionFailed("The stored file is another one", path=key, backend=backend)
    if names & {"PermissionDeniedError", "UnauthenticatedError"}:
        why = "the credentials were not accepted" if status == 401 else "these credentials may not do this"
        return PermissionDenied(f"{DENIED} at {where}: {why}", path=key, backend=backend)
    if names & {"NotSupportedError", "NotImplementedError"}:
        message = f"This is not supported by {where}, or not with its options"
        return CapabilityNotSupported(message, path=key, backend=backend)
    if "InvalidPathError" in names and "Encountered object" in str(error):
        return RemoteStoreError(_ODD_NAME, path=key, backend=backend)
    if names & {"InvalidPathError", "ValueError"}:
        return InvalidPath("Path is not valid on this storage: obstore cannot spell it", path=key, backend=backend)
    if status:
        kind, message = by_status(status, "{host} does not answer like an object store")
        code = _CODE.search(str(error))
        return kind(message.format(host=where, code=code[1] if code else status), path=key, backend=backend)
    if meaning(error) is Meaning.BAD_RANGE:
        return RemoteStoreError("The range begins behind the end of the file", path=key, backend=backend)
    why = next((why for words, why in _REASONS if words.search(str(error))), "")
    if why or "GenericError" in names:
        return unreachable(error, key, backend, str(where), why)
    return BackendUnavailable(f"{where} failed ({type(error).__name__})", path=key, backend=backend)


def timed_out(error: Exception) -> bool:
    """Whether an answer, or the rest of it, took too long."""
    return bool(_TIMED_OUT.search(str(error)))


def lacks(error: Exception) -> str:
    """What the answer to a write lacks, which was a success all the same; `""` where that is not the matter."""
    return "no ETag" if "MissingEtag" in str(error) else ""


class Sent(Enum):
    """How far a request came that failed."""

    ANSWERED = auto()
    UNANSWERED = auto()
    NOT_AT_ALL = auto()
    UNKNOWN = auto()


def sent_by(error: Exception) -> tuple[Sent, int, str]:
    """How far a request came, and the status and the body of its answer."""
    text = str(error)
    if answer := _ANSWER.search(text):
        return Sent.ANSWERED, int(answer[1]), answer[2]
    if _NOT_SENT.search(text):
        return Sent.NOT_AT_ALL, 0, ""
    return (Sent.UNANSWERED if "HttpError {" in text else Sent.UNKNOWN), 0, ""
