"""What SMB servers answer (NTSTATUS), where smbprotocol knows no errno for it."""

from __future__ import annotations

from errno import EACCES, EBUSY, ENAMETOOLONG, ENOSPC

from remote_store._errors import CapabilityNotSupported
from remote_store.drivers.errors import ERRNO_VERDICTS, STATUS_VERDICTS, Verdict

ACCESS_DENIED, NAME_INVALID, DELETE_PENDING = 0xC0000022, 0xC0000033, 0xC0000056
VERDICTS: dict[int, Verdict] = {
    **dict.fromkeys((ACCESS_DENIED, 0xC0000121, 0xC00000A2, 0xC00000CA), ERRNO_VERDICTS[EACCES]),
    **dict.fromkeys((0xC0000043, 0xC0000054, DELETE_PENDING), ERRNO_VERDICTS[EBUSY]),
    **dict.fromkeys((NAME_INVALID, 0xC0000039, 0xC000003B, 0xC0000106), ERRNO_VERDICTS[ENAMETOOLONG]),
    **dict.fromkeys((0xC000007F, 0xC0000044, 0xC0000904), ERRNO_VERDICTS[ENOSPC]),
    **dict.fromkeys((0xC000006D, 0xC000006E, 0xC0000071, 0xC0000072, 0xC0000234), STATUS_VERDICTS[401]),
    **dict.fromkeys((0xC0000010, 0xC00000BB), Verdict(CapabilityNotSupported, "This is not supported by the server")),
}
"""NTSTATUS → error, for those that smbprotocol gives no errno (MS-ERREF, 2.3.1)."""
LOST = frozenset({0xC00000C9, 0xC000020C, 0xC0000203, 0xC000035C, 0xC0000466, 0xC000026E})
"""NTSTATUS of a connection, a session or a share that is gone."""
