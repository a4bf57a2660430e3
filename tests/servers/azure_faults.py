"""What goes wrong at Azure storage: answers, for the hooks of `double_faults`."""

from __future__ import annotations

from servers.azure_answers import Refusal
from servers.double_answers import Answer
from servers.double_faults import done_then as done_then
from servers.double_faults import first as first
from servers.double_faults import half_body as half_body
from servers.double_faults import hang as hang
from servers.double_faults import in_turn as in_turn
from servers.double_faults import instead as instead
from servers.double_faults import matching as matching
from servers.double_faults import once as once
from servers.double_faults import reset_after as reset_after
from servers.double_faults import reset_before as reset_before
from servers.double_faults import when as when


def refusal(code: str, message: str = "", as_path: bool = False, status: int | None = None, **headers: str) -> Answer:
    """An error; an underscore in the name of a header is a hyphen.

    Arguments:
        as_path: whether the Data Lake API says it, as JSON.
        status: where it is not that of the code.
    """
    refused = Refusal(code, message, status)
    answer = refused.as_json() if as_path else refused.as_xml()
    return answer._replace(
        headers={**answer.headers, **{name.replace("_", "-"): told for name, told in headers.items()}}
    )


# blob/status-and-error-codes, blob/blob-service-error-codes
UNAUTHENTICATED = refusal("NoAuthenticationInformation", "Server failed to authenticate the request.")
BAD_SIGNATURE = refusal("AuthenticationFailed", "Server failed to authenticate the request.")
DENIED = refusal("AuthorizationFailure", "This request is not authorized to perform this operation.")
MISMATCH = refusal("AuthorizationPermissionMismatch", "This request is not authorized to use this permission.")
DISABLED = refusal("AccountIsDisabled", "The specified account is disabled.")
CREATE_ONLY = refusal("UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.")
CONTAINER_MISSING = refusal("ContainerNotFound", "The specified container does not exist.")
CONTAINER_BEING_DELETED = refusal("ContainerBeingDeleted", "The specified container is being deleted.")
HIDDEN = refusal("ResourceNotFound", "The specified resource does not exist.")
"""Of account information that may not be asked for (Azure/azure-sdk-for-cpp#6281)."""
LEASED = refusal("LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified.")
ARCHIVED = refusal("BlobArchived", "This operation is not permitted on an archived blob.")
REHYDRATED = refusal("BlobBeingRehydrated", "This operation is not permitted because the blob is being rehydrated.")
IMMUTABLE = refusal("BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable.")
SNAPSHOTS = refusal("SnapshotsPresent", "This operation is not permitted because the blob has snapshots.")
PENDING_COPY = refusal("PendingCopyOperation", "There is currently a pending copy operation.")
BLOCKS_GONE = refusal("InvalidBlockList", "The specified block list is invalid.")
UNMET = refusal("ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
BROKEN = refusal("InternalError", "Server encountered an internal error. Please try again after some time.")
TIMED_OUT = refusal("OperationTimedOut", "Operation could not be completed within the specified time.")
BUSY = refusal("ServerBusy", "The server is currently unable to receive requests. Please retry your request.")
