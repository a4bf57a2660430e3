"""Leases of blobs and containers in the double of Azure storage (blob/lease-blob, blob/lease-container)."""

from __future__ import annotations

import math
import time
import uuid

from servers.azure_answers import Refusal
from servers.azure_items import Item, Lease, Leased, judge
from servers.double_answers import Answer, Request


def on_lease(item: Leased, request: Request) -> Answer:
    """Acquire, renew, change, release or break a lease.

    Raises:
        Refusal: its state forbids that.
    """
    if isinstance(item, Item):
        judge(request.headers, item)
    headers = request.headers
    action, given, lease = headers.get("x-ms-lease-action", ""), headers.get("x-ms-lease-id"), item.lease
    if action == "acquire":
        return _acquire(item, request)
    if not lease:
        raise Refusal("LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob.")
    if action == "break":
        return _break(item, lease, request)
    if given != lease.id:
        raise Refusal("LeaseIdMismatchWithLeaseOperation")
    match action:
        case "renew" if lease.breaking:
            raise Refusal("LeaseIsBrokenAndCannotBeRenewed")
        case "renew":
            lease.ends = _end(lease.duration)
        case "change":
            lease.id = headers.get("x-ms-proposed-lease-id", lease.id)
        case "release":
            item.lease = None
        case _:
            raise Refusal("InvalidHeaderValue", "x-ms-lease-action")
    return Answer(200, headers=item.described() | {"x-ms-lease-id": lease.id})


def _acquire(item: Leased, request: Request) -> Answer:
    duration = int(request.headers.get("x-ms-lease-duration", "-1"))
    if duration != -1 and not 15 <= duration <= 60:
        raise Refusal("InvalidHeaderValue", "x-ms-lease-duration")
    wanted = request.headers.get("x-ms-proposed-lease-id") or str(uuid.uuid4())
    if item.lease and item.lease.held and (item.lease.breaking or item.lease.id != wanted):
        breaking = item.lease.breaking and item.lease.id == wanted
        raise Refusal("LeaseIsBreakingAndCannotBeAcquired" if breaking else "LeaseAlreadyPresent")
    item.lease = Lease(wanted, duration, _end(duration))
    return Answer(201, headers=item.described() | {"x-ms-lease-id": wanted})


def _break(item: Leased, lease: Lease, request: Request) -> Answer:
    left = max(0.0, lease.ends - time.monotonic())
    longest = float(request.headers.get("x-ms-lease-break-period", 60))
    period = min(left, longest) if left < math.inf else (longest if "x-ms-lease-break-period" in request.headers else 0)
    if not lease.breaking:
        lease.breaking, lease.ends = True, time.monotonic() + period
    return Answer(202, headers=item.described() | {"x-ms-lease-time": str(math.ceil(period))})


def _end(duration: int) -> float:
    return math.inf if duration < 0 else time.monotonic() + duration
