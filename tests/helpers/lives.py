"""What every store must stand: a pickle that another process reads, a fork, and another event loop."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from helpers.processes import Fork
from remote_store import Store
from remote_store.aio import AsyncStore


def read_unpickled(data: bytes) -> bytes:
    """What the file `key` of a pickled store holds."""
    store = pickle.loads(data)
    if isinstance(store, Store):
        with store:
            return store.read_bytes("key")

    async def read() -> bytes:
        async with store:
            content: bytes = await store.read_bytes("key")
            return content

    return asyncio.run(read())


def survives_a_fork(store: Store) -> None:
    """Write before a fork and in the child, which closes its store, and read on in the parent."""
    store.write("parent", b"1")

    def work() -> bytes:
        store.write("child", b"2")
        with store:
            return store.read_bytes("parent")

    with Fork(work) as child:
        assert child.result() == b"1"
    assert store.read_bytes("child") == b"2"


async def refuses_another_loop(store: AsyncStore) -> None:
    """Ask a store that was used on this loop from another one, and close it."""
    with pytest.raises(RuntimeError, match="event loop"):
        await asyncio.to_thread(asyncio.run, store.exists("key"))
    await store.aclose()
