"""The end of a store on S3: no upload in parts stays."""

from __future__ import annotations

import pytest
from helpers.s3 import PART, keys, uploads
from servers.s3 import S3Server, view_of

from remote_store import BackendUnavailable
from remote_store.certify.view import View


async def test_closing_aborts_uploads_of_open_writers(moto_server: S3Server) -> None:
    prefix = moto_server.fresh_prefix()

    async def write(view: View) -> None:
        async with view.store.open_atomic("new") as file:
            await file.write(bytes(PART + 1))
            assert uploads(moto_server, prefix) == [f"{prefix}/new"]
            await view.store.aclose()
            assert uploads(moto_server, prefix) == []

    async with view_of("async", moto_server, prefix, part_size=PART) as view:
        with pytest.raises(BackendUnavailable, match="is closed"):
            await write(view)
    assert keys(moto_server, prefix) == []
