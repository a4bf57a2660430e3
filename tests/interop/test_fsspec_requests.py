"""How many requests each call of a filesystem sends to S3."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from servers.s3 import S3Server

from remote_store import AlreadyExists, Store


@pytest.mark.parametrize(
    ("requests", "work"),
    [
        (2, lambda fs: fs.open("f").read()),
        (1, lambda fs: fs.open("f", size=1).read()),
        (1, lambda fs: fs.open("f").info()),
        (2, lambda fs: fs.read_text("f")),
        (1, lambda fs: fs.info("f")),
        (2, lambda fs: fs.info("d")),
        (1, lambda fs: fs.exists("f")),
        (2, lambda fs: fs.exists("none")),
        (1, lambda fs: fs.isfile("f")),
        (1, lambda fs: fs.isdir("d")),
        (0, lambda fs: (fs.info(""), fs.exists(""), fs.isdir(""))),
        (1, lambda fs: fs.ls("d")),
        (1, lambda fs: fs.find("")),
        (1, lambda fs: fs.find("", withdirs=True, detail=True)),
        (1, lambda fs: fs.find("d", maxdepth=2, withdirs=True)),
        (1, lambda fs: fs.glob("d/**/*")),
        (1, lambda fs: fs.glob("*")),
        (1, lambda fs: fs.du("")),
        (1, lambda fs: fs.cat_file("f")),
        (1, lambda fs: fs.cat("f")),
        (1, lambda fs: fs.cat_file("f", 0, 1)),
        (1, lambda fs: fs.head("f")),
        (2, lambda fs: fs.tail("f")),
        (2, lambda fs: fs.cat_file("f", -1)),
        (2, lambda fs: fs.cat_ranges(["f", "d/f", "f"], [0, 0, 0], [1, 1, 1])),
        (1, lambda fs: fs.pipe_file("n", b"1")),
        (1, lambda fs: fs.pipe_file("f", b"1", mode="create")),
        (1, lambda fs: fs.touch("n")),
        (3, lambda fs: fs.open("n", "xb").close()),
        (1, lambda fs: fs.open("n", "wb").close()),
        (1, lambda fs: fs.cp_file("f", "n")),
        (3, lambda fs: fs.mv_file("f", "n")),
        (2, lambda fs: fs.rm_file("f")),
        (2, lambda fs: fs.rm("d", recursive=True)),
        (1, lambda fs: fs.get_file("f", os.devnull)),
    ],
)
def test_requests(requests: int, work: Callable[[Any], Any], s3: Store, moto_server: S3Server) -> None:
    fs = s3.to_fsspec()
    for key in ("f", "d/f", "d/e/f", "d/e/g/f"):
        fs.pipe_file(key, b"1")
    before = len(moto_server.requests)
    with contextlib.suppress(AlreadyExists):
        work(fs)
    sent = moto_server.requests[before:]
    assert len(sent) <= requests, sent


def test_one_level_is_listed_as_such(s3: Store, moto_server: S3Server) -> None:
    fs = s3.to_fsspec()
    fs.pipe_file("d/e/f", b"1")
    for work in (lambda: fs.glob("*"), lambda: fs.ls("d"), lambda: fs.find("d", maxdepth=1, withdirs=True)):
        before = len(moto_server.requests)
        work()
        assert ["delimiter" in request for request in moto_server.requests[before:]] == [True]
