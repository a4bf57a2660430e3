"""A container of an account that nobody has looked at: what it is, its first call finds out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

from azure.core.exceptions import HttpResponseError

from remote_store._capabilities import CapabilitySet
from remote_store.drivers.azure.driver import AzureDriver
from remote_store.drivers.azure.errors import DISABLED, NO_CONTAINER, code_of
from remote_store.drivers.base import Driver, Page, Want
from remote_store.drivers.profiles import Profile

logger = logging.getLogger(__name__)
VERBS = (
    "kind", "info", "has_children", "read_bytes", "read_range", "read_matching", "open_read", "open_part",
    "open_seekable", "put", "open_write", "copy", "move", "sign", "remove", "remove_folder", "check",
)  # fmt: skip


class AzureChoice(Driver):
    """Serves as one of two drivers, once it is known which.

    Args:
        flat: for accounts without hierarchical namespace; also before that is known.
        tree: makes the driver for those that have one.
    """

    runs = "native"
    checks_ascii = True

    def __init__(self, flat: AzureDriver, tree: Callable[[], AzureDriver]) -> None:
        super().__init__(flat.name, flat.root)
        self._flat, self._make_tree, self._chosen = flat, tree, None
        self._asking = asyncio.Lock()
        self.part_size = flat.part_size
        self.reject_write_under_file_ancestor = flat.reject_write_under_file_ancestor

    @property
    def _now(self) -> AzureDriver:
        return self._chosen or self._flat

    @property
    def profile(self) -> Profile:  # type: ignore[override]
        return self._now.profile

    @property
    def capabilities(self) -> CapabilitySet:
        return self._claimed or self._now.capabilities

    @capabilities.setter
    def capabilities(self, claimed: CapabilitySet) -> None:
        self._claimed = claimed

    _claimed: CapabilitySet | None = None
    _chosen: AzureDriver | None

    @property
    def fs(self) -> Any:
        return self._flat.fs

    def native(self, key: str) -> str:
        return self._flat.native(key)

    def key(self, native: str) -> str | None:
        return self._flat.key(native)

    def check_key(self, key: str) -> None:
        self._now.check_key(key)

    def check_open(self, key: str) -> None:
        self._flat.check_open(key)

    def details(self) -> dict[str, Any]:
        return self._flat.details()

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        chosen = await self.choose(key)
        async for page in chosen.list_pages(key, max_depth, want, name_prefix):
            yield page

    async def close(self) -> None:
        self._flat.owned = self.owned
        try:
            if self._chosen is not None:
                await self._chosen.close()  # First: it discards its uploads over connections that both use.
        finally:
            await self._flat.close()

    async def choose(self, key: str = "", *others: str) -> AzureDriver:
        """The driver that fits a call for these keys; where the service does not tell now, the next call asks again."""
        if self._chosen is None:
            async with self._asking:  # The first calls come together.
                if self._chosen is None:
                    has_folders = await self._flat.call(key, self._has_folders)
                    if has_folders is None:
                        return self._flat
                    self._chosen = self._make_tree() if has_folders else self._flat
            for one in (key, *others):
                self._chosen.check_key(one)  # With folders more names are refused.
        return self._chosen

    async def _has_folders(self) -> bool | None:
        """Whether the account has a hierarchical namespace; None where its container is not there."""
        clients = self._flat.wire.clients
        try:
            told = await clients.ask(lambda: clients.container.get_account_information())
            return bool(told.get("is_hns_enabled"))
        except HttpResponseError as error:
            if error.status_code not in (401, 403, 404) or code_of(error) == DISABLED:
                raise
        # Who may not ask about the account may ask about its root, as Arrow and Hadoop do.
        try:
            root = clients.tree.get_directory_client("/")
            await clients.ask(lambda: root.get_access_control(upn=False))
        except HttpResponseError as error:
            if code_of(error) in NO_CONTAINER:
                return None
            if error.status_code in (401, 403):
                logger.warning("Azure does not tell whether the account has a hierarchical namespace; pass hns=")
            elif error.status_code not in (400, 404, 409):
                raise
            return False
        return True


def _chosen(name: str) -> Any:
    async def verb(self: AzureChoice, *args: Any, **options: Any) -> Any:
        keys = args[: 2 if name in ("copy", "move") else 1]
        chosen = await self.choose(*keys)
        return await getattr(chosen, name)(*args, **options)

    return verb


for _name in VERBS:
    setattr(AzureChoice, _name, _chosen(_name))
