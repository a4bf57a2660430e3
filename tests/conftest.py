"""Fixtures: servers on loopback, and folders that clean up."""

from __future__ import annotations

import functools
import gc
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from servers.azure import AzureServer
    from servers.files import FileServer
    from servers.gcs import GcsServer
    from servers.s3 import S3Server
    from servers.samba import SMBServer
    from servers.sshd import SFTPPlace
    from servers.webdav import DavServer


# Before gcsfs is imported: it would ask by gRPC what kind of bucket each one is, for up to a minute.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

PROFILE = {
    "derandomize": True,
    "database": None,
    "deadline": None,  # Not of a machine that is busy with something else.
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
    "phases": (hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink),
}
hypothesis.settings.register_profile("quick", max_examples=50, **PROFILE)
hypothesis.settings.register_profile("full", max_examples=150, **PROFILE)
hypothesis.settings.load_profile("quick")

MOTO = pytest.StashKey["S3Server"]()
GCS = pytest.StashKey["GcsServer"]()
AZURE = pytest.StashKey["AzureServer"]()


def pytest_configure() -> None:
    """Let tests interrupt the processes they start: those of a shell's background ignore it, and so do theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All cores and one, because some tests wait; this process alone for a choice of tests, unless told otherwise."""
    told = any(argument.startswith(("-n", "--numprocesses")) for argument in config.invocation_params.args)
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    return 0 if chosen and not told else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is left to a full run, and to soak."""
    from helpers.full import is_for_soak, is_left, unused

    for item in items:
        if is_left(item.nodeid):
            item.add_marker(pytest.mark.full)
        if is_for_soak(item.nodeid):
            item.add_marker(pytest.mark.soak)
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and (stale := unused([one.nodeid for one in items])):
        raise pytest.UsageError(f"tests/helpers/full.py names tests that there are not: {stale}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what soak tests counted, those that failed too."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    if told := [figures for report in reports for name, figures in report.user_properties if name == "figures"]:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in told))


@pytest.fixture(scope="session", autouse=True)
def one_description_of_s3() -> Iterator[None]:
    """Hundreds of clients share what each would read for itself, in 85 ms: what S3 is, and whom TLS trusts."""
    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError):
            import botocore.session
            from aiobotocore.httpsession import AIOHTTPSession

            patch.setattr("botocore.session.create_loader", functools.cache(botocore.session.create_loader))
            build = getattr(AIOHTTPSession, "_build_verify_context", None)
            if build:  # Other versions have it by another name.
                trusting = functools.cache(lambda verify: build(AIOHTTPSession(verify=verify)))
                patch.setattr(AIOHTTPSession, "_build_verify_context", lambda session: trusting(session._verify))
        yield


@pytest.fixture(scope="session", autouse=True)
def brief_waits() -> Iterator[None]:
    """Between its tries the SDK waits a tenth as long as it would; how often it tries stays the same."""
    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError):
            from botocore.retries.standard import ExponentialBackoff

            delay = ExponentialBackoff.delay_amount
            patch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: delay(self, context) / 10)
        yield


@pytest.fixture(scope="module", autouse=True)
def young_garbage() -> None:
    """Tests that look for leaks collect garbage; let them look at their own, not at all that was ever imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def few_keys(pytestconfig: pytest.Config) -> None:
    """No module pays for what others have left on moto, or in the doubles of Google Cloud Storage and Azure."""
    if server := pytestconfig.stash.get(MOTO, None):
        from servers.s3 import empty

        empty(server)
    if double := pytestconfig.stash.get(GCS, None):
        double.empty()
    if azure := pytestconfig.stash.get(AZURE, None):
        azure.empty()


@pytest.fixture(scope="session")
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    from servers.ftp import serve

    logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
    with serve(str(tmp_path_factory.mktemp("ftp"))) as address:
        yield address


@pytest.fixture(scope="session")
def dav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    for package in ("cheroot", "webdav4", "wsgidav"):
        pytest.importorskip(package)
    from servers.webdav import wsgidav

    with wsgidav(tmp_path_factory.mktemp("dav")) as server:
        yield server


@pytest.fixture(scope="session")
def smb_server() -> Iterator[SMBServer]:
    pytest.importorskip("smbprotocol")
    from servers.samba import samba

    with starting("Samba"), samba() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(pytestconfig: pytest.Config) -> Iterator[S3Server]:
    from servers.s3 import moto

    with moto() as server:
        pytestconfig.stash[MOTO] = server
        yield server
        del pytestconfig.stash[MOTO]


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[S3Server]:
    from servers.s3 import ministack

    with starting("ministack"), ministack() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    from servers.seaweedfs import seaweedfs

    with starting("SeaweedFS"), seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(pytestconfig: pytest.Config) -> Iterator[GcsServer]:
    from servers.gcs import gcs

    with gcs() as server:
        pytestconfig.stash[GCS] = server
        yield server
        del pytestconfig.stash[GCS]


@pytest.fixture(scope="session")
def fake_gcs_server() -> Iterator[GcsServer]:
    from servers.fake_gcs import fake_gcs

    with starting("fake-gcs-server"), fake_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(pytestconfig: pytest.Config) -> Iterator[AzureServer]:
    from servers.azure import azure

    with azure() as server:
        pytestconfig.stash[AZURE] = server
        yield server
        del pytestconfig.stash[AZURE]


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[AzureServer]:
    from servers.azurite import azurite

    with starting("azurite"), azurite() as server:
        yield server


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    from servers.files import file_server

    with file_server(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="session")
def plain_web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Python's own server."""
    from servers.files import FileServer, plain_server

    root = tmp_path_factory.mktemp("plain-web")
    with plain_server(root) as url:
        yield FileServer(url, root=root)


@contextmanager
def starting(name: str) -> Iterator[None]:
    """A server that cannot be started is a visible skip on a laptop and a failure in CI."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{name} cannot be started: {error}")


@pytest.fixture(scope="session")
def rclone_server() -> Iterator[dict[str, Any]]:
    from servers.rclone import rclone

    with starting("rclone"), rclone() as options:
        yield options


@pytest.fixture(scope="session")
def openssh_server() -> Iterator[SFTPPlace]:
    pytest.importorskip("asyncssh")
    from servers.sshd import openssh

    with starting("OpenSSH"), openssh() as place:
        yield place


@pytest.fixture
def key_in_agent(openssh_server: SFTPPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The socket of a running SSH agent that has the key of the user of OpenSSH's server."""
    import asyncssh
    from servers.agent import agent_with

    key = asyncssh.read_private_key(openssh_server.login["client_keys"][0])
    with starting("ssh-agent"), agent_with(key, tmp_path) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        yield socket


@pytest.fixture(scope="session")
def asyncssh_server() -> Iterator[SFTPPlace]:
    pytest.importorskip("asyncssh")
    from servers.sftp import asyncssh_place

    with asyncssh_place() as place:
        yield place


@pytest.fixture(scope="session")
def rclone_sftp_server() -> Iterator[SFTPPlace]:
    from servers.rclone import rclone_sftp

    with starting("rclone"), rclone_sftp() as place:
        yield place
