"""What the matrix measures: one call done in several ways in turn, its requests, and memory while a file streams."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import get_context
from random import Random
from textwrap import shorten
from typing import Any

from _places import FILES, KIB, Place
from memory import Zeros, peak_growth

from remote_store import Capability, CapabilityNotSupported, Store
from remote_store.certify import certify

ORDER = Random(7)
Found = float | str | None
"""A time [s] or a number; None where there is no such call; else the error."""


class Way(dict[str, Callable[..., Any]]):
    """A way to work with files: what a library calls each verb."""

    def __missing__(self, verb: str) -> Any:
        raise NotImplementedError(verb)


Call = Callable[[Way], object]


def write(file: AbstractContextManager[Any], data: bytes = KIB) -> None:
    with file as opened:
        opened.write(data)


def read(file: AbstractContextManager[Any]) -> bytes:
    with file as opened:
        return bytes(opened.read())


def through_store(store: Store) -> Way:
    return Way(
        put=lambda key, data: store.write(key, data, overwrite=True),
        get=store.read_bytes,
        exists=store.exists,
        info=store.get_file_info,
        list=lambda folder: list(store.list_files(folder)),
        copy=lambda src, dst: store.copy(src, dst, overwrite=True),
        move=lambda src, dst: store.move(src, dst, overwrite=True),
        delete=store.delete,
        create=store.write,
        writer=lambda key: store.open_atomic(key, overwrite=True),
        reader=store.read,
    )


def through_fsspec(fs: Any, root: str) -> Way:
    return Way(
        put=lambda key, data: fs.pipe_file(f"{root}/{key}", data),
        get=lambda key: fs.cat_file(f"{root}/{key}"),
        exists=lambda key: fs.exists(f"{root}/{key}"),
        info=lambda key: fs.info(f"{root}/{key}"),
        list=lambda folder: fs.ls(f"{root}/{folder}", detail=True),
        copy=lambda src, dst: fs.cp_file(f"{root}/{src}", f"{root}/{dst}"),
        move=lambda src, dst: fs.mv(f"{root}/{src}", f"{root}/{dst}"),
        delete=lambda key: fs.rm(f"{root}/{key}"),
        create=lambda key, data: fs.pipe_file(f"{root}/{key}", data, mode="create"),
        writer=lambda key: fs.open(f"{root}/{key}", "wb"),
        reader=lambda key: fs.open(f"{root}/{key}", "rb"),
        forget=fs.invalidate_cache,
    )


OPERATIONS: dict[str, tuple[Call, str]] = {
    "write 1 KiB": (lambda way: way["put"]("w", KIB), ""),
    "read_bytes 1 KiB": (lambda way: way["get"]("f"), ""),
    "exists": (lambda way: way["exists"]("f"), ""),
    "get_file_info": (lambda way: way["info"]("f"), ""),
    "list 100": (lambda way: way["list"]("d"), ""),
    "copy 1 KiB": (lambda way: way["copy"]("f", "c"), ""),
    "move 1 KiB": (lambda way: way["move"]("m", "n"), "m"),
    "delete": (lambda way: way["delete"]("x"), "x"),
    "open_atomic 1 KiB": (lambda way: write(way["writer"]("w")), ""),
    "read 1 MiB": (lambda way: read(way["reader"]("big")), ""),
}
"""By name: the call, and the key that must be there before it."""


def prepare(way: Way, key: str) -> None:
    if key:
        way["put"](key, KIB)
    way.get("forget", int)()  # Without its listings a filesystem asks as the store does, instead of remembering.


def tried(way: Way, call: Call, key: str, clock: Callable[[], float] = time.perf_counter) -> Found:
    """By how much the clock goes on in the second of two calls: the first opens connections, and leaves a file."""
    took = 0.0
    try:
        for _ in range(2):
            prepare(way, key)
            start = clock()
            call(way)
            took = clock() - start
    except (NotImplementedError, CapabilityNotSupported):
        return None
    except Exception as error:
        return f"fails: {type(error).__name__}"
    return took


def compare(ways: dict[str, Way], call: Call, key: str, seconds: float) -> dict[str, Found]:
    """The best time of each way, taken in turns for about that long [s].

    The order of the turns changes, because a server may still be busy with the one before.
    """
    found: dict[str, Any] = {name: tried(way, call, key) for name, way in ways.items()}
    running = [name for name, took in found.items() if isinstance(took, float)]
    end = time.monotonic() + seconds
    while running and time.monotonic() < end:
        for name in ORDER.sample(running, len(running)):
            prepare(ways[name], key)
            start = time.perf_counter()
            call(ways[name])
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def count(requests: list[str], way: Way, call: Call, key: str) -> Found:
    """How many requests a call sends."""
    return tried(way, call, key, lambda: len(requests))


def measure(place: Place, seconds: float) -> dict[str, dict[str, Any]]:
    """Each operation, beside the bare call."""
    ways = {"store": through_store(place.store), "bare": through_fsspec(place.fs, place.root)}
    if place.store.supports(Capability.WRITE):
        for path, data in FILES.items():
            ways["store"]["put"](path, data)
    rows: dict[str, dict[str, Any]] = {}
    for name, (call, key) in OPERATIONS.items():
        store, bare = compare(ways, call, key, seconds).values()
        ratio = store / bare if isinstance(store, float) and isinstance(bare, float) else None
        rows[name] = {"seconds": store, "bare_seconds": bare, "ratio": ratio}
        if place.requests is not None:
            asked = [count(place.requests, way, call, key) for way in ways.values()]
            rows[name] |= dict(zip(("requests", "bare_requests"), asked, strict=True))
    return rows


def certified(store: Store, workers: int) -> dict[str, Any]:
    """Which promises are kept, as data."""
    report = certify(store, workers=workers)
    findings = {
        found.capability.name: {
            "declared": found.declared,
            "observed": found.observed,
            "verdict": found.verdict,
            "evidence": shorten(found.evidence[-1], 160) if found.evidence else "",
        }
        for found in report.capabilities
    }
    kept = sum(finding.outcome == "kept" for finding in report.rules)
    return {"capabilities": findings, "rules_kept": kept, "rules_broken": [rule.name for rule in report.broken]}


def grown(store: Store, mib: int = 32) -> dict[str, float]:
    """By how much this process grows while a file is written as a stream, and read [MiB]."""

    def writing(mib: int) -> int:
        return store.write("large", Zeros(mib), overwrite=True).size  # type: ignore[arg-type]

    def reading() -> int:
        with store.read("large") as stream:
            return sum(len(piece) for piece in iter(lambda: stream.read(1 << 20), b""))

    writing(2), reading()  # What is imported and opened once does not count.
    grown = {"write": peak_growth(lambda: writing(mib), mib), "read": peak_growth(reading, mib)}
    return {side: round(found, 1) for side, found in grown.items()}


def grown_apart(store: Store) -> dict[str, Any] | None:
    """As `grown`, in a process without servers; None where nothing can be written, or a process not be watched."""
    if not store.supports(Capability.WRITE) or sys.platform != "linux":
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(grown, store).result(60)
        except Exception as error:
            return dict.fromkeys(("write", "read"), f"fails: {type(error).__name__}")
