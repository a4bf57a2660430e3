"""The fast lane: a driver of an object store that sends what it can through obstore, and the rest as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.fast.driver import FastDriver
    from remote_store.drivers.fast.lane import Lane
    from remote_store.drivers.objects.driver import ObjectDriver


def faster(driver: ObjectDriver, lane: Lane) -> FastDriver:
    """A driver with the same promises as another one, to whose service obstore gets by a lane."""
    from remote_store.drivers.fast.driver import FastDriver

    return FastDriver(driver, lane)


def not_carried(option: str, why: str = "") -> ValueError:
    """The error for an option that obstore cannot be given."""
    reason = f": {why}" if why else ""
    return ValueError(f"engine='fast' does not go with {option}{reason}; leave out one of the two")


def client_options(timeout: float, **more: Any) -> dict[str, Any]:
    """How obstore's connections behave, whatever the service.

    Args:
        timeout: of connecting, of an answer, and of each piece of one [s].
        more: options besides.
    """
    import datetime as dt

    wait = dt.timedelta(seconds=timeout)
    # Of a whole reply, however long, there is no deadline. All that environment variables could tell obstore is told.
    told = {"connect_timeout": wait, "read_timeout": wait, "timeout": dt.timedelta(days=7)}
    return {**told, "allow_http": False, "allow_invalid_certificates": False, **more}


ONE_TRY: dict[str, Any] = {"max_retries": 0}
"""obstore tries once; the wire below goes on from there."""
