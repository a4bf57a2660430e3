"""Stores on Azure storage in other processes and on other loops: pickled, forked, and at the end of a program."""

from __future__ import annotations

import asyncio
import json
import os
import pickle

import pytest
from helpers.azure import azure_view
from helpers.lives import read_unpickled, refuses_another_loop, survives_a_fork
from helpers.processes import in_new_process, run_script
from servers.azure import CONTAINER, HNS, AzureServer

from remote_store import RemoteStoreError, Store
from remote_store.aio import AsyncAzureBackend, AsyncStore
from remote_store.backends import AzureBackend

FORKS = hasattr(os, "fork")


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_stores_travel_in_pickles(azure_server: AzureServer, container: str, mode: str) -> None:
    async with azure_view(mode, azure_server, azure_server.fresh_prefix(), container, hns=None) as view:
        await view.write("key", b"content")
        data = pickle.dumps(view.store)
        assert await asyncio.to_thread(in_new_process, read_unpickled, data) == b"content"


async def test_errors_travel_in_pickles(azure_server: AzureServer) -> None:
    async with azure_view("async", azure_server, "p") as view:
        with pytest.raises(RemoteStoreError) as caught:
            await view.read_bytes("gone")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.skipif(not FORKS, reason="forks need a POSIX system")
@pytest.mark.parametrize("hns", [None, True, False])
def test_a_store_made_before_a_fork_works_in_the_child(azure_server: AzureServer, hns: bool | None) -> None:
    where = HNS if hns else CONTAINER
    with Store(AzureBackend(where, azure_server.fresh_prefix(), **azure_server.options, hns=hns)) as store:
        survives_a_fork(store)


async def test_an_asynchronous_store_of_another_loop_is_refused(azure_server: AzureServer) -> None:
    store = AsyncStore(AsyncAzureBackend(CONTAINER, "p", **azure_server.options))
    await store.exists("key")
    await refuses_another_loop(store)


BEGIN = """
import asyncio, json, os, sys
from remote_store import Store
from remote_store.aio import AsyncAzureBackend, AsyncStore
from remote_store.backends import AzureBackend

container, options = json.loads(sys.argv[1])
store = Store(AzureBackend(container, "ends", **options))
"""
ENDS = {
    "idle": "store.write('key', b'1', overwrite=True)",
    "closed": "store.write('key', b'1', overwrite=True); store.close()",
    "unused": "",
    "listing": "store.write('key', b'1', overwrite=True); files = store.list_files(''); next(files)",
    "reading": "store.write('key', bytes(1 << 20), overwrite=True); file = store.read('key'); file.read(10)",
    "collected": "store.write('key', b'1', overwrite=True); del store; import gc; gc.collect()",
    "a child": (
        "store.write('key', b'1', overwrite=True)\nif (child := os.fork()) == 0: sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0"
    ),
    "a child that works": (
        "store.write('key', b'1', overwrite=True)\n"
        "if (child := os.fork()) == 0: assert store.read_bytes('key') == b'1'; sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0"
    ),
    "async": (
        "async def main():\n    async with AsyncStore(AsyncAzureBackend(container, 'ends', **options)) as store:\n"
        "        await store.write('key', b'1', overwrite=True)\nasyncio.run(main())"
    ),
}


OFTEN = ("idle", "a child")
THESE = [name for name in ENDS if FORKS or "child" not in name]


@pytest.mark.parametrize("end", [pytest.param(end, marks=[pytest.mark.full] * (end not in OFTEN)) for end in THESE])
def test_a_program_ends_without_a_word(azure_server: AzureServer, end: str) -> None:
    arguments = json.dumps((CONTAINER, azure_server.options))
    assert run_script(BEGIN + ENDS[end], arguments) == ("", "")
