"""How much a process grows while a large file streams, and how soon a listing yields.

Every row is measured in an interpreter of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":  # Behind all packages, of which `requests.py` here would hide one.
    sys.path.append(sys.path.pop(0))

from void import azure_options, serving

from remote_store import Store
from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncLocalBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, S3Backend

MIB = 1 << 20
PIECE = bytes(MIB)
GROWTH = 64
"""What streaming may take [MiB]."""
SERVICE_GROWTH = 80
"""What streaming to and from a service may take, its parts in flight included [MiB]."""
CONSUMED = 1000
"""What a listing may read before it yields [entries]."""


class Zeros:
    """A binary file of `mib` MiB that nobody holds."""

    def __init__(self, mib: int) -> None:
        self._left = mib * MIB

    def read(self, count: int = -1) -> bytes:
        count = min(self._left if count < 0 else count, self._left)
        self._left -= count
        return bytes(count)


async def zeros(mib: int) -> AsyncIterator[bytes]:
    for _ in range(mib):
        yield PIECE


# --- streams: each gives the bytes that went through


def read(root: str, mib: int) -> int:
    with Store(LocalBackend(root)).read("source") as stream:
        return sum(len(piece) for piece in iter(lambda: stream.read(MIB), b""))


def write(root: str, mib: int) -> int:
    return Store(LocalBackend(root)).write("target", Zeros(mib), overwrite=True).size  # type: ignore[arg-type]


def open_atomic(root: str, mib: int) -> int:
    with Store(LocalBackend(root)).open_atomic("target", overwrite=True) as file:
        for _ in range(mib):
            file.write(PIECE)
    assert file.result is not None
    return file.result.size


def async_write(root: str, mib: int) -> int:
    async def main() -> int:
        return (await AsyncStore(AsyncLocalBackend(root)).write("target", zeros(mib), overwrite=True)).size

    return asyncio.run(main())


def async_read(root: str, mib: int) -> int:
    async def main() -> int:
        return sum([len(chunk) async for chunk in AsyncStore(AsyncLocalBackend(root)).read("source")])

    return asyncio.run(main())


STREAMS: dict[str, Callable[[str, int], int]] = {
    "read": read,
    "write": write,
    "open_atomic": open_atomic,
    "async write of an iterator": async_write,
    "async read": async_read,
}


Place = tuple[type[Any], type[Any], tuple[Any, ...], dict[str, Any]]
"""Backends, of a Store and of an AsyncStore, and their arguments."""


def s3(endpoint: str) -> Place:
    options = {"endpoint_url": endpoint, "region_name": "us-east-1", "key": "k", "secret": "s"}
    return S3Backend, AsyncS3Backend, ("bucket",), options


def gcs(endpoint: str) -> Place:
    return GCSBackend, AsyncGCSBackend, ("bucket",), {"token": "anon", "endpoint_url": endpoint}


def azure(endpoint: str) -> Place:
    return AzureBackend, AsyncAzureBackend, ("container",), azure_options(endpoint)


def azure_with_folders(endpoint: str) -> Place:
    return AzureBackend, AsyncAzureBackend, ("container",), azure_options(endpoint) | {"hns": True}


def service_write(place: Place, mib: int) -> int:
    backend, _, where, options = place
    with Store(backend(*where, **options)) as store:
        return store.write("target", Zeros(mib), overwrite=True).size  # type: ignore[arg-type]


def service_read(place: Place, mib: int) -> int:
    backend, _, where, options = place
    with Store(backend(*where, **options)) as store, store.read(f"zeros-{mib}") as stream:
        return sum(len(piece) for piece in iter(lambda: stream.read(MIB), b""))


def async_service_write(place: Place, mib: int) -> int:
    _, backend, where, options = place

    async def main() -> int:
        async with AsyncStore(backend(*where, **options)) as store:
            return (await store.write("target", zeros(mib), overwrite=True)).size

    return asyncio.run(main())


def async_service_read(place: Place, mib: int) -> int:
    _, backend, where, options = place

    async def main() -> int:
        async with AsyncStore(backend(*where, **options)) as store:
            return sum([len(chunk) async for chunk in store.read(f"zeros-{mib}")])

    return asyncio.run(main())


SERVICES = {"S3": s3, "GCS": gcs, "Azure": azure, "Azure, folders": azure_with_folders}
ACTS: dict[str, Callable[[Place, int], int]] = {
    "async write of an iterator to": async_service_write,
    "async read from": async_service_read,
    "write of a file to": service_write,
    "read from": service_read,
}
SERVICE_STREAMS: dict[str, tuple[Callable[[str], Place], Callable[[Place, int], int]]] = {
    f"{act} {service}": (place, stream) for service, place in SERVICES.items() for act, stream in ACTS.items()
}


def service_grown(row: str, mib: int) -> float:
    """As `grown`, over a server in a process of its own."""
    connect, stream = SERVICE_STREAMS[row]
    with serving() as (endpoint, _):
        stream(connect(endpoint), 32)
        return peak_growth(lambda: stream(connect(endpoint), mib), mib)


def status_mib(field: str) -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def grown(stream: Callable[[str, int], int], root: str, mib: int) -> float:
    """By how much the process was larger than before, at most [MiB]."""
    Store(LocalBackend(root)).write("source", Zeros(2), overwrite=True)  # type: ignore[arg-type]
    stream(root, 2)
    Store(LocalBackend(root)).write("source", Zeros(mib), overwrite=True)  # type: ignore[arg-type]
    return peak_growth(lambda: stream(root, mib), mib)


def peak_growth(stream: Callable[[], int], mib: int) -> float:
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # The peak starts again from here.
    before = status_mib("VmRSS")
    if stream() != mib * MIB:
        raise RuntimeError("not all of it went through")
    return status_mib("VmHWM") - before


# --- listings


class CountingScan:
    """What `os.scandir` gives, counting the entries taken."""

    taken = 0
    _scandir = staticmethod(os.scandir)

    def __init__(self, path: Any) -> None:
        self._entries: Any = self._scandir(path)
        self.close = self._entries.close

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        for entry in self._entries:
            CountingScan.taken += 1
            yield entry

    def __enter__(self) -> CountingScan:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def first_listed(root: str) -> None:
    next(Store(LocalBackend(root)).list_files("d"))


def first_listed_async(root: str) -> None:
    async def main() -> None:
        listing: Any = AsyncStore(AsyncLocalBackend(root)).list_files("d")
        async with aclosing(listing) as files:
            await anext(files)

    asyncio.run(main())


LISTINGS: dict[str, Callable[[str], None]] = {"listing": first_listed, "async listing": first_listed_async}


def consumed(listing: Callable[[str], None], root: str, files: int) -> int:
    """Entries read from the folder when the first is yielded."""
    os.mkdir(os.path.join(root, "d"))
    for number in range(files):
        os.close(os.open(os.path.join(root, "d", f"{number:06}"), os.O_CREAT | os.O_WRONLY))
    with patch("os.scandir", CountingScan):
        listing(root)
    return CountingScan.taken


def measure(row: str, mib: int, files: int) -> float:
    if row in SERVICE_STREAMS:
        return service_grown(row, mib)
    with tempfile.TemporaryDirectory() as root:
        return grown(STREAMS[row], root, mib) if row in STREAMS else consumed(LISTINGS[row], root, files)


def measure_apart(row: str, mib: int, files: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--row", row, "--mib", str(mib), "--files", str(files)]
    value = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    targets = dict.fromkeys(STREAMS, GROWTH) | dict.fromkeys(SERVICE_STREAMS, SERVICE_GROWTH)
    unit, target = ("MiB", targets[row]) if row in targets else ("entries before the first", CONSUMED)
    name = f"{row}, {mib} MiB" if row in targets else f"{row}, {files} files"
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": value <= target}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file that streams [MiB]")
    parser.add_argument("--files", type=int, default=100_000, help="files in the folder that is listed")
    parser.add_argument("--row", choices=[*STREAMS, *SERVICE_STREAMS, *LISTINGS], help="measure this row alone")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    if options.row:
        print(measure(options.row, options.mib, options.files))
        return 0
    rows = [measure_apart(row, options.mib, options.files) for row in (*STREAMS, *SERVICE_STREAMS, *LISTINGS)]
    if options.json:
        print(json.dumps(rows, indent=2))
    for row in () if options.json else rows:
        verdict = "pass" if row["ok"] else "FAIL"
        print(f"{row['name']:56}{row['value']:8.1f} {row['unit']:26}at most {row['target']:5}  {verdict}")
    return 1 if options.check and not all(row["ok"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
