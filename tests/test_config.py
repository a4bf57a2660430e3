"""Configurations: their sources, what is checked before any store is made, and their schema."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from helpers.configs import SECRET, refused, shown

from remote_store import Store
from remote_store.backends import LocalBackend
from remote_store.config import Config, ConfigError, Problem, Registry, StoreConfig
from remote_store.config.__main__ import main

jsonschema = pytest.importorskip("jsonschema")


def of(name: str, **fields: Any) -> dict[str, Any]:
    return {name: fields}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


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
    import tomllib

    from_file = Config.load(write(tmp_path / "stores.toml", TOML))
    tables = tomllib.loads(TOML)
    raw, cache = (StoreConfig(**tables["stores"][name]) for name in ("raw", "cache"))
    assert from_file.stores == Config.load(tables).stores == Config(stores={"raw": raw, "cache": cache}).stores
    assert from_file.file == str(tmp_path / "stores.toml")
    assert Config.load(from_file) is from_file
    assert Config.load(tables).file == ""
    assert (raw.timeout, raw.retries, raw.root) == (20, 5, "2026")


def test_relative_folders_of_a_file_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "elsewhere").mkdir()
    file = write(
        tmp_path / "etc" / "s.toml", TOML + '[stores.plain]\nurl = "plain"\n[stores.up]\nurl = "file://../up"\n'
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Registry(file) as registry:
        for name in ("cache", "plain", "up"):
            registry.get_store(name).write("f", b"1")
    assert all((tmp_path / place / "f").exists() for place in ("etc/cache", "etc/plain", "up"))
    assert list((tmp_path / "elsewhere").iterdir()) == []
    with Registry({"stores": of("here", url="data")}) as registry:
        registry.get_store("here").write("f", b"1")
    assert (tmp_path / "elsewhere" / "data" / "f").exists()


def test_a_file_that_is_no_configuration_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "no.toml"
    with pytest.raises(ConfigError, match=r"no.toml: no such file"):
        Registry(missing)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Registry(str(tmp_path))
    broken = write(tmp_path / "broken.toml", f'[stores.a]\nurl = "x"\noptions.secret = {SECRET}\n')
    with pytest.raises(ConfigError, match=r"broken.toml: is not TOML: .* \(at line 3, column 18\)") as caught:
        Registry(broken)
    assert SECRET not in shown(caught.value)
    broken.write_bytes(b'[stores.a]\n\nurl = "\xff"\n')
    with pytest.raises(ConfigError, match=r"broken.toml: is not UTF-8 \(at line 3\)"):
        Registry(broken)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=str(missing)):
        Registry("~/no.toml")
    with pytest.raises(TypeError, match="not int"):
        Registry(5)  # type: ignore[arg-type]


def test_problems_name_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "s.toml", "[stores.a]\nroot = '..'\n[stores.b]\nurl = '${NO_SUCH_VARIABLE}'\n")
    with pytest.raises(ConfigError) as caught:
        Registry(file)
    assert [problem.where for problem in caught.value.problems] == [
        f"{file}: stores.a.url",
        f"{file}: stores.a.root",
    ]
    file.write_text("[stores.b]\nurl = '${NO_SUCH_VARIABLE}'\n")
    registry = Registry(file)
    with pytest.raises(ConfigError, match=f"{file}: stores.b.url: the environment variable NO_SUCH_VARIABLE"):
        registry.get_store("b")
    with pytest.raises(ConfigError, match=f"{file}: no store 'c'; known are b"):
        registry.get_store("c")


# --- what is refused


BAD: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({}, [("url", "missing; give `url` or `backend`")]),
    ({"url": "x", "backend": "local"}, [("url", "give `url` or `backend`, not both")]),
    ({"backend": "locl"}, [("backend", "unknown backend 'locl'; did you mean 'local'?")]),
    ({"backend": "zzzzzz"}, [("backend", "known are local, memory, s3, and the protocols of fsspec")]),
    ({"backend": 5}, [("backend", "valid string")]),
    ({"url": "nosuch://x"}, [("url", "unknown backend 'nosuch'")]),
    ({"url": "simplecache::nosuch://x"}, [("url", "unknown backend 'nosuch'")]),
    ({"url": ""}, [("url", "malformed; expected 'protocol://path'")]),
    ({"url": "s3:/x/y"}, [("url", "malformed")]),
    ({"url": ["x"]}, [("url", "valid string")]),
    ({"url": "s3://"}, [("url", "no bucket; expected s3://bucket/prefix")]),
    ({"url": "s3:///key"}, [("url", "no bucket")]),
    ({"url": f"s3://AK:{SECRET}@b/x"}, [("url", "takes no credentials: give options `key` and `secret`")]),
    ({"url": f"s3://AK:{SECRET}/x@b/x"}, [("url", "takes no credentials")]),
    ({"url": f"s3a://{SECRET}@b"}, [("url", "takes no credentials")]),
    ({"url": f"simplecache::s3://AK:{SECRET}@b"}, [("url", "takes no credentials")]),
    ({"url": "s3://${KEY}:${SECRET}@b"}, [("url", "takes no credentials")]),
    ({"url": f"s3://b/x?secret={SECRET}"}, [("url", "takes no query")]),
    ({"url": "x", "root": "a/../b"}, [("root", "escapes root")]),
    ({"url": "x", "root": "a\0b"}, [("root", "NUL")]),
    ({"url": "s3://b", "timeout": 0}, [("timeout", "greater than 0")]),
    ({"url": "s3://b", "timeout": "soon"}, [("timeout", "valid number")]),
    ({"url": "s3://b", "timeout": float("inf")}, [("timeout", "finite")]),
    ({"url": "s3://b", "retries": -1}, [("retries", "greater than or equal to 0")]),
    ({"url": "s3://b", "retries": 1.5}, [("retries", "valid integer")]),
    ({"url": "x", "timeout": 5}, [("timeout", "backend 'local' has no way to honour it; remove it")]),
    ({"url": "x", "retries": 5}, [("retries", "backend 'local' has no way")]),
    ({"backend": "memory", "retries": 5}, [("retries", "backend 'memory' has no way")]),
    ({"url": "ftp://host", "timeout": 5}, [("timeout", "backend 'ftp' has no way")]),
    (
        {"url": "x", "reject_write_under_file_ancestor": False},
        [("reject_write_under_file_ancestor", "backend 'local' always refuses such writes; remove it")],
    ),
    ({"backend": "s3"}, [("options.bucket", "missing; give `bucket`")]),
    ({"backend": "s3", "options": {"bucket": ""}}, [("options.bucket", "missing; give `bucket`")]),
    ({"backend": "local"}, [("options.root", "missing; give `root`")]),
    ({"backend": "ftp"}, [("options.host", "missing; give `host`")]),
    ({"url": "s3://b", "options": {"bucket": "c"}}, [("options.bucket", "the URL says it already; remove it")]),
    ({"url": "x", "options": {"root": "c"}}, [("options.root", "the URL says it already")]),
    (
        {"url": "x", "options": {"durabel": True}},
        [("options.durabel", "unknown option of backend 'local'; did you mean `durable`?")],
    ),
    ({"url": "x", "options": {"qqq": True}}, [("options.qqq", "which takes root, create, durable; remove it")]),
    ({"url": "x", "options": {"part_size": 1}}, [("options.part_size", "an option of backend 's3', not of 'local'")]),
    ({"url": "s3://b", "options": {"durable": 1}}, [("options.durable", "an option of backend 'local', not of 's3'")]),
    ({"url": "s3://b", "options": {"regionname": "x"}}, [("options.regionname", "did you mean `region_name`?")]),
    ({"url": "s3://b", "options": {"requester_pay": 1}}, [("options.requester_pay", "did you mean `requester_pays`?")]),
    ({"url": "s3://b", "options": {"qqq": 1}}, [("options.qqq", "goes into `storage_options`")]),
    ({"url": "s3://b", "options": {"asynchronous": True}}, [("options.asynchronous", "unknown option")]),
    ({"url": "s3://b", "options": {"retries": 1}}, [("options.retries", "move `retries` out of `options`")]),
    ({"url": "s3://b", "options": {"part_size": "big"}}, [("options.part_size", "valid integer")]),
    ({"url": "s3://b", "options": {"anon": "perhaps"}}, [("options.anon", "valid boolean")]),
    ({"url": "s3://b", "options": {"key": 5, "secret": "x"}}, [("options.key", "valid string")]),
    ({"url": "x", "options": {"create": "perhaps"}}, [("options.create", "valid boolean")]),
    ({"url": "x", "options": []}, [("options", "valid dictionary")]),
    (
        {"url": "x", "storage_options": {"a": 1}},
        [("storage_options", "no fsspec filesystem of its own; use `options`")],
    ),
    ({"url": "memory://x", "options": {"a": 1}}, [("options.a", "which takes none; remove it")]),
    ({"url": "ftp://h", "options": {"usernam": "x"}}, [("options.usernam", "did you mean `username`?")]),
    (
        {"url": "simplecache::memory://x", "options": {"simplecache": {"cache_storag": "x"}}},
        [("options.simplecache.cache_storag", "did you mean `cache_storage`?")],
    ),
    ({"url": "s3://b", "options": {"key": SECRET}}, [("options.secret", "missing; give `secret`, or no credentials")]),
    ({"url": "s3://b", "options": {"secret": SECRET}}, [("options.key", "missing; give `key`")]),
    ({"url": "s3://b", "options": {"token": SECRET}}, [("options.key", "missing"), ("options.secret", "missing")]),
    (
        {"url": "s3://b", "options": {"key": "", "secret": ""}},
        [("options.key", "is empty"), ("options.secret", "is empty")],
    ),
    ({"url": "s3://b", "storage_options": {"key": SECRET}}, [("options.secret", "missing; give `secret`")]),
    (
        {"url": "simplecache::s3://b", "options": {"s3": {"key": SECRET, "qq": 1}}},
        [("options.s3.qq", "unknown option"), ("options.s3.secret", "missing")],
    ),
    (
        {"url": "s3://b", "timeout": 5, "options": {"timeout": 6}},
        [("options.timeout", "given twice: also as `timeout`")],
    ),
    (
        {"url": "s3://b", "retries": 5, "options": {"config_kwargs": {"retries": {"max_attempts": 1}}}},
        [("options.config_kwargs.retries", "given twice: also as `retries` of the store")],
    ),
    (
        {"url": "s3://b", "options": {"region_name": "x"}, "storage_options": {"region_name": "y"}},
        [("options.region_name", "given twice: also in `storage_options`")],
    ),
    ({"url": "${A"}, [("url", "malformed placeholder: expected ${NAME}; a literal ${ is written $${")]),
    ({"url": "x", "root": "${}"}, [("root", "malformed placeholder")]),
    (
        {"url": "s3://b", "options": {"client_kwargs": {"a": ["${1}"]}}},
        [("options.client_kwargs.a.0", "malformed placeholder")],
    ),
    (
        {"url": "x", "storage_options": {"a": "${a-b}"}},
        [("storage_options.a", "malformed placeholder"), ("storage_options", "use `options`")],
    ),
    ({"url": "x", "rot": "y"}, [("rot", "unknown field; did you mean `root`?")]),
    ({"url": "s3://b", "region_name": "y"}, [("region_name", "unknown field; an option: move it into `options`")]),
    ({"url": "x", "qqqq": "y"}, [("qqqq", "unknown field; known are backend, url, root, timeout")]),
]


@pytest.mark.parametrize(("fields", "expected"), BAD, ids=lambda value: json.dumps(value)[:60])
def test_what_is_wrong_with_a_store_is_told(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    error = refused({"st": fields})
    assert sorted(problem.where for problem in error.problems) == sorted(f"stores.st.{where}" for where, _ in expected)
    for where, what in expected:
        assert any(p.where == f"stores.st.{where}" and what in p.what for p in error.problems), str(error)
    assert SECRET not in shown(error)
    with pytest.raises(ConfigError) as direct:
        StoreConfig(**fields)
    assert [problem.below("stores", "st") for problem in direct.value.problems] == list(error.problems)
    assert SECRET not in shown(direct.value)


def test_all_problems_are_told_at_once() -> None:
    error = refused(
        {"a": {"url": "s3://b", "timeout": -1, "qqqq": 1, "options": {"x": 1, "key": SECRET}}, "b": {}, "": {}}
    )
    assert str(error).splitlines() == [
        "stores.a.timeout: Input should be greater than 0",
        "stores.a.options.x: unknown option of backend 's3'; what its filesystem takes all the same goes into "
        "`storage_options`",
        "stores.a.options.secret: missing; give `secret`, or no credentials at all for the SDK's own chain to find "
        "them",
        "stores.a.qqqq: unknown field; known are backend, url, root, timeout, retries, "
        "reject_write_under_file_ancestor, storage_options, options",
        "stores.b.url: missing; give `url` or `backend`",
        "stores.: String should have at least 1 character",
    ]


def test_the_outer_form_is_checked() -> None:
    assert str(refused({}, store={})) == "store: unknown field; did you mean `stores`?"
    for source in ({}, {"store": {}}):
        with pytest.raises(ConfigError, match=r"stores: Field required"):
            Registry(source)
    assert "stores: " in str(refused([]))
    assert "stores.a: " in str(refused({"a": 5}))
    with pytest.raises(ConfigError, match="5: unknown field"):
        Registry({"stores": {}, 5: 1})  # type: ignore[dict-item]
    assert Registry({"stores": {}}).names == ()


def test_an_error_pickles_and_is_a_value_error() -> None:
    error = refused({"a": {}})
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problems) == (str(error), error.problems)
    assert again.problems == (Problem("stores.a.url", "missing; give `url` or `backend`"),)


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
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    assert not folder.exists()


def test_options_of_a_missing_package_are_left_until_the_store_is_made() -> None:
    fsspec.register_implementation("needy", "no_such_package.FileSystem", errtxt="Install what needy needs")
    stores = {"url": {"url": "needy://b", "options": {"some": True}}, "backend": {"backend": "needy"}}
    registry = Registry({"stores": stores})
    for name in stores:
        for get in (registry.get_store, registry.get_async_store):
            with pytest.raises(ImportError, match=r"needy:// needs a package .* Install what needy needs"):
                get(name)


def test_a_missing_pydantic_names_the_extra() -> None:
    code = "import sys; sys.modules['pydantic'] = None\nimport remote_store.config"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: remote_store.config needs pydantic: pip install 'remote-store-fsspec[config]'" in done.stderr
    loaded = "import sys, remote_store, remote_store.aio, remote_store.backends; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", loaded], check=True)


# --- options


def test_any_option_of_a_filesystem_is_taken(tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []

    class Odd(MemoryFileSystem):
        protocol = "odd"

        def __init__(self, flag: bool = False, size: int = 1, anything: Any = None, **more: Any) -> None:
            made.append({"flag": flag, "size": size, "anything": anything, **more})
            super().__init__()

    fsspec.register_implementation("odd", Odd, clobber=True)
    options = {"flag": "yes", "size": "5", "anything": {"deep": [1, "x"]}}
    stores = {
        "url": {"url": "odd://x", "options": options, "storage_options": {"undeclared": 7}},
        "backend": {"backend": "odd", "options": options, "root": "x"},
        "chained": {"url": "dir::odd://x", "options": {"odd": options, "path": "x"}},
    }
    with Registry({"stores": stores}) as registry:
        for name in ("url", "backend"):
            registry.get_store(name).write("f", b"1", overwrite=True)
    typed = {
        "flag": True,
        "size": 5,
        "anything": {"deep": [1, "x"]},
        "skip_instance_cache": True,
        "use_listings_cache": False,
    }
    assert [{key: one.get(key) for key in ("flag", "size", "anything")} for one in made] == [
        {key: typed[key] for key in ("flag", "size", "anything")}
    ] * 2
    assert [one.get("undeclared") for one in made] == [7, None]
    assert "did you mean `flag`" in str(refused(of("a", backend="odd", options={"flog": True})))


def test_always_honoured_policy_is_accepted(tmp_path: Path) -> None:
    fields = {"url": str(tmp_path), "reject_write_under_file_ancestor": True}
    with Registry({"stores": {"a": fields}}) as registry:
        registry.get_store("a").write("f", b"1")


def test_what_a_backend_refuses_names_the_store_and_no_secret() -> None:
    options = {"key": "AK", "secret": SECRET, "part_size": 5}
    with pytest.raises(ConfigError, match=r"stores.a: refused by backend 's3': part_size must be at least 5 MiB"):
        Registry({"stores": of("a", url="s3://b", options=options)}).get_store("a")

    class Vault(MemoryFileSystem):
        protocol = "vault"

        def __init__(self, password: str = "", how: str = "", **more: Any) -> None:
            raise {"value": ValueError, "os": ConnectionRefusedError}[how](f"not {password}, nor {more}")

    fsspec.register_implementation("vault", Vault, clobber=True)
    fields = {"url": f"vault://me:{SECRET}@x", "options": {"password": f"{SECRET}2", "how": "value"}}
    for stores in ({"a": fields}, {"a": {"backend": "vault", "options": fields["options"]}}):
        with pytest.raises(ConfigError, match=r"stores.a: refused by backend 'vault'") as caught:
            Registry({"stores": stores}).get_store("a")
        assert SECRET not in shown(caught.value)
    from remote_store import BackendUnavailable

    stores = of("a", backend="vault", options={"password": SECRET, "how": "os"})
    with pytest.raises(BackendUnavailable) as unreachable:
        Registry({"stores": stores}).get_store("a")
    assert SECRET not in str(unreachable.value) + repr(unreachable.value)


# --- the schema


def test_the_schema_describes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tomllib

    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == Config.json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(tomllib.loads(TOML))
    validator.validate(
        {"stores": {"a": {"backend": "s3", "timeout": "${T}", "options": {"bucket": "b", "part_size": "${P}"}}}}
    )
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
    store = schema["$defs"]["StoreConfig"]
    assert all(field.get("description") for field in store["properties"].values())
    assert {"local", "memory", "s3", "ftp"} <= set(store["properties"]["backend"]["anyOf"][0]["enum"])
    s3 = next(rule for rule in store["allOf"] if rule["if"]["properties"]["backend"]["const"] == "s3")
    options = s3["then"]["properties"]["options"]["properties"]
    assert options["part_size"]["default"] == 8 << 20
    assert "longer streams go in parts" in options["part_size"]["description"]
    assert options["key"]["description"] == options["secret"]["description"] != ""


def test_the_command_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["x"]) == 2
    assert "python -m remote_store.config schema" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "remote_store.config", "schema"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["$defs"]
    assert done.stderr == ""


def test_a_local_backend_is_the_one_that_was_described(tmp_path: Path) -> None:
    with Registry({"stores": of("a", backend="file", options={"root": tmp_path, "durable": True})}) as registry:
        store = registry.get_store("a")
        assert type(store) is Store
        assert type(store._backend) is LocalBackend
        assert repr(store) == "Store(backend='local', root_path='')"


def test_the_file_in_the_documentation_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    import re
    import tomllib

    page = (Path(__file__).parent.parent / "docs" / "configure.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    tables = tomllib.loads(text)
    jsonschema.Draft202012Validator(Config.json_schema()).validate(tables)
    config = Config.load(tables)
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(StoreConfig.model_fields)
    for name in ("MINIO_KEY", "MINIO_SECRET", "FTP_PASSWORD"):
        monkeypatch.setenv(name, "x")
    for name in config.stores:
        config.filled(name)


def test_public_names_are_documented() -> None:
    import remote_store.config as package

    assert sorted(package.__all__) == package.__all__
    assert all(getattr(package, name).__doc__ for name in package.__all__)
