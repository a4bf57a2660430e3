"""Configurations: what is checked before any store is made, placeholders, and secrets that no text shows."""

from __future__ import annotations

import json
import pickle
import re
import tomllib
import traceback
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import run_script

pytest.importorskip("pydantic")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import SecretStr, ValidationError

from remote_store import RemoteStoreError
from remote_store.config import Config, ConfigError, Registry, StoreConfig
from remote_store.drivers.s3.options import S3Options

SECRET = "dIsTiNcT"
"""A text that must not show."""


def refused(stores: Any, **more: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Registry({"stores": stores, **more})
    return caught.value


def shown(error: BaseException) -> str:
    return "".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error)])


# --- sources


TOML = """
[stores.raw]
url = "s3://lake/raw"
root = "2026"
timeout = 20
retries = 5
reject_write_under_file_ancestor = true
options = { region_name = "eu-central-1", client_kwargs = { verify = false } }

[stores.cache]
backend = "local"
[stores.cache.options]
root = "cache"
durable = true
"""


def test_a_file_a_dict_and_code_give_equal_configurations(tmp_path: Path) -> None:
    file = tmp_path / "stores.toml"
    file.write_text(TOML)
    tables = tomllib.loads(TOML)
    raw, cache = (StoreConfig(**tables["stores"][name]) for name in ("raw", "cache"))
    from_file = Config.load(file)
    assert from_file.stores == Config.load(tables).stores == Config(stores={"raw": raw, "cache": cache}).stores
    assert Config.load(from_file) is from_file
    assert (raw.timeout, raw.retries, raw.root) == (20, 5, "2026")


def test_relative_folders_of_a_file_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, elsewhere = tmp_path / "etc" / "s.toml", tmp_path / "elsewhere"
    file.parent.mkdir()
    elsewhere.mkdir()
    file.write_text(TOML + '[stores.plain]\nurl = "plain"\n[stores.up]\nurl = "file://../up"\n')
    monkeypatch.chdir(elsewhere)
    with Registry(file) as registry:
        for name in ("cache", "plain", "up"):
            registry.get_store(name).write("f", b"1")
    assert all((tmp_path / place / "f").exists() for place in ("etc/cache", "etc/plain", "up"))
    assert list(elsewhere.iterdir()) == []
    with Registry({"stores": {"here": {"url": "data"}}}) as registry:
        registry.get_store("here").write("f", b"1")
    assert (elsewhere / "data" / "f").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"[stores.a]\noptions.secret = dIsTiNcT\n", r"cannot be read: Invalid value \(at line 2, column 18\)"),
        (b'[stores.a]\nurl = "\xff"\n', "cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (b"[stores.a]\nroot = 'x'\n", "stores.a.url: missing"),
        (b"x = " + b"[" * 10_000 + b"]" * 10_000, "cannot be read: too many tables and lists within one another"),
        (
            b"[stores.a]\nurl = 'x'\noptions.a" + b".a" * 10_000 + b" = 1\n",
            "stores.a.options: more than 50 tables and lists within one another",
        ),
        (b'[stores]\n["a\\u001B[2J"]\n"b\\u009B1" = 1\n', r"a\\x1b\[2J: unknown field"),
    ],
)
def test_what_is_wrong_with_a_file_names_it(content: bytes | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "stores.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(file))}: {told}") as caught:
        Registry(file)
    assert SECRET not in shown(caught.value)
    assert caught.value.__context__ is None  # It would hold what could not be parsed.


def test_what_is_wrong_with_a_store_of_a_file_names_both(tmp_path: Path) -> None:
    file = tmp_path / "stores.toml"
    file.write_text("[stores.b]\nurl = '${NO_SUCH_VARIABLE}'\n")
    registry = Registry(file)
    with pytest.raises(ConfigError, match=f"^{file}: stores.b.url: the environment variable NO_SUCH_VARIABLE is not"):
        registry.get_store("b")
    with pytest.raises(ConfigError, match=f"^{file}: stores.c: no such store; known are b"):
        registry.get_async_store("c")


# --- what is refused


UNKNOWN = "unknown field; remove it, or move it into `options` if the backend takes it"
UNSAFE = "takes no credentials and no query: give `options`"
NO_WAY = "has no way to honour it; remove it"
BAD: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"url": "missing; give `url` or `backend`"}),
    ({"url": "x", "backend": "local"}, {"url": "give `url` or `backend`, not both"}),
    (
        {"backend": "locl"},
        {"backend": "unknown; known are local, memory, s3, azure, gcs, http, sftp; for any other protocol of fsspec"},
    ),
    ({"backend": 5}, {"backend": "valid string"}),
    ({"url": ""}, {"url": "malformed; expected 'protocol://path'"}),
    ({"url": f"s3:/AK:{SECRET}@y"}, {"url": "malformed"}),
    ({"url": ["x"]}, {"url": "valid string"}),
    ({"url": "s3://"}, {"url": "no bucket; expected s3://bucket/prefix"}),
    ({"url": "s3:///key"}, {"url": "no bucket"}),
    ({"url": f"s3://AK:{SECRET}@b/x"}, {"url": UNSAFE}),
    ({"url": f"s3://AK:{SECRET}/x@b/x"}, {"url": UNSAFE}),
    ({"url": f"s3a://{SECRET}@b"}, {"url": UNSAFE}),
    ({"url": f"simplecache::s3://{SECRET}@b"}, {"url": UNSAFE}),
    ({"url": f"ftp://me:a::{SECRET} /@b"}, {"url": UNSAFE}),
    ({"url": f"https://{SECRET}@b"}, {"url": UNSAFE}),
    ({"url": "s3://${KEY}:${SECRET}@b"}, {"url": UNSAFE}),
    ({"url": f"s3://b/x?secret={SECRET}"}, {"url": UNSAFE}),
    ({"url": "x", "root": "a/../b"}, {"root": "escapes root"}),
    ({"url": "x", "root": "a\0b"}, {"root": "NUL"}),
    ({"url": "s3://b", "timeout": 0}, {"timeout": "greater than 0"}),
    ({"url": "s3://b", "timeout": "soon"}, {"timeout": "valid number"}),
    ({"url": "s3://b", "timeout": float("inf")}, {"timeout": "finite"}),
    ({"url": "s3://b", "retries": -1}, {"retries": "greater than or equal to 0"}),
    ({"url": "s3://b", "retries": 1.5}, {"retries": "valid integer"}),
    ({"url": "x", "timeout": 5}, {"timeout": f"backend 'local' {NO_WAY}"}),
    ({"backend": "memory", "retries": 5}, {"retries": f"backend 'memory' {NO_WAY}"}),
    ({"url": "ftp://host", "timeout": 5, "retries": 5}, {"timeout": f"backend 'ftp' {NO_WAY}", "retries": NO_WAY}),
    ({"url": "x", "reject_write_under_file_ancestor": True}, {"reject_write_under_file_ancestor": NO_WAY}),
    ({"backend": "s3"}, {"options.bucket": "missing; give `bucket`"}),
    ({"backend": "s3", "options": {"bucket": ""}}, {"options.bucket": "missing; give `bucket`"}),
    ({"backend": "local"}, {"options.root": "missing; give `root`"}),
    ({"url": "s3://b", "options": {"bucket": "c"}}, {"options.bucket": "the URL says it already; remove it"}),
    ({"url": "x", "options": {"root": "c"}}, {"options.root": "the URL says it already"}),
    ({"url": "x", "options": {"durabel": 1}}, {"options.durabel": "option of backend 'local'; did you mean `durable`"}),
    ({"url": "x", "options": {"qqq": 1}}, {"options.qqq": "which takes root, create, durable; remove it"}),
    ({"url": "x", "options": {"part_size": 1}}, {"options.part_size": "an option of backend 's3', not of 'local'"}),
    ({"url": "s3://b", "options": {"durable": 1}}, {"options.durable": "an option of backend 'local', not of 's3'"}),
    ({"url": "s3://b", "options": {"regionname": "x"}}, {"options.regionname": "did you mean `region_name`?"}),
    ({"url": "s3://b", "options": {"requester_pay": 1}}, {"options.requester_pay": "did you mean `requester_pays`?"}),
    ({"url": "s3://b", "options": {"qqq": 1}}, {"options.qqq": "move it to `storage_options`"}),
    ({"url": "s3://b", "options": {"asynchronous": True}}, {"options.asynchronous": "unknown option"}),
    ({"url": "s3://b", "options": {"retries": 1}}, {"options.retries": "move `retries` out of `options`"}),
    ({"url": "s3://b", "options": {"timeout": 1}}, {"options.timeout": "move `timeout` out of `options`"}),
    ({"url": "s3://b", "options": {"part_size": "big"}}, {"options.part_size": "valid integer"}),
    ({"url": "s3://b", "options": {"anon": "perhaps"}}, {"options.anon": "valid boolean"}),
    ({"url": "s3://b", "options": {"key": 5, "secret": "x"}}, {"options.key": "valid string"}),
    ({"url": "x", "options": []}, {"options": "valid dictionary"}),
    ({"url": "x", "storage_options": {"a": 1}}, {"storage_options": "no fsspec filesystem of its own; use `options`"}),
    ({"url": "memory://x", "options": {"a": 1}}, {"options.a": "which takes none; remove it"}),
    ({"url": "ftp://h", "options": {"usernam": "x"}}, {"options.usernam": "did you mean `username`?"}),
    ({"url": "s3://b", "options": {"key": SECRET}}, {"options.secret": "missing; give `secret`, or leave all"}),
    ({"url": "s3://b", "options": {"token": SECRET}}, {"options.key": "missing", "options.secret": "missing"}),
    ({"url": "s3://b", "options": {"key": "", "secret": SECRET}}, {"options.key": "to the SDK's own chain"}),
    ({"url": "s3://b", "storage_options": {"key": SECRET}}, {"options.secret": "missing"}),
    (
        {"url": "simplecache::s3://b", "options": {"s3": {"key": SECRET, "qq": 1}, "simplecache": {"check_file": 1}}},
        {
            "options.s3.qq": "unknown option of backend 's3'",
            "options.s3.secret": "missing",
            "options.simplecache.check_file": "did you mean `check_files`?",
        },
    ),
    (
        {"url": "${A"},
        {"url": "malformed placeholder: expected ${NAME} or ${NAME:-default}; a literal ${ is written $${"},
    ),
    ({"url": "x", "root": "${}"}, {"root": "malformed placeholder"}),
    ({"url": "s3://b", "options": {"a": [{"b": "${1}"}]}}, {"options.a.0.b": "malformed placeholder"}),
    ({"url": "s3://b", "storage_options": {"a": "${a-b}"}}, {"storage_options.a": "malformed placeholder"}),
    ({"url": "x", "rot": "y"}, {"rot": "unknown field; did you mean `root`?"}),
    ({"url": "x", "qqqq": "y"}, {"qqqq": UNKNOWN}),
]


@pytest.mark.parametrize(("fields", "expected"), BAD, ids=lambda value: json.dumps(value)[:60])
def test_what_is_wrong_with_a_store_is_told(fields: dict[str, Any], expected: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        StoreConfig(**fields)
    told = dict(caught.value.problems)
    assert told.keys() == expected.keys()
    for where, what in expected.items():
        assert what in told[where]
    inside = refused({"st": fields})
    assert inside.problems == caught.value.within("stores.st").problems
    assert SECRET not in shown(inside) + shown(caught.value)


PLACES = ["s3://b/a@b", "ftp://host:2121/a@b", "sftp://me@host/x", "abfs://container@account.dfs.core.windows.net/x"]
PLACES += [
    "zip://a.csv::s3://b/x@y.zip",
    "memory://a:b/c",
    "a?b=c",
    "/a@b:c",
    "~/x",
    "local:///x",
    "s3a://b",
    "${X}://${Y}",
]


@pytest.mark.parametrize("url", PLACES)
def test_any_other_url_is_taken(url: str) -> None:
    assert StoreConfig(url=url).url == url


def test_the_problems_of_all_stores_are_told_at_once() -> None:
    error = refused({"a": {"url": "s3://b", "timeout": -1, "qqqq": 1}, "b": {"url": "x", "root": ".."}, "": {}})
    assert str(error).splitlines() == [
        "stores.a.timeout: Input should be greater than 0",
        f"stores.a.qqqq: {UNKNOWN}",
        "stores.b.root: Path escapes root: '..' segments are not allowed",
        r"stores.: a name has no `/` and no `\`, and is not empty or of dots alone",
    ]
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problems) == (str(error), error.problems)
    again = type(error)(str(error))  # As Dask raises it again.
    assert (str(again), again.problems) == (str(error), (("", str(error)),))


def test_names_of_stores_command_no_terminal(tmp_path: Path) -> None:
    hostile = "a\x1b[2J\x9b1m\u202e\r\nb"
    wrong = refused({hostile: {"url": "x", "options": {hostile: 1}}, "b": {"url": "x", hostile: 1}})
    registry = Registry({"stores": {hostile: {"url": "${NO_SUCH_VARIABLE}"}}})
    for name in (hostile, f"{hostile}-other"):
        with pytest.raises(ConfigError) as caught:
            registry.get_store(name)
        for error in (wrong, caught.value, pickle.loads(pickle.dumps(caught.value))):
            assert all(line.isprintable() for line in str(error).split("\n"))
            assert r"a\x1b[2J\x9b1m\u202e\r" in str(error)
    assert len(str(wrong).splitlines()) == len(wrong.problems) > 1
    assert registry.names == (hostile,)


def test_names_are_those_that_urls_can_hold() -> None:
    for name in ("a/b", "a\\b", ".", ".."):
        assert f"stores.{name}: " in str(refused({name: {"url": "x"}}))
    assert Registry({"stores": {"a b:c": {"url": "x"}, ".a": {"url": "x"}}}).names == ("a b:c", ".a")


def test_true_is_no_number() -> None:
    error = refused({"a": {"url": "s3://b", "timeout": True, "retries": True}})
    assert [where for where, _ in error.problems] == ["stores.a.timeout", "stores.a.retries"]
    error = refused({"a": {"url": "s3://b", "options": {"part_size": True, "max_concurrency": False}}})
    assert [where for where, _ in error.problems] == ["stores.a.options.part_size", "stores.a.options.max_concurrency"]
    assert "expected a number" in str(error)


def test_options_of_an_inner_filesystem_are_told_their_place() -> None:
    error = refused(
        {"a": {"url": "simplecache::s3://b", "options": {"key": "k", "part_size": 1, "cache_storage": "c"}}}
    )
    assert str(error).splitlines() == [
        "stores.a.options.key: an option of 's3', not of 'simplecache'; move it to `options.s3.key`",
        "stores.a.options.part_size: an option of backend 's3', not of 'simplecache'; remove it",
    ]


def test_the_outer_form_is_checked() -> None:
    assert str(refused({}, store={})) == "store: unknown field; did you mean `stores`?"
    with pytest.raises(ConfigError, match=r"stores: missing"):
        Registry({})
    assert "raw: unknown field; remove it, or move it below `stores`" in str(refused({}, raw={"url": "x"}))
    assert "stores: " in str(refused([]))
    assert "stores.a: " in str(refused({"a": 5}))
    assert Registry({"stores": {}}).names == ()


def test_nothing_is_made_or_imported_to_load(tmp_path: Path) -> None:
    code = """
import sys
from remote_store.config import Registry
options = {"key": "k", "secret": "s", "region_name": "r", "endpoint_url": "http://127.0.0.1:1", "part_size": 6 << 20}
Registry({"stores": {"s": {"url": "s3://b/x", "options": options, "timeout": 3, "retries": 2},
                     "l": {"backend": "local", "options": {"root": sys.argv[1]}}, "m": {"backend": "memory"}}})
assert not {"s3fs", "botocore", "aiohttp", "fsspec"} & set(sys.modules), sorted(sys.modules)
"""
    folder = tmp_path / "new"
    run_script(code, str(folder))
    assert not folder.exists()


def test_a_missing_pydantic_names_the_extra() -> None:
    code = "import sys; sys.modules['pydantic'] = None\nimport remote_store.config"
    _, said = run_script(code, code=1)
    hint = "pip install pydantic, or pip install 'remote-store-fsspec[config]'"
    assert f"ImportError: remote_store.config needs pydantic: {hint}" in said
    loaded = "import sys, remote_store, remote_store.aio, remote_store.backends; assert 'pydantic' not in sys.modules"
    run_script(loaded)


# --- what backends refuse, or take


def test_a_missing_package_or_protocol_is_told_when_the_store_is_made() -> None:
    fsspec.register_implementation("needy", "no_such_package.FileSystem", errtxt="Install what needy needs")
    registry = Registry({"stores": {name: {"url": f"{name}://b", "options": {"a": 1}} for name in ("needy", "nosuch")}})
    for get in (registry.get_store, registry.get_async_store):
        with pytest.raises(ImportError, match=r"needy:// needs a package .* Install what needy needs"):
            get("needy")
        with pytest.raises(ConfigError, match=r"stores.nosuch: refused by 'nosuch': unknown protocol 'nosuch'"):
            get("nosuch")


@pytest.mark.parametrize(("raises", "told"), [(ValueError, ConfigError), (ConnectionRefusedError, RemoteStoreError)])
def test_what_a_backend_refuses_names_the_store_and_no_secret(
    raises: type[Exception], told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vault(MemoryFileSystem):
        protocol = "vault"

        def __init__(self, password: str = "", **more: Any) -> None:
            raise raises(f"not {password}")

    fsspec.register_implementation("vault", Vault, clobber=True)
    monkeypatch.setenv("VAULT", SECRET)
    stores = {"a": {"url": "vault://x", "options": {"password": "${VAULT}"}}}
    for get in (Registry({"stores": stores}).get_store, Registry({"stores": stores}).get_async_store):
        with pytest.raises(told) as caught:
            get("a")
        assert SECRET not in shown(caught.value)
        if told is ConfigError:
            assert str(caught.value).startswith("stores.a: refused by 'vault': cannot open 'vault://x'")


def test_what_a_backend_class_refuses_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"part_size": 5, "key": "at", "secret": SECRET}  # "at" is too short to be hidden in other texts.
    registry = Registry({"stores": {"a": {"url": "s3://b", "options": options}}})
    with pytest.raises(ConfigError, match=r"^stores.a: refused by 's3': part_size must be at least 5 MiB"):
        registry.get_store("a")

    def refuse(options: S3Options, asynchronous: bool) -> None:
        raise TypeError(f"not {options.secret}")

    monkeypatch.setattr("remote_store.drivers.s3.make", refuse)
    registry = Registry({"stores": {"a": {"url": "s3://b", "options": {**options, "part_size": 5 << 20}}}})
    with pytest.raises(ConfigError, match=r"^stores.a: refused by 's3': not \*\*\*$") as caught:
        registry.get_store("a")
    assert SECRET not in shown(caught.value)


def test_any_option_of_a_filesystem_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Odd(MemoryFileSystem):
        protocol = "odd"

        def __init__(self, flag: bool = False, size: int = 1, wait=30, anything: Any = None, **more: Any) -> None:  # type: ignore[no-untyped-def]
            made.append({"flag": flag, "size": size, "wait": wait, "anything": anything, **more})
            super().__init__()

    fsspec.register_implementation("odd", Odd, clobber=True)
    monkeypatch.setenv("WAIT", "2.5")
    typed = {"flag": True, "size": 5, "wait": 2.5, "anything": {"deep": [1, "x"]}}
    options = {"flag": "yes", "size": "5", "wait": "${WAIT}", "anything": {"deep": [1, "x"]}}
    fields = {"url": "odd://x", "options": options, "storage_options": {"undeclared": 7, "flag": False}}
    Registry({"stores": {"a": fields}}).get_store("a")
    assert made == [{**typed, "undeclared": 7}]
    chained = {"url": "dir::odd://x", "options": {"odd": options, "path": "x"}}
    Registry({"stores": {"a": chained}}).get_store("a")
    assert made[1].items() >= typed.items()


# --- the schema


def test_the_schema_describes_files() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = Config.model_json_schema()
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
    validator.check_schema(schema)
    page = (Path(__file__).parent.parent / "docs" / "configure.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(StoreConfig.model_fields)
    late = {"backend": "s3", "timeout": "${T}", "options": {"bucket": "b", "part_size": "${P}"}}
    for tables in (tomllib.loads(TOML), tomllib.loads(text), {"stores": {"a": late, "b": {"backend": "${B}"}}}):
        validator.validate(tables)
        Config.load(tables)
    for fields in (
        {},
        {"url": "x", "backend": "local", "options": {"root": "x"}},
        {"url": "x", "qqq": 1},
        {"url": "x", "timeout": "soon"},
        {"backend": "s3"},
        {"backend": "s3", "options": {"region_name": "x"}},
        {"backend": "local", "options": {"root": "x", "durabel": True}},
        {"backend": "memory", "options": {"root": "x"}},
        {"backend": "s3", "options": {"bucket": "x", "part_size": "big"}},
    ):
        assert not validator.is_valid({"stores": {"a": fields}}), fields
        refused({"a": fields})
    assert all(field.get("description") for field in schema["$defs"]["StoreConfig"]["properties"].values())


# --- placeholders


def test_placeholders_are_filled_when_a_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = {
        "whole": {"url": "${PLACE}", "root": "${SUB}"},
        "part": {"url": "file://${PLACE}/${SUB}"},
        "backend": {"backend": "${KIND}", "options": {"root": "${PLACE}", "durable": "${YES}"}},
        "escaped": {"url": "file://${PLACE}/$${SUB}"},
        "unset": {"url": "${PLACE}", "root": "${NO_SUCH}", "options": {"create": "${NEITHER}"}},
    }
    registry = Registry({"stores": stores})
    for name, value in {"PLACE": f"{tmp_path}/${{p", "SUB": "s", "KIND": "local", "YES": "true"}.items():
        monkeypatch.setenv(name, value)
    for name in ("whole", "part", "backend", "escaped"):
        registry.get_store(name).write(f"{name}.txt", b"1")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")}
    assert found == {"${p/s/whole.txt", "${p/s/part.txt", "${p/backend.txt", "${p/${SUB}/escaped.txt"}
    with pytest.raises(ConfigError) as caught:
        registry.get_store("unset")
    assert str(caught.value).splitlines() == [
        "stores.unset.root: the environment variable NO_SUCH is not set",
        "stores.unset.options.create: the environment variable NEITHER is not set",
    ]
    monkeypatch.setenv("NO_SUCH", "x")
    monkeypatch.setenv("NEITHER", "no")
    registry.get_store("unset")


def test_a_placeholder_may_have_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"url": f"${{PLACE:-{tmp_path}/a}}", "options": {"create": "${CREATE:-yes}"}}
    stores = {"a": {**where, "root": "${SUB:-x:-}${EMPTY:-}/y"}, "s3": {"url": "s3://b", "timeout": "${SECONDS:-7.5}"}}
    assert Registry({"stores": stores}).get_store("a").resolve("f").native_path == f"{tmp_path}/a/x:-/y/f"
    assert Config.load({"stores": stores}).stores["s3"].filled().timeout == 7.5
    for name, value in {"PLACE": f"{tmp_path}/b", "SUB": "", "EMPTY": "e", "SECONDS": "2"}.items():
        monkeypatch.setenv(name, value)
    assert Registry({"stores": stores}).get_store("a").resolve("f").native_path == f"{tmp_path}/b/x:-e/y/f"
    assert Config.load({"stores": stores}).stores["s3"].filled().timeout == 2
    for url in ("${A:-", "${A:-${B}}", "${A-b}", "${:-b}"):
        assert "stores.a.url: malformed placeholder" in str(refused({"a": {"url": url}}))


FILLED: list[tuple[str, str, dict[str, Any]]] = [
    ("url", f"s3://me:{SECRET}@b", {"url": "${V}"}),
    ("url", f"ftp://me:{SECRET}@b", {"url": "${V}"}),
    ("backend", "locl", {"backend": "${V}"}),
    ("root", "../x", {"url": "x", "root": "${V}"}),
    ("timeout", "${X}", {"url": "s3://b", "timeout": "${V}"}),
    ("retries", f"x{SECRET}", {"url": "s3://b", "retries": "${V}0"}),
    ("reject_write_under_file_ancestor", SECRET, {"url": "s3://b", "reject_write_under_file_ancestor": "${V}"}),
    ("options.create", SECRET, {"url": "x", "options": {"create": "${V}"}}),
    ("options.part_size", "${X}", {"url": "s3://b", "options": {"part_size": "${V}"}}),
    ("options.key", "", {"url": "s3://b", "options": {"key": "${V}", "secret": "x"}}),
    ("options.durable", "memory", {"backend": "${V}", "options": {"durable": True}}),
]


@pytest.mark.parametrize(("where", "value", "fields"), FILLED, ids=[where for where, _, _ in FILLED])
def test_what_fills_a_placeholder_is_checked(
    where: str, value: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry({"stores": {"a": fields}})
    monkeypatch.setenv("V", value)
    with pytest.raises(ConfigError, match=rf"^stores.a.{where}: ") as caught:
        registry.get_store("a")
    assert SECRET not in shown(caught.value)
    assert len(caught.value.problems) == 1


# --- secrets


SECRET_NAMES = "account_key connection_string credential sas_token client_secret password api_key privateKey headers"
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
    "ftp": {"url": "ftp://me@host/a", "options": {"password": SECRET, "acct": "x"}},
    "chain": {"url": "simplecache::ftp://host/a", "options": {"ftp": {"password": SECRET}}},
    "azure": {
        "url": "abfs://container@account.dfs.core.windows.net/x",
        "storage_options": dict.fromkeys(SECRET_NAMES.split(), SECRET)
        | {"token": {"client": SECRET}, "password2": 12345678987654321, "anon": False, "port": 5, "root": Path("p")}
        | {"session": SECRET, "pin": 12345678987654321, "folder": Path(SECRET), "inner": {"qqq": [SECRET]}}
        | {"host": f"me:{SECRET}@host"}
        | {"agent": type("Session", (), {"__repr__": lambda _: SECRET})(), "many": {SECRET}, "raw": SECRET.encode()},
    },
}


def test_no_text_has_a_secret() -> None:
    config = Config.load({"stores": EVERY_SECRET})
    registry = Registry(config)
    store = registry.get_store("s3")
    child = store.child("c")
    plan = child.resolve("k")
    told: list[Any] = [config, registry, store, vars(child), store._backend, plan, plan.details, vars(registry)]
    texts = [f"{thing} {thing!r}" for thing in told]
    texts += [config.model_dump_json(), json.dumps(config.model_dump(mode="json")), str(config.model_dump())]
    texts += [json.dumps(Config.model_json_schema()), str(pickle.dumps(store)), str(pickle.dumps(child))]
    for fields in EVERY_SECRET.values():
        texts.append(shown(refused({"a": {**fields, "timeout": SECRET, "retries": SECRET, "backend": 5}})))
        texts.append(shown(refused({"a": {**fields, "options": [SECRET]}})))
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"stores": {"a": {"url": "s3://b", "timeout": SECRET}}})
    for text in [*texts, shown(caught.value)]:
        assert SECRET not in text
        assert "12345678987654321" not in text
    masked = json.loads(config.model_dump_json())["stores"]
    assert masked["s3"]["options"]["client_kwargs"]["nested"] == [{"Authorization": "**********"}]
    assert masked["azure"]["storage_options"].items() >= {"anon": False, "port": 5, "root": "p"}.items()
    assert masked["azure"]["storage_options"]["inner"] == {"qqq": ["**********"]}
    options = config.stores["s3"].options
    assert isinstance(options["key"], SecretStr)
    assert options["secret"].get_secret_value() == f"{SECRET}-secret"
    registry.close()
    assert Config.load(config.model_dump()) == config


def test_public_names_are_documented() -> None:
    import remote_store.config as package

    assert sorted(package.__all__) == package.__all__
    assert all(getattr(package, name).__doc__ for name in package.__all__)
