"""The same work done by other libraries on the same S3 server, each in the way that sends the fewest requests."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module, metadata
from threading import Barrier
from typing import Any, NamedTuple
from unittest.mock import patch

from _operations import Call, Way, compare, count, read, through_fsspec, through_store, write
from _places import KIB, bare_s3
from servers.s3 import BUCKET, KEY, SECRET, S3Server, client

from remote_store import Store
from remote_store.backends import S3Backend

LARGE = KIB * 8192
FILES = {"f": KIB, "f8": LARGE, **{f"d/{number:03}": KIB for number in range(100)}}
ONCE = {"retries": {"total_max_attempts": 1}}
OPTIONS: dict[str, Any] = {"key": KEY, "secret": SECRET, "region_name": "us-east-1", "config_kwargs": ONCE}


def by_files(opened: Callable[..., Any], **more: Callable[..., Any]) -> Way:
    """The way of a library that opens files."""
    return Way(
        put=lambda key, data: write(opened(key, "wb"), data),
        get=lambda key: read(opened(key, "rb")),
        writer=lambda key: opened(key, "wb"),
        **more,
    )


def remote_store(endpoint: str, prefix: str) -> Way:
    return through_store(Store(S3Backend(BUCKET, prefix, endpoint_url=endpoint, **OPTIONS)))


def s3fs(endpoint: str, prefix: str) -> Way:
    fs, root = bare_s3(OPTIONS | {"endpoint_url": endpoint}), f"{BUCKET}/{prefix}"
    one_request = {"get": lambda key: fs.cat_file(f"{root}/{key}", max_concurrency=1)}
    return Way(through_fsspec(fs, root) | one_request)


def obstore(endpoint: str, prefix: str) -> Way:
    module, made = import_module("obstore"), import_module("obstore.store").S3Store
    login = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
    store = made(BUCKET, prefix=prefix, endpoint=endpoint, client_options={"allow_http": True}, **login)
    return Way(
        put=lambda key, data: store.put(key, data, use_multipart=False),
        get=lambda key: bytes(store.get(key).bytes()),
        exists=lambda key: bool(store.head(key)),
        list=lambda folder: store.list_with_delimiter(folder)["objects"],
        delete=store.delete,
        create=lambda key, data: store.put(key, data, mode="create"),
        writer=lambda key: module.open_writer(store, key),
    )


def smart_open(endpoint: str, prefix: str) -> Way:
    module, s3 = import_module("smart_open"), client(S3Server(endpoint))

    def opened(key: str, mode: str, **options: Any) -> Any:
        passed = {"client": s3, "multipart_upload": False, **options} if mode == "wb" else {"client": s3}
        return module.open(f"s3://{BUCKET}/{prefix}/{key}", mode, transport_params=passed)

    only_new = {"S3.Client.put_object": {"IfNoneMatch": "*"}}
    return by_files(opened, create=lambda key, data: write(opened(key, "wb", client_kwargs=only_new), data))


def cloudpathlib(endpoint: str, prefix: str) -> Way:
    module, modes = import_module("cloudpathlib"), import_module("cloudpathlib.enums").FileCacheMode
    login = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    # A cache that outlives the file would be read instead of the server.
    s3 = module.S3Client(endpoint_url=endpoint, file_cache_mode=modes.close_file, **login)
    root = s3.CloudPath(f"s3://{BUCKET}/{prefix}")
    return by_files(
        lambda key, mode: (root / key).open(mode),
        exists=lambda key: (root / key).exists(),
        list=lambda folder: list((root / folder).iterdir()),
        delete=lambda key: (root / key).unlink(),
        create=lambda key, data: write((root / key).open("xb"), data),
    )


def pyarrow_fs(endpoint: str, prefix: str) -> Way:
    module, root = import_module("pyarrow.fs"), f"{BUCKET}/{prefix}"
    login = {"access_key": KEY, "secret_key": SECRET, "region": "us-east-1", "scheme": "http"}
    fs = module.S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), allow_delayed_open=True, **login)
    return by_files(
        lambda key, mode: (fs.open_output_stream if mode == "wb" else fs.open_input_file)(f"{root}/{key}"),
        exists=lambda key: fs.get_file_info(f"{root}/{key}").type != module.FileType.NotFound,
        list=lambda folder: fs.get_file_info(module.FileSelector(f"{root}/{folder}")),
        delete=lambda key: fs.delete_file(f"{root}/{key}"),
    )


PEERS: dict[str, tuple[str, Callable[[str, str], Way]]] = {
    "remote_store": ("remote-store-fsspec", remote_store),
    "s3fs": ("s3fs", s3fs),
    "obstore": ("obstore", obstore),
    "smart_open": ("smart_open", smart_open),
    "cloudpathlib": ("cloudpathlib", cloudpathlib),
    "pyarrow.fs": ("pyarrow", pyarrow_fs),
}
"""By name: the distribution, and a client of an endpoint, below a prefix."""

CALLS: dict[str, tuple[Call, str]] = {
    "put 1 KiB": (lambda way: way["put"]("w", KIB), ""),
    "get 1 KiB": (lambda way: way["get"]("f"), ""),
    "exists": (lambda way: way["exists"]("f"), ""),
    "list 100": (lambda way: way["list"]("d"), ""),
    "delete": (lambda way: way["delete"]("x"), "x"),
    "put 8 MiB": (lambda way: way["put"]("w8", LARGE), ""),
    "get 8 MiB": (lambda way: way["get"]("f8"), ""),
}


# --- behaviour: each trial gives what was seen, and whether that is what one would want


class Trial(NamedTuple):
    """A library: many clients of a live server, one of a port that refuses; and the SDK, which looks."""

    ways: list[Way]
    refused: Way
    prefix: str
    sdk: Any

    def there(self, key: str) -> bool:
        return bool(self.sdk.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/{key}")["KeyCount"])


class Stopped(Exception):
    """A block ends early."""


def winners(trial: Trial) -> tuple[str, bool]:
    creators, barrier = [way["create"] for way in trial.ways], Barrier(len(trial.ways))

    def race(number: int, key: str) -> None:
        barrier.wait()
        creators[number](key, b"%d" % number * 100)

    most = 0
    with ThreadPoolExecutor(len(creators)) as pool:
        for turn in range(3):
            done = [pool.submit(race, number, f"race-{turn}") for number in range(len(creators))]
            most = max(most, sum(future.exception() is None for future in done))
    return str(most), most == 1


def failing_block(trial: Trial) -> tuple[str, bool]:
    with suppress(Stopped), trial.ways[0]["writer"]("half") as file:
        file.write(KIB)
        raise Stopped
    return ("yes", False) if trial.there("half") else ("no", True)


def missing_key(trial: Trial) -> tuple[str, bool]:
    try:
        return str(trial.ways[0]["get"]("none")), False
    except Exception as error:
        return type(error).__name__, isinstance(error, FileNotFoundError)


def refused_service(trial: Trial) -> tuple[str, bool]:
    ask = trial.refused["exists"]
    try:
        return str(ask("f")), False
    except Exception as error:
        return f"raises {type(error).__name__}", True


def literal_star(trial: Trial) -> tuple[str, bool]:
    delete = trial.ways[0]["delete"]
    for key in ("x*y", "xQy"):
        trial.ways[0]["put"](key, KIB)
    delete("x*y")
    return ("no", True) if trial.there("xQy") else ("yes", False)


def stale_listing(trial: Trial) -> tuple[str, bool]:
    listing = trial.ways[0]["list"]
    trial.ways[0]["put"]("d/old", KIB)
    before = len(listing("d"))
    trial.sdk.put_object(Bucket=BUCKET, Key=f"{trial.prefix}/d/new", Body=KIB)
    return ("no", True) if len(listing("d")) == before + 1 else ("yes", False)


TRIALS: dict[str, Callable[[Trial], tuple[str, bool]]] = {
    "winners where clients race to create a key": winners,
    "a block that fails publishes its part": failing_block,
    "error of a missing key": missing_key,
    "exists, where connections are refused": refused_service,
    "deleting `x*y` deletes `xQy` as well": literal_star,
    "a listing misses what another client wrote": stale_listing,
}


def outcome(attempt: Callable[[Trial], tuple[str, bool]], trial: Trial) -> dict[str, Any] | None:
    try:
        return dict(zip(("seen", "good"), attempt(trial), strict=True))
    except NotImplementedError:
        return None
    except Exception as error:
        return {"seen": f"fails: {type(error).__name__}", "good": False}


# --- all of it


def version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@patch.dict(os.environ, AWS_MAX_ATTEMPTS="1")  # Where connections are refused that is told at once.
def measure_peers(timed: S3Server, counted: S3Server, seconds: float, racers: int) -> dict[str, Any]:
    """Times and behaviour at one server, requests at the one that counts."""
    versions = {name: version(distribution) for name, (distribution, _) in PEERS.items()}
    makers = {name: PEERS[name][1] for name, found in versions.items() if found}
    for server in (timed, counted):
        sdk = client(server)
        for key, data in FILES.items():
            sdk.put_object(Bucket=BUCKET, Key=f"p/{key}", Body=data)
    ways = {name: make(timed.endpoint, "p") for name, make in makers.items()}
    asked = {name: make(counted.endpoint, "p") for name, make in makers.items()}
    times = {row: compare(ways, call, key, seconds) for row, (call, key) in CALLS.items()}
    requests = {
        row: {name: count(counted.requests, way, call, key) for name, way in asked.items()}
        for row, (call, key) in CALLS.items()
    }
    with socket.socket() as deaf:  # Bound, not listening: whoever connects is refused.
        deaf.bind(("127.0.0.1", 0))
        nowhere, sdk = f"http://127.0.0.1:{deaf.getsockname()[1]}", client(timed)
        trials = {}
        for name, make in makers.items():
            racing = [make(timed.endpoint, name) for _ in range(racers)]
            trials[name] = Trial(racing, make(nowhere, name), name, sdk)
        behaviour = {
            row: {name: outcome(attempt, trial) for name, trial in trials.items()} for row, attempt in TRIALS.items()
        }
    return {"versions": versions, "racers": racers, "seconds": times, "requests": requests, "behaviour": behaviour}
