"""Resumable uploads: parts one after another into a session, which tells how much of them it kept."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import google_crc32c

from remote_store.drivers.gcs.session import Answer, Refused, Session
from remote_store.drivers.objects.wire import Malformed

KEPT = re.compile("bytes=0-([0-9]{1,19})")
ENDED = (404, 410)
"""Statuses of a session that is gone: Cloud Storage guide, resumable uploads."""


@dataclass
class Upload:
    """An upload that was begun.

    Args:
        name: of the object.
        url: of its session: whoever has it can write, so it is a secret.
        size: of what was given to `send_part` [bytes].
        checksum: of that.
    """

    name: str
    url: str = field(repr=False)
    size: int = 0
    checksum: Any = field(default_factory=google_crc32c.Checksum, repr=False)

    @property
    def crc32c(self) -> str:
        """The checksum of all that was sent, as the service spells it."""
        return base64.b64encode(self.checksum.digest()).decode()


async def send_part(session: Session, upload: Upload, content: bytes, last: bool = False) -> Answer | None:
    """Send the next bytes of an upload until the service has them; gives the reply to the last part.

    Args:
        session: sends the requests.
        upload: that they belong to.
        content: a multiple of 256 KiB, unless it is the last.
        last: whether the object ends with it.
    """
    start, end = upload.size, upload.size + len(content)
    upload.size = end
    upload.checksum.update(content)
    total = str(end) if last else "*"
    headers = {"X-Goog-Hash": f"crc32c={upload.crc32c}"} if last else {}
    tries, kept = session.tries(), start
    while True:
        left, asked = content[kept - start :], False
        span = f"bytes {kept}-{end - 1}/{total}" if left else f"bytes */{total}"
        try:
            answer = await _put(session, upload, span, left, headers)
        except (aiohttp.ClientError, OSError, Refused) as error:
            await tries.again(error)  # Raises what no further try can mend.
            asked = True
            # What of it arrived, only the session knows; it may also have ended, with its reply lost.
            try:
                answer = await _put(session, upload, f"bytes */{total}", b"", headers, once=False)
            except Refused as refusal:
                refusal.unheard = refusal.unheard or tries.unheard
                raise
        if answer.status != 308:
            if not last:
                raise Malformed(f"status {answer.status} in the middle of an upload")
            return answer
        before, kept = kept, _kept(answer)
        if not start <= kept <= end:
            raise Malformed(f"an upload of {end} bytes of which it has {kept}")
        if kept == end and not last:
            return None
        if kept <= before and not asked:
            await tries.again(Refused(answer._replace(status=503)))


async def _put(
    session: Session, upload: Upload, span: str, data: bytes, headers: dict[str, str], once: bool = True
) -> Answer:
    # Content as a file: of bytes aiohttp makes copies.
    body, good = (lambda: io.BytesIO(data)), (200, 201, 308, *ENDED)
    answer = await session.send("PUT", upload.url, {**headers, "Content-Range": span}, body, good=good, once=once)
    if answer.status in ENDED:
        raise Refused(answer._replace(status=410))
    return answer


def _kept(answer: Answer) -> int:
    """How many bytes of an upload the service has."""
    told = answer.headers.get("Range")
    if told is None:
        return 0
    found = KEPT.fullmatch(told)
    if not found:
        raise Malformed("it does not tell how much of an upload it has")
    return int(found[1]) + 1
