"""Placeholders in configurations, and secrets that no text shows."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from helpers.configs import SECRET, refused, shown
from pydantic import SecretStr

from remote_store.config import Config, ConfigError, Registry

# --- placeholders


def test_placeholders_are_filled_when_a_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = {
        "whole": {"url": "${PLACE}", "root": "${SUB}"},
        "part": {"url": "file://${PLACE}/${SUB}"},
        "backend": {"backend": "${KIND}", "options": {"root": "${PLACE}", "durable": "${YES}"}},
        "escaped": {"url": "file://${PLACE}/$${SUB}"},
        "unset": {"url": "${PLACE}", "root": "${NO_SUCH}/${NOR_THIS}", "options": {"create": "${NEITHER}"}},
    }
    registry = Registry({"stores": stores})
    for name, value in {"PLACE": str(tmp_path / "p"), "SUB": "s", "KIND": "local", "YES": "true"}.items():
        monkeypatch.setenv(name, value)
    for name in ("whole", "part", "backend", "escaped"):
        registry.get_store(name).write(f"{name}.txt", b"1")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")}
    assert found == {"p/s/whole.txt", "p/s/part.txt", "p/backend.txt", "p/${SUB}/escaped.txt"}
    with pytest.raises(ConfigError) as caught:
        registry.get_store("unset")
    assert str(caught.value).splitlines() == [
        "stores.unset.options.create: the environment variable NEITHER is not set",
        "stores.unset.root: the environment variable NO_SUCH is not set",
        "stores.unset.root: the environment variable NOR_THIS is not set",
    ]
    for name in ("NO_SUCH", "NOR_THIS"):
        monkeypatch.setenv(name, name)
    monkeypatch.setenv("NEITHER", "no")
    registry.get_store("unset")


def test_what_fills_a_placeholder_is_checked_and_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores: dict[str, dict[str, Any]] = {
        "url": {"url": "${V}"},
        "backend": {"backend": "${V}"},
        "root": {"url": str(tmp_path), "root": "${V}"},
        "timeout": {"url": "s3://b", "timeout": "${V}"},
        "retries": {"url": "s3://b", "retries": "${V}0"},
        "reject": {"url": "s3://b", "reject_write_under_file_ancestor": "${V}"},
        "create": {"url": str(tmp_path), "options": {"create": "${V}"}},
        "key": {"url": "s3://b", "options": {"key": "${V}", "secret": "x"}},
    }
    registry = Registry({"stores": stores})
    wrong = {"url": f"s3://me:{SECRET}@b", "backend": "locl", "root": "../x", "timeout": "${X}", "retries": "x"} | {
        "reject": SECRET,
        "create": SECRET,
        "key": "",
    }
    where = {"create": "options.create", "key": "options.key", "reject": "reject_write_under_file_ancestor"}
    for name, value in wrong.items():
        monkeypatch.setenv("V", value)
        with pytest.raises(ConfigError, match=rf"^stores.{name}.{where.get(name, name)}: ") as caught:
            registry.get_store(name)
        assert SECRET not in shown(caught.value)
        assert len(caught.value.problems) == 1
    monkeypatch.setenv("V", "lit${eral}")
    registry.get_store("root").write("f", b"1")
    assert (tmp_path / "lit${eral}" / "f").exists()


def test_one_missing_variable_does_not_break_other_stores(tmp_path: Path) -> None:
    with Registry({"stores": {"a": {"url": "${NO_SUCH}"}, "b": {"url": str(tmp_path)}}}) as registry:
        assert registry.names == ("a", "b")
        registry.get_store("b").write("f", b"1")


# --- secrets


SECRET_NAMES = [
    "account_key",
    "connection_string",
    "credential",
    "sas_token",
    "client_secret",
    "password",
    "api_key",
    "sse_customer_key",
    "privateKey",
    "passphrase",
]
EVERY_SECRET: dict[str, dict[str, Any]] = {
    "s3": {
        "url": "s3://b/x",
        "options": {
            "key": f"{SECRET}-key",
            "secret": SecretStr(f"{SECRET}-secret"),
            "token": f"{SECRET}-token",
            "endpoint_url": f"http://me:{SECRET}@127.0.0.1:1/?sig={SECRET}",
            "client_kwargs": {"aws_session_token": SECRET, "nested": [{"Authorization": SECRET}]},
            "config_kwargs": {"proxies": {"http": f"http://{SECRET}:x@proxy"}},
        },
    },
    "ftp": {"url": f"ftp://me:{SECRET} /:@{SECRET}@host/a", "options": {"password": SECRET, "acct": "x"}},
    "chain": {"url": f"simplecache::ftp://me:{SECRET}@host/a", "options": {"ftp": {"password": SECRET}}},
    "azure": {
        "url": "abfs://c",
        "storage_options": dict.fromkeys(SECRET_NAMES, SECRET)
        | {"token": {"client": SECRET, "number": 5}, "password2": 12345678987654321, "anon": False},
    },
}


def test_no_text_has_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = Config.load({"stores": EVERY_SECRET})
    registry = Registry(config)
    store = registry.get_store("s3")
    child = store.child("c")
    plan = child.resolve("k")
    told: list[Any] = [config, registry, store, child, store._backend, plan, plan.details, *config.stores.values()]
    texts = [f"{thing} {thing!r}" for thing in told]
    texts += [config.model_dump_json(), json.dumps(config.model_dump(mode="json")), str(config.model_dump())]
    texts += [json.dumps(Config.json_schema()), caplog.text]
    texts += [str(pickle.dumps(store)), str(pickle.dumps(child))]
    for fields in EVERY_SECRET.values():
        texts.append(
            shown(refused({"a": {**fields, "timeout": SECRET, "retries": SECRET, "backend": 5, SECRET[:0]: 1}}))
        )
        texts.append(shown(refused({"a": {**fields, "options": [SECRET]}})))
    for text in texts:
        assert SECRET not in text
        assert "12345678987654321" not in text
    masked = json.loads(config.model_dump_json())["stores"]
    assert masked["s3"]["options"]["endpoint_url"] == "http://127.0.0.1:1/?sig=..."
    assert masked["azure"]["storage_options"]["anon"] is False
    assert masked["ftp"]["url"] == "ftp://host/a"
    assert config.stores["s3"].options["secret"].get_secret_value() == f"{SECRET}-secret"
    assert isinstance(config.stores["s3"].options["key"], SecretStr)
    registry.close()


def test_pydantic_itself_prints_no_input() -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"stores": {"a": {"url": "s3://b", "timeout": SECRET}}})
    assert SECRET not in shown(caught.value)


def test_objects_in_options_are_passed_on_and_not_printed(tmp_path: Path) -> None:
    class Session:
        def __repr__(self) -> str:
            return SECRET

    session = Session()
    config = Config(
        stores={"a": {"url": "s3://b", "options": {"session": session, "client_kwargs": {"path": tmp_path}}}}
    )
    assert config.stores["a"].options["session"] is session
    printed = json.loads(config.model_dump_json())["stores"]["a"]["options"]
    assert printed == {"session": "<Session>", "client_kwargs": {"path": str(tmp_path)}}
