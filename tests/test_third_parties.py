"""A package adds a kind of storage by one entry point, and has all that the kinds of this library have.

The package is the one of docs/extend.md, installed into a folder, over a filesystem that keeps files in memory.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.added import entry_points
from helpers.processes import run_script

from remote_store import FsspecBackend, Store
from remote_store.drivers.kind import Kind
from remote_store.drivers.kinds import by_protocol, known
from remote_store.drivers.profiles import GENERIC

PAGE = Path(__file__).parent.parent / "docs" / "extend.md"
PIN = "dIsTiNcT"

AMBER = """
from fsspec.implementations.memory import MemoryFileSystem

FILES, FOLDERS = {}, ["", "/attic"]


class AmberFileSystem(MemoryFileSystem):
    protocol = "amber"
    cachable = False

    def __init__(self, pin=None, **more):
        super().__init__(**more)
        self.pin, self.store, self.pseudo_dirs = pin, FILES, FOLDERS

    def _open(self, path, mode="rb", **more):
        if "/" + path.split("/")[1] not in FOLDERS:
            raise FileNotFoundError(path)
        return super()._open(path, mode, **more)

    def rename_file(self, src, dst):
        self.store[dst] = self.store.pop(src)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the package is installed."""
    page = PAGE.read_text(encoding="utf-8")
    modules = dict(re.findall(r"^```python\n# (amber_\w+\.py)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert modules.keys() == {"amber_driver.py", "amber_kind.py"}
    site = tmp_path / "site"
    info = site / "amber_store-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: amber-store\nVersion: 1.0\n")
    (value,) = re.findall(r'^amber = "(.*)"$', page, re.MULTILINE)
    (info / "entry_points.txt").write_text(f"[remote_store.drivers]\namber = {value}\n")
    for name, code in {**modules, "amber.py": AMBER}.items():
        (site / name).write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


@pytest.mark.usefixtures("installed")
def test_urls_and_filesystems_lead_to_its_driver() -> None:
    program = """
import asyncio, pickle
from amber import AmberFileSystem
from remote_store import Capability, FsspecBackend, Store
from remote_store.aio import AsyncStore

store = Store.from_url("amber://attic/boxes/old", pin="dIsTiNcT")
store.write("a/b", b"1")
store.move("a/b", "c")
assert store.supports(Capability.ATOMIC_MOVE)
assert repr(store) == "Store(backend='amber', container='attic', root='boxes/old', root_path='')", repr(store)
again = pickle.loads(pickle.dumps(store))
assert again.read_bytes("c") == b"1"
assert "dIsTiNcT" not in repr(store) + repr(store._backend) + repr(store.resolve("c"))

async def main():
    async with AsyncStore.from_url("amber://attic/boxes") as store:
        assert await store.read_bytes("old/c") == b"1"

asyncio.run(main())
over = Store(FsspecBackend(AmberFileSystem(), "/attic/boxes"))
assert over.read_bytes("old/c") == b"1" and over.resolve("").backend == "amber"
for options, hint in (({"pim": 1}, "did you mean 'pin'"), ({"qqq": 1}, "it takes container, root, pin")):
    try:
        Store.from_url("amber://attic", **options)
    except ValueError as error:
        assert hint in str(error), error
    else:
        raise AssertionError(options)
"""
    run_script(program)


@pytest.mark.usefixtures("installed")
def test_configurations_know_its_options_and_hide_its_secrets() -> None:
    pytest.importorskip("pydantic")
    program = """
import sys
from remote_store.config import Config, ConfigError, Registry

stores = {
    "named": {"backend": "amber", "options": {"container": "attic", "pin": "dIsTiNcT"}},
    "url": {"url": "amber://attic/boxes", "options": {"pin": "dIsTiNcT"}},
}
config = Config(stores=stores)
assert not {"amber", "amber_driver", "fsspec"} & set(sys.modules)
assert "dIsTiNcT" not in repr(config) + config.model_dump_json()
assert "attic" in config.model_dump_json()
with Registry(config) as registry:
    registry.get_store("url").write("f", b"1")
    assert registry.get_store("named").read_bytes("boxes/f") == b"1"
rules = Config.model_json_schema()["$defs"]["StoreConfig"]["allOf"]
(rule,) = [one for one in rules if one["if"]["properties"]["backend"]["const"] == "amber"]
options = rule["then"]["properties"]["options"]
assert options["required"] == ["container"] and options["properties"]["pin"]["description"] == "opens the container."
wrong = {
    "a": {"backend": "amber", "options": {"pim": "dIsTiNcT"}},
    "b": {"url": "amber://attic", "options": {"container": "x"}, "timeout": 5},
    "c": {"url": "amber://"},
    "d": {"backend": "ambre"},
}
try:
    Config(stores=wrong)
except ConfigError as error:
    print(error)
"""
    assert run_script(program)[0].splitlines() == [
        "stores.a.options.container: missing; give `container`",
        "stores.a.options.pim: unknown option of backend 'amber'; did you mean `pin`?",
        "stores.b.timeout: backend 'amber' has no way to honour it; remove it",
        "stores.b.options.container: the URL says it already; remove it",
        "stores.c.url: no container; expected amber://container/prefix",
        "stores.d.backend: unknown; known are local, memory, s3, azure, gcs, http, sftp, amber; "
        "for any other protocol of fsspec, give `url`",
    ]


@pytest.mark.usefixtures("installed")
def test_a_store_of_it_as_a_filesystem_reads_ahead_and_has_json_without_secrets() -> None:
    program = """
import fsspec
from remote_store import Store
from remote_store.interop import StoreFileSystem

fs = Store.from_url("amber://attic/boxes").child("old").to_fsspec()
fs.pipe_file("f", b"1")
assert fs.open("f").blocksize == 1 << 20
again = fsspec.AbstractFileSystem.from_json(fs.to_json())
assert again == fs and again.cat_file("f") == b"1"
try:
    Store.from_url("amber://attic", pin="dIsTiNcT").to_fsspec().to_json()
except ValueError as error:
    assert "no form without secrets" in str(error) and "dIsTiNcT" not in str(error)
else:
    raise AssertionError
"""
    run_script(program)


@pytest.mark.usefixtures("installed")
def test_the_command_line_shows_and_certifies_it() -> None:
    pytest.importorskip("typer")
    program = """
import sys
from remote_store.cli import main

sys.argv[1:1] = ["matrix", "--json"]
main()
"""
    shown, _ = run_script(program)
    assert '"amber"' in shown
    certify = program.replace('["matrix", "--json"]', '["certify", "amber://attic/boxes", "--workers=2", "--json"]')
    certified, _ = run_script(certify)
    assert '"atomic_move"' in certified


# --- entry points that are of no use


def make(fs: MemoryFileSystem, root: str, name: str) -> None:
    """What an entry point of the old form names."""


def test_an_entry_point_of_the_old_form_says_what_to_do() -> None:
    class Old(MemoryFileSystem):  # type: ignore[misc]
        protocol = "amber"

    with entry_points(amber=f"{__name__}:make", broken="no_such_module:KIND"):
        for call in (lambda: Store.from_url("amber://attic"), lambda: FsspecBackend(Old(skip_instance_cache=True))):
            with pytest.raises(
                ImportError, match=r"'amber' .*gives make, which is no Kind: name it in the field `over`"
            ):
                call()
        with pytest.raises(ImportError, match=r"'broken' .*cannot be loaded: ModuleNotFoundError: .*no_such_module"):
            Store.from_url("broken://x")
        assert "amber" not in {kind.name for kind in known()}
        Store.from_url("memory://others-work").write("f", b"1", overwrite=True)


def leave() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": ""}, "needs a name"),
        ({"protocols": "amber more"}, "protocols"),
        ({"protocols": None}, "protocols"),
        ({"profile": None}, "a Profile"),
        ({"loggers": {"fsspec": None}}, "loggers"),
    ],
)
def test_a_kind_of_no_use_harms_no_other(wrong: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"name": "amber", "protocols": ("amber",), "profile": GENERIC, **wrong}
    monkeypatch.setattr(EntryPoint, "load", lambda _: Kind(**fields))  # type: ignore[arg-type]
    with entry_points(amber="x:y"):
        with pytest.raises(ImportError, match=f"'amber' .*cannot be loaded: TypeError: .*{why}"):
            Store.from_url("amber://attic")
        assert by_protocol("more").name == "more"
        Store.from_url("memory://others-work").write("f", b"1", overwrite=True)


def test_a_package_that_ends_the_program_does_not() -> None:
    with entry_points(amber="no_such_module:KIND"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(EntryPoint, "load", lambda _: leave())
        with pytest.raises(ImportError, match="cannot be loaded: SystemExit"):
            by_protocol("amber")
        assert by_protocol("more").name == "more"


MINE = by_protocol("memory")


def test_kinds_that_have_drivers_keep_them() -> None:
    with entry_points(memory=f"{__name__}:MAKE_NOTHING", s3=f"{__name__}:make"):
        assert by_protocol("memory") is MINE
        assert by_protocol("s3").package == "s3fs"
        assert [kind.name for kind in known()].count("memory") == 1
