"""Settings of SFTP that are wrong, and who is told the secret ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from servers.sftp import LOGIN, PASSWORD, SFTPServer, serve

from remote_store import BackendUnavailable, Store
from remote_store.backends import SFTPBackend
from remote_store.drivers.sftp.options import SFTPOptions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SFTPServer]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "data").mkdir()
    with serve(str(folder)) as server:
        yield server


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 99_999}, "port must be at most 65535"),
        ({"username": "a\nb"}, "username"),
        ({"jump": "a:b"}, "jump"),
        ({"jump": "a:99999"}, "jump"),
        ({"jump": "a:0"}, "jump"),
        ({"jump": "a,,b"}, "jump"),
        ({"jump": "@a"}, "jump"),
        ({"jump": "me:s3cret@a"}, "jump"),
        ({"connect_options": {"password": "s3cret"}}, "option password"),
        ({"connect_options": {"known_hosts": None}}, "option known_hosts"),
        ({"connect_options": {"config": []}}, "option ssh_config"),
        ({"connect_options": {"tunnel": "a"}}, "option jump"),
    ],
)
def test_wrong_options_are_told_before_anything_is_sent(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        SFTPBackend("h", **options).name  # noqa: B018
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["a..b", "a\nb", " a"])
def test_what_is_no_name_of_a_host_is_told_before_anything_is_sent(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        SFTPBackend(host).name  # noqa: B018


def test_hosts_to_go_through_are_written_as_ssh_takes_them() -> None:
    told = SFTPOptions("h", jump="me@a:2222, b,u@[::1]:22,::1,[::2]")
    assert [*map(tuple, told.hops)] == [
        ("me", "a", 2222),
        ("", "b", None),
        ("u", "::1", 22),
        ("", "::1", None),
        ("", "::2", None),
    ]


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("known_hosts", b"garbage\n"),
        ("known_hosts", b"# caf\xe9\n"),
        ("ssh_config", b"Host *\n  Port abc\n"),
        ("ssh_config", b'Host *\n  IdentityFile "unclosed\n'),
        ("ssh_config", b"# caf\xe9\n"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_named(
    server: SFTPServer, tmp_path: Path, option: str, content: bytes
) -> None:
    (tmp_path / "wrong").write_bytes(content)
    store = Store(SFTPBackend("127.0.0.1", "/data", port=server.port, **{**LOGIN, option: str(tmp_path / "wrong")}))
    with pytest.raises(BackendUnavailable, match=str(tmp_path / "wrong")):
        store.exists("f")


@pytest.mark.parametrize("further", [{"bogus": "s3cret"}, {"encryption_algs": ["nosuch"]}])
def test_what_asyncssh_does_not_take_is_told(server: SFTPServer, further: dict[str, Any]) -> None:
    store = Store(SFTPBackend("127.0.0.1", "/data", port=server.port, **LOGIN, connect_options=further))
    with pytest.raises(BackendUnavailable, match=r"refuses a setting.*(bogus|nosuch)") as caught:
        store.exists("f")
    assert "s3cret" not in str(caught.value)


def test_hosts_to_go_through_get_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncssh

    asked: list[dict[str, Any]] = []

    async def connect(host: str, **arguments: Any) -> None:
        asked.append({"host": host, **arguments})
        raise OSError("nobody is there")

    monkeypatch.setattr(asyncssh, "connect", connect)
    further = {"gss_store": "s3cret", "pkcs11_pin": "s3cret", "client_certs": ["s3cret"], "kex_algs": "x"}
    store = Store(SFTPBackend("inner", "/", **LOGIN, jump="me@gate", connect_options=further))
    with pytest.raises(BackendUnavailable):
        store.exists("f")
    assert asked[0]["host"] == "gate"
    assert asked[0]["username"] == "me"
    assert asked[0]["kex_algs"] == "x"
    assert not ({"password", *further} - {"kex_algs"}) & asked[0].keys()
    assert "s3cret" not in str(asked[0])
    assert PASSWORD not in str(asked[0])
