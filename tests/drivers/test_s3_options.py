"""What S3Backend takes, and what comes of it."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import web
from servers.ports import free_port
from servers.s3 import BUCKET, KEY, SECRET, S3Server, refusal

from remote_store import BackendUnavailable, Store, __version__
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, S3Backend
from remote_store.drivers.s3.options import S3Options

LOGIN = {"key": KEY, "secret": SECRET, "region_name": "us-east-1"}


def by_class(**options: Any) -> Store:
    return Store(S3Backend(BUCKET, **options))


def by_url(**options: Any) -> Store:
    return Store.from_url(f"s3://{BUCKET}", **options)


def by_config(**options: Any) -> Store:
    config = pytest.importorskip("remote_store.config")
    policies = {name: options.pop(name) for name in ("retries", "ca_bundle", "proxy", "timeout") if name in options}
    fields = {"url": f"s3://{BUCKET}", "options": options, **policies}
    store: Store = config.Registry({"stores": {"a": fields}}).get_store("a")
    return store


WAYS = pytest.mark.parametrize("way", [by_class, by_url, by_config])
Way = Callable[..., Store]


def unreachable(store: Store) -> str:
    with store, pytest.raises(BackendUnavailable) as caught:
        store.read_bytes("key")
    return caught.value.message


# --- retries


def tries(server: S3Server, store: Store) -> int:
    """How often a request is made that the server never answers well."""
    before = len(server.requests)
    with server.hooked(lambda environ, _: refusal("503 Slow Down", "SlowDown")):
        unreachable(store)
    return len(server.requests) - before


@WAYS
@pytest.mark.parametrize("retries", [0, 1])
def test_a_failed_request_is_tried_again_so_often(moto_server: S3Server, way: Way, retries: int) -> None:
    assert tries(moto_server, way(**moto_server.options, retries=retries)) == 1 + retries


async def test_the_asynchronous_twin_retries_so_often(moto_server: S3Server) -> None:
    before = len(moto_server.requests)
    with moto_server.hooked(lambda environ, _: refusal("503 Slow Down", "SlowDown")):
        async with AsyncStore(AsyncS3Backend(BUCKET, **moto_server.options, retries=1)) as store:
            with pytest.raises(BackendUnavailable):
                await store.read_bytes("key")
    assert len(moto_server.requests) - before == 2


def test_the_option_is_stronger_than_the_table_of_the_sdk(moto_server: S3Server) -> None:
    config = {"retries": {"mode": "standard", "total_max_attempts": 1}}
    assert tries(moto_server, by_class(**moto_server.options, config_kwargs=config)) == 1
    assert tries(moto_server, by_class(**moto_server.options, config_kwargs=config, retries=1)) == 2


@pytest.mark.parametrize("retries", [-1, 1.5, True, {"mode": "standard"}])
def test_only_a_number_of_retries_is_taken(retries: Any) -> None:
    with pytest.raises(ValueError, match=r"retries must be a whole number.*config_kwargs=\{'retries': …\}"):
        by_class(retries=retries)


# --- certificates


@WAYS
def test_certificates_of_a_bundle_are_trusted(tmp_path: Path, way: Way) -> None:
    bundle = web.self_signed(tmp_path)
    with web.serve(bundle) as server:
        options = {**LOGIN, "endpoint_url": f"https://127.0.0.1:{server.port}", "retries": 0}
        assert "TLS failed" in unreachable(way(**options))
        assert server.asked == []
        assert "it answered 503" in unreachable(way(**options, ca_bundle=str(bundle)))
        assert len(server.asked) == 1


def test_a_bundle_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ca_bundle '/no/such.pem' cannot be used: No such file or directory"):
        by_class(ca_bundle="/no/such.pem")
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(ValueError, match=r"empty.pem' cannot be used: it has no certificates in PEM"):
        by_url(ca_bundle=empty)
    config = pytest.importorskip("remote_store.config")
    with pytest.raises(config.ConfigError, match=r"stores.a: refused by 's3': ca_bundle '/no/such.pem'"):
        by_config(ca_bundle="/no/such.pem")


def test_a_bundle_of_a_configuration_is_found_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("remote_store.config")
    web.self_signed(tmp_path)
    (tmp_path / "stores.toml").write_text('[stores.a]\nurl = "s3://b"\nca_bundle = "cert.pem"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with config.Registry(tmp_path / "stores.toml") as registry:
        registry.get_store("a")


# --- proxies


@WAYS
def test_requests_go_through_a_proxy(way: Way) -> None:
    with web.serve() as proxy:
        url = f"http://me:pa55word@127.0.0.1:{proxy.port}"
        store = way(**LOGIN, endpoint_url="http://storage.example.com", retries=0, proxy=url)
        message = unreachable(store)
    ((line, headers),) = proxy.asked
    assert line.startswith("GET http://storage.example.com/")
    assert headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:pa55word").decode()
    assert "pa55word" not in message + repr(store) + repr(store._backend)


@WAYS
def test_a_proxy_that_refuses_is_named(way: Way) -> None:
    port = free_port()
    proxy = f"http://me:pa55word@127.0.0.1:{port}"
    message = unreachable(way(**LOGIN, endpoint_url="http://storage.example.com", retries=0, proxy=proxy))
    assert f"the proxy 127.0.0.1:{port} failed" in message


@WAYS
def test_what_is_no_url_of_a_proxy_is_told_without_its_password(way: Way) -> None:
    for proxy in ("socks5://me:pa55word@127.0.0.1:1", "me:pa55word@127.0.0.1:1", "//me:pa55word@127.0.0.1"):
        with pytest.raises(ValueError, match="proxy must begin with http:// or https://") as caught:
            way(proxy=proxy)
        assert "pa55word" not in str(caught.value)


def test_no_text_of_a_configuration_shows_the_login_of_a_proxy() -> None:
    config = pytest.importorskip("remote_store.config")
    stores = {name: {"url": "s3://b", "proxy": f"http://{login}127.0.0.1:1"} for name, login in LOGINS.items()}
    made = config.Config(stores=stores)
    for text in (repr(made), str(made.model_dump()), made.model_dump_json()):
        assert "pa55word" not in text
        assert "http://127.0.0.1:1" in text
    assert config.Config.load(made.model_dump()) == made
    with pytest.raises(config.ConfigError, match=r"^stores.a.proxy: backend 'local' has no way to honour it") as caught:
        config.Config(stores={"a": {"url": "x", "proxy": "http://me:pa55word@127.0.0.1:1"}})
    assert "pa55word" not in str(caught.value)


LOGINS = {"with": "me:pa55word@", "without": ""}


# --- time


@pytest.mark.parametrize(("timeout", "patience"), [(1, 60), (300, 300)])
def test_the_sdk_is_as_patient_as_a_call_may_take(timeout: float, patience: float) -> None:
    fs: Any = by_class(timeout=timeout).unwrap(object)
    assert fs.config_kwargs["read_timeout"] == patience


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timeout", [0, -1, float("nan"), "60"]),
        ("max_concurrency", [0, -1, 1.5, "4", None]),
        ("part_size", [5e6 * 2, "8", None]),
        ("proxy", [5]),
        ("endpoint_url", [5, ""]),
    ],
)
def test_a_value_of_no_use_is_told_at_once(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{name} must b"):
            by_class(**{name: value})
    with pytest.raises(ValueError, match="needs a bucket"):
        S3Backend(5)  # type: ignore[arg-type]


# --- one source of options


def test_options_do_not_show_their_values() -> None:
    made = S3Options("b", secret="s3cret", proxy="http://me:pa55word@h", client_kwargs={"verify": "s3cret"})
    assert repr(made) == str(made) == "S3Options(…)"


def test_what_a_user_forgets_or_misspells_is_told() -> None:
    with pytest.raises(TypeError, match=r"^S3 needs bucket$"):
        S3Backend()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="too many positional arguments"):
        S3Backend("a", "b", "c")  # type: ignore[call-arg, arg-type]
    with pytest.raises(ValueError, match=r"unknown option 'durabel' for a local folder; did you mean 'durable'\?"):
        LocalBackend("x", durabel=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="the URL tells the option 'bucket' already"):
        by_url(bucket="other")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("timeout", "20", "timeout must be a number of seconds above 0, not '20'"),
        ("timeout", 0, "timeout must be a number of seconds above 0, not 0"),
        ("part_size", "8MB", "part_size must be at least 5 MiB .*number of bytes"),
        ("max_concurrency", 0, "max_concurrency must be a whole number, at least 1, not 0"),
        ("proxy", {"https": "http://a"}, "proxy must begin with http:// or https://"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_at_once(option: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        S3Backend("b", **{option: value})  # type: ignore[arg-type]


# --- the SDK's session


def agents(server: S3Server, store: Store) -> set[str]:
    seen: set[str] = set()
    with server.hooked(lambda environ, _: seen.add(environ["HTTP_USER_AGENT"])), store:
        store.write("key", b"1")
        assert [str(entry.path) for entry in store.list_files()] == ["key"]
    return seen


def test_requests_say_which_library_asks(moto_server: S3Server) -> None:
    (agent,) = agents(moto_server, Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)))
    assert "aiobotocore/" in agent
    assert f" remote-store/{__version__}" in agent


@pytest.mark.parametrize("config", [{"user_agent": "mine/1"}, {"user_agent_appid": "mine"}])
def test_a_user_agent_of_ones_own_is_kept(moto_server: S3Server, config: dict[str, Any]) -> None:
    options = {**moto_server.options, "config_kwargs": config}
    seen = agents(moto_server, Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **options)))
    assert all("mine" in agent and "remote-store" not in agent for agent in seen)


def test_an_application_named_in_the_environment_is_told(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "theirs")
    seen = agents(moto_server, Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)))
    assert all("app/theirs" in agent for agent in seen)


@pytest.mark.parametrize(
    "told", ["2026-11-27T10:00:00.000Z", "Fri, 27 Nov 2026 10:00:00 GMT", "2026-11-27T12:00:00+02:00"]
)
def test_times_are_read_without_what_is_slow(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiobotocore")
    from remote_store.drivers.s3 import session

    monkeypatch.setattr(session, "parse_timestamp", lambda _: pytest.fail("read by the SDK"))
    assert session.moment(told) == dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("told", ["2026-11-27T10:00:00", "20261127T100000", 1795773600, "1795773600.5", "27 Nov 2026"])
def test_other_times_are_read_by_the_sdk(told: Any) -> None:
    pytest.importorskip("aiobotocore")
    from remote_store.drivers.s3 import session

    assert session.moment(told) == session.parse_timestamp(told)


def test_what_is_no_time_is_told_so() -> None:
    pytest.importorskip("aiobotocore")
    from remote_store.drivers.s3 import session

    with pytest.raises(ValueError, match="yesterday"):
        session.moment("yesterday")
