"""What the double of Azure storage refuses, and how it says so in each of its APIs.

Comments in `azure_*.py` name the source of a behaviour: a page of the REST reference (`blob/…`, `datalake/…`), a thread
that shows a real answer, or a recording of the real service that the SDK's tests hold. What none of these tells, and
only a real account can prove, is marked [unproved].
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from xml.sax.saxutils import escape

from servers.double_answers import JSON, XML, Answer

# blob/status-and-error-codes, blob/blob-service-error-codes, datalake/path: statuses
CODES = {
    304: "NotModified",
    400: """InvalidHeaderValue InvalidMetadata InvalidUri InvalidInput InvalidBlobOrBlock InvalidBlockId
        InvalidBlockList InvalidXmlDocument Md5Mismatch MetadataTooLarge MissingRequiredHeader OutOfRangeInput
        OutOfRangeQueryParameterValue InvalidQueryParameterValue InvalidFlushPosition InvalidResourceName
        MissingRequiredQueryParameter HierarchicalNamespaceNotEnabled UnsupportedHeader UnsupportedQueryParameter""",
    401: "NoAuthenticationInformation InvalidAuthenticationInfo",
    403: """AuthenticationFailed AuthorizationFailure AuthorizationPermissionMismatch AccountIsDisabled
        InsufficientAccountPermissions UnauthorizedBlobOverwrite""",
    404: """BlobNotFound ContainerNotFound FilesystemNotFound PathNotFound SourcePathNotFound CannotVerifyCopySource
        RenameDestinationParentPathNotFound ResourceNotFound""",
    405: "UnsupportedHttpVerb",
    409: """BlobAlreadyExists ContainerAlreadyExists FilesystemAlreadyExists ContainerBeingDeleted
        FilesystemBeingDeleted PathAlreadyExists PathConflict ResourceTypeMismatch DirectoryNotEmpty
        DirectoryIsNotEmpty InvalidDestinationPath InvalidRenameSourcePath InvalidSourceOrDestinationResourceType
        InvalidFlushOperation BlobOperationNotSupported LeaseAlreadyPresent LeaseIdMismatchWithLeaseOperation
        LeaseNotPresentWithLeaseOperation LeaseIsBrokenAndCannotBeRenewed LeaseIsBreakingAndCannotBeAcquired
        NoPendingCopyOperation CopyIdMismatch PendingCopyOperation SnapshotsPresent BlobArchived BlobBeingRehydrated
        BlobImmutableDueToPolicy PublicAccessNotPermitted SourcePathIsBeingDeleted DestinationPathIsBeingDeleted""",
    412: """ConditionNotMet SourceConditionNotMet LeaseIdMissing LeaseIdMismatchWithBlobOperation LeaseLost
        LeaseNotPresentWithBlobOperation LeaseIdMismatchWithContainerOperation LeaseIdMismatch""",
    413: "RequestBodyTooLarge",
    416: "InvalidRange",
    500: "InternalError OperationTimedOut",
    501: "NotImplemented",
    503: "ServerBusy",
}
STATUSES = {code: status for status, codes in CODES.items() for code in codes.split()}
AS_PATH = {
    "BlobNotFound": "PathNotFound",
    "BlobAlreadyExists": "PathAlreadyExists",
    "ContainerNotFound": "FilesystemNotFound",
    "ContainerAlreadyExists": "FilesystemAlreadyExists",
    "ContainerBeingDeleted": "FilesystemBeingDeleted",
    "LeaseIdMismatchWithBlobOperation": "LeaseIdMismatch",
}
"""What the Data Lake API calls it (datalake/path: statuses)."""


class Refusal(Exception):
    """A request is refused.

    Arguments:
        code: of the service; its status follows.
    """

    def __init__(self, code: str, message: str = "", status: int | None = None) -> None:
        super().__init__(code, message)
        self.code, self.status = code, status or STATUSES[code]
        self.message = message or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code) + "."

    def as_xml(self) -> Answer:
        """The body of the Blob API (blob/status-and-error-codes)."""
        if self.status == 304:  # blob/specifying-conditional-headers-for-blob-service-operations
            return Answer(304, headers={"x-ms-error-code": "ConditionNotMet"})
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code>'
        body = f"{text}<Message>{escape(self._message())}</Message></Error>".encode()
        return Answer(self.status, b"\xef\xbb\xbf" + body, {**XML, "x-ms-error-code": self.code})

    def as_json(self) -> Answer:
        """The body of the Data Lake API (datalake/path)."""
        if self.status == 304:
            return Answer(304, headers={"x-ms-error-code": "ConditionNotMet"})
        code = AS_PATH.get(self.code, self.code)
        body = json.dumps({"error": {"code": code, "message": self._message()}}).encode()
        return Answer(self.status, body, {**JSON, "x-ms-error-code": code})

    def _message(self) -> str:
        return f"{self.message}\nTime:{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.0000000Z"


def xml_answer(content: str, status: int = 200) -> Answer:
    """An answer of the Blob API, with a byte order mark as the service sends it."""
    return Answer(status, b"\xef\xbb\xbf" + f'<?xml version="1.0" encoding="utf-8"?>{content}'.encode(), XML)


def element(name: str, content: object) -> str:
    """An element of text."""
    return f"<{name}>{escape(str(content))}</{name}>" if content != "" else f"<{name} />"


def http_date(moment: float) -> str:
    """Of a header [s since 1970]."""
    return email.utils.formatdate(moment, usegmt=True)
