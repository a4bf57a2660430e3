"""Who does the work that `speed.py` measures: this library, others, and bare calls, all on the same server.

A contender is a function from a `Bench` to a `Way`, and a line in one of the tables at the end.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from memory import Zeros, zeros
from void import MIB, PIECE, azure_options

from remote_store import Store
from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, S3Backend

BUCKET = "bucket"
REGION = "us-east-1"
PAGE = 1000


@dataclass
class Bench:
    """Where the work is done.

    Args:
        place: URL of a server, or a folder.
        at_once: how many calls are in flight at most.
        runner: of coroutines.
        stack: closes what a contender opens.
    """

    place: str
    at_once: int
    runner: asyncio.Runner
    stack: ExitStack


@dataclass
class Way:
    """How somebody does the work.

    Args:
        verbs: by name: `get(key)`, `put(key, data)`, `list(folder)` and `delete(folder)`, `read(key)` and `write(key,
            mib)` of streams; on local files `exists`, `missing` and `info` without arguments.
        asynchronous: whether they give coroutines.
    """

    verbs: Mapping[str, Callable[..., Any]]
    asynchronous: bool = False


Start = Callable[[Bench], Way]


def drained(stream: Any) -> int:
    """How much a binary stream has [bytes]."""
    with stream:
        return sum(map(len, iter(lambda: stream.read(MIB), b"")))


def filled(file: Any, mib: int) -> None:
    with file:
        for _ in range(mib):
            file.write(PIECE)


def counted(items: Iterator[Any]) -> int:
    counter = enumerate(items, 1)
    last = deque(counter, maxlen=1)
    return last[0][0] if last else 0


# --- this library


def of_store(make: Callable[[Bench], Any], bench: Bench) -> Way:
    """A `Store`, whose backend `make` gives."""
    store = bench.stack.enter_context(Store(make(bench)))
    return Way(
        {
            "get": store.read_bytes,
            "put": partial(store.write, overwrite=True),
            "list": lambda folder: counted(store.list_files(folder, recursive=True)),
            "delete": partial(store.delete_folder, recursive=True),
            "read": lambda key: drained(store.read(key)),
            "write": lambda key, mib: store.write(key, Zeros(mib), overwrite=True),  # type: ignore[arg-type]
        }
    )


def of_async_store(make: Callable[[Bench], Any], bench: Bench) -> Way:
    """An `AsyncStore`, likewise."""
    store = AsyncStore(make(bench))
    bench.stack.callback(lambda: bench.runner.run(store.aclose()))

    async def listed(folder: str) -> int:
        return sum([1 async for _ in store.list_files(folder, recursive=True)])

    async def read(key: str) -> int:
        return sum([len(chunk) async for chunk in store.read(key)])

    async def write(key: str, mib: int) -> None:
        await store.write(key, zeros(mib), overwrite=True)

    put, delete = partial(store.write, overwrite=True), partial(store.delete_folder, recursive=True)
    small: dict[str, Callable[..., Any]] = {"get": store.read_bytes, "put": put}
    return Way({**small, "list": listed, "delete": delete, "read": read, "write": write}, asynchronous=True)


def s3_options(bench: Bench) -> dict[str, Any]:
    return {"key": "k", "secret": "s", "endpoint_url": bench.place, "region_name": REGION}


def in_s3(backend: Callable[..., Any], bench: Bench) -> Any:
    return backend(BUCKET, **s3_options(bench))


def in_gcs(backend: Callable[..., Any], bench: Bench) -> Any:
    return backend(BUCKET, token="anon", endpoint_url=bench.place)


def in_azure(backend: Callable[..., Any], bench: Bench) -> Any:
    return backend("container", **azure_options(bench.place))


# --- bare requests


def bare_s3fs(bench: Bench, asynchronous: bool) -> Any:
    options = s3_options(bench)
    client = {"client_kwargs": {"region_name": options.pop("region_name")}}
    pool = {"config_kwargs": {"max_pool_connections": bench.at_once}}
    fresh: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    return import_module("s3fs").S3FileSystem(asynchronous=asynchronous, **fresh, **options, **client, **pool)


def s3_requests(bench: Bench) -> Way:
    """Requests by the SDK's client in an s3fs filesystem, one after the other where there are several."""
    fs = bare_s3fs(bench, asynchronous=True)
    session = bench.runner.run(fs.set_session())
    bench.stack.callback(lambda: bench.runner.run(session.close()))
    ask = partial(fs._call_s3, Bucket=BUCKET)

    async def get(key: str) -> bytes:
        reply = await ask("get_object", Key=key)
        async with reply["Body"] as body:
            data: bytes = await body.read()
            return data

    async def put(key: str, data: bytes) -> None:
        await ask("put_object", Key=key, Body=data)

    async def pages(folder: str) -> AsyncIterator[list[str]]:
        request: dict[str, Any] = {"Prefix": f"{folder}/"}
        while True:
            reply = await ask("list_objects_v2", **request)
            yield [entry["Key"] for entry in reply.get("Contents", ())]
            if not reply["IsTruncated"]:
                return
            request["ContinuationToken"] = reply["NextContinuationToken"]

    async def listed(folder: str) -> int:
        return sum([len(page) async for page in pages(folder)])

    async def delete(folder: str) -> None:
        async for page in pages(folder):
            await ask("delete_objects", Delete={"Objects": [{"Key": key} for key in page], "Quiet": True})

    async def read(key: str) -> int:
        reply, size = await ask("get_object", Key=key), 0
        async with reply["Body"] as body:
            while piece := await body.read(MIB):
                size += len(piece)
        return size

    return Way({"get": get, "put": put, "list": listed, "delete": delete, "read": read}, asynchronous=True)


def gcs_requests(bench: Bench) -> Way:
    """Requests by the HTTP session of a store."""
    backend: Any = AsyncGCSBackend(BUCKET, token="anon", endpoint_url=bench.place)
    store = AsyncStore(backend)
    bench.stack.callback(lambda: bench.runner.run(store.aclose()))
    bench.runner.run(store.read_bytes("small-0"))  # Makes the session.
    session = backend.driver.wire.session._session
    of_bucket = f"storage/v1/b/{BUCKET}/o"

    async def get(key: str) -> bytes:
        url, headers = f"{bench.place}/{of_bucket}/{key}?alt=media", {"Accept-Encoding": "gzip"}
        async with session.get(url, headers=headers) as reply:
            data: bytes = await reply.read()
            return data

    async def put(key: str, data: bytes) -> None:
        url = f"{bench.place}/upload/{of_bucket}?uploadType=media&name={key}"
        async with session.post(url, data=data) as reply:
            await reply.json(content_type=None)

    return Way({"get": get, "put": put}, asynchronous=True)


def azure_requests(bench: Bench) -> Way:
    """The methods of the SDK's clients that a store has."""
    backend: Any = AsyncAzureBackend("container", **azure_options(bench.place))
    store = AsyncStore(backend)
    bench.stack.callback(lambda: bench.runner.run(store.aclose()))
    bench.runner.run(store.read_bytes("small-0"))  # Makes the clients.
    container = backend.driver.wire.clients.container

    async def get(key: str) -> bytes:
        stream = await container.get_blob_client(key).download_blob()
        data: bytes = await stream.readall()
        return data

    async def put(key: str, data: bytes) -> None:
        await container.get_blob_client(key).upload_blob(data, overwrite=True)

    return Way({"get": get, "put": put}, asynchronous=True)


# --- other libraries


def s3fs(bench: Bench) -> Way:
    fs = bare_s3fs(bench, asynchronous=False)

    def at(key: str) -> str:
        return f"{BUCKET}/{key}"

    return Way(
        {
            "get": lambda key: fs.cat_file(at(key), max_concurrency=1),  # Else it asks for the size before.
            "put": lambda key, data: fs.pipe_file(at(key), data),
            "list": lambda folder: len(fs.find(at(folder))),
            "delete": lambda folder: fs.rm(at(folder), recursive=True),
            "read": lambda key: drained(fs.open(at(key))),
            "write": lambda key, mib: filled(fs.open(at(key), "wb"), mib),
        }
    )


def boto3(bench: Bench) -> Way:
    config = import_module("botocore.config").Config(max_pool_connections=bench.at_once)
    login = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": REGION}
    client = import_module("boto3").client("s3", endpoint_url=bench.place, config=config, **login)

    def pages(folder: str) -> Iterator[Any]:
        found = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{folder}/")
        return (page.get("Contents", ()) for page in found)

    def delete(folder: str) -> None:
        for page in pages(folder):
            objects = [{"Key": entry["Key"]} for entry in page]
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})

    return Way(
        {
            "get": lambda key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read(),
            "put": lambda key, data: client.put_object(Bucket=BUCKET, Key=key, Body=data),
            "list": lambda folder: sum(map(len, pages(folder))),
            "delete": delete,
            "read": lambda key: drained(client.get_object(Bucket=BUCKET, Key=key)["Body"]),
            "write": lambda key, mib: client.upload_fileobj(Zeros(mib), BUCKET, key),
        }
    )


def obstore(bench: Bench) -> Way:
    module, made = import_module("obstore"), import_module("obstore.store").S3Store
    login = {"access_key_id": "k", "secret_access_key": "s", "region": REGION}
    store = made(BUCKET, endpoint=bench.place, client_options={"allow_http": True}, **login)

    def delete(folder: str) -> None:
        for page in store.list(f"{folder}/", chunk_size=PAGE):
            store.delete([entry["path"] for entry in page])

    return Way(
        {
            "get": lambda key: bytes(store.get(key).bytes()),
            "put": store.put,
            "list": lambda folder: sum(map(len, store.list(f"{folder}/", chunk_size=PAGE))),
            "delete": delete,
            "read": lambda key: sum(map(len, store.get(key).stream(min_chunk_size=MIB))),
            "write": lambda key, mib: filled(module.open_writer(store, key), mib),
        }
    )


def pyarrow(bench: Bench) -> Way:
    module = import_module("pyarrow.fs")
    place = {"endpoint_override": bench.place.removeprefix("http://"), "scheme": "http", "region": REGION}
    fs = module.S3FileSystem(access_key="k", secret_key="s", allow_delayed_open=True, **place)

    def at(key: str) -> str:
        return f"{BUCKET}/{key}"

    def get(key: str) -> bytes:
        with fs.open_input_stream(at(key)) as stream:
            data: bytes = stream.read()
            return data

    def put(key: str, data: bytes) -> None:
        with fs.open_output_stream(at(key)) as stream:
            stream.write(data)

    return Way(
        {
            "get": get,
            "put": put,
            "list": lambda folder: len(fs.get_file_info(module.FileSelector(at(folder), recursive=True))),
            "delete": lambda folder: fs.delete_dir_contents(at(folder)),
            "read": lambda key: drained(fs.open_input_stream(at(key))),
            "write": lambda key, mib: filled(fs.open_output_stream(at(key)), mib),
        }
    )


# --- local files: `f` and `d/e/f` are there, `none` and `d/e/none` are not


def of_local(exists: Callable[[str], Any], info: Callable[[str], Any], root: str = "") -> Way:
    verbs: dict[str, Callable[..., Any]] = {}
    for where, folder in (("", root), (", deeper", f"{root}d/e/")):
        verbs[f"exists{where}"] = partial(exists, f"{folder}f")
        verbs[f"missing{where}"] = partial(exists, f"{folder}none")
        verbs[f"info{where}"] = partial(info, f"{folder}f")
    return Way(verbs)


def local_store(bench: Bench) -> Way:
    store = bench.stack.enter_context(Store(LocalBackend(bench.place)))
    for key in ("f", "d/e/f"):
        store.write(key, b"1", overwrite=True)
    return of_local(store.exists, store.get_file_info)


def local_fsspec(bench: Bench) -> Way:
    fs = import_module("fsspec.implementations.local").LocalFileSystem(skip_instance_cache=True)
    return of_local(fs.exists, fs.info, f"{bench.place}/")


def local_calls(bench: Bench) -> Way:
    return of_local(os.path.exists, os.stat, f"{bench.place}/")


S3: dict[str, Start] = {
    "requests": s3_requests,
    "AsyncStore": partial(of_async_store, partial(in_s3, AsyncS3Backend)),
    "Store": partial(of_store, partial(in_s3, S3Backend)),
    "s3fs": s3fs,
    "boto3": boto3,
    "pyarrow": pyarrow,
    "obstore": obstore,
}
GCS: dict[str, Start] = {
    "requests": gcs_requests,
    "AsyncStore": partial(of_async_store, partial(in_gcs, AsyncGCSBackend)),
    "Store": partial(of_store, partial(in_gcs, GCSBackend)),
}
AZURE: dict[str, Start] = {
    "requests": azure_requests,
    "AsyncStore": partial(of_async_store, partial(in_azure, AsyncAzureBackend)),
    "Store": partial(of_store, partial(in_azure, AzureBackend)),
}
LOCAL: dict[str, Start] = {"fsspec": local_fsspec, "Store": local_store, "os": local_calls}
CONTENDERS = {"S3": S3, "GCS": GCS, "Azure": AZURE, "local": LOCAL}
"""By service, and name; `requests` are bare ones, by what the service's SDK or HTTP client offers."""
