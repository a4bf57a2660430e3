"""Who may import whom, what importing costs, and that everything public is there and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec import AbstractFileSystem

from remote_store.drivers.kinds import KINDS

ROOT = Path(__file__).parent.parent
SDKS = {"adlfs", "aiohttp", "asyncssh", "azure", "boto3", "botocore", "gcsfs", "rich", "s3fs", "sshfs", "typer"}
PUBLIC = ["remote_store", "remote_store.aio", "remote_store.backends"]
LONGEST = 400
"""Lines that a module may have."""
OPEN = ("dict[str, Any]", "tuple[Any, ...]")
"""What holds values of any type, such as the arguments of a constructor, or JSON."""


def loaded_after(code: str, *arguments: str) -> set[str]:
    """Top-level names of the modules that running `code` loads into a fresh interpreter."""
    names = "{name.partition('.')[0] for name in sys.modules}"
    program = f"import sys\nbefore = {names}\n{code}\nprint(*{names} - before)"  # Coverage loads some to begin with.
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("importlinter")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    arguments = [sys.executable, "-c", program, "--no-cache", "--config", str(config)]
    return subprocess.run(arguments, cwd=config.parent, capture_output=True, text=True)


def test_layers_import_only_what_they_may() -> None:
    done = lint_imports(ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("_models.py", "import fsspec"),
        ("_paths.py", "from remote_store.engine import globs"),
        ("drivers/base.py", "from remote_store import _store"),
        ("engine/runners.py", "from remote_store.backends import _engine"),
        ("_store_base.py", "from remote_store.drivers import profiles"),
        ("aio/_store.py", "from remote_store.drivers import registry"),
        ("_store.py", "import typer"),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, module: str, forbidden: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "remote_store", tmp_path / "remote_store", ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / "remote_store" / module
    changed.write_text(f"{changed.read_text()}\n{forbidden}\n")
    done = lint_imports(tmp_path / "pyproject.toml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert " BROKEN" in done.stdout


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "remote_store").rglob("*.py")}
    assert len(lengths) > 100
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}


# --- who knows a backend by name

HOMES = ("aio/__init__.py", "aio/_named.py", "backends/", "drivers/kinds.py")
"""Where backends are named, beside the folder of each one's driver."""
EXAMPLES = {"_location.py": "LocalBackend", "cli/_demo.py": "memory"}
"""What is shown to users: in a hint, in a demonstration."""
ANY_URL = {"file", "http", "https"}
"""Protocols that mean more than a backend."""


def named_backends(package: Path) -> set[tuple[str, str]]:
    """Module and name, wherever code (not a docstring) of a package knows a backend by name."""
    names = {name for kind in KINDS for name in (kind.name, *kind.protocols)} - ANY_URL
    text = re.compile(rf"({'|'.join(names)})(://.*)?")
    cls = re.compile(rf"(Async)?({'|'.join(kind.name for kind in KINDS)})Backend", re.IGNORECASE)
    found = set()
    for path in package.rglob("*.py"):
        module = path.relative_to(package).as_posix()
        if module.startswith(HOMES):
            continue
        own = module.removeprefix("drivers/").partition("/")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
                known = text.fullmatch(node.value) or cls.search(node.value)
            else:
                named = getattr(node, "id", None) or getattr(node, "name", None) or getattr(node, "attr", None)
                known = cls.fullmatch(named) if isinstance(named, str) else None
            name = known and (known[0] if "Backend" in known[0] else known[1])
            if name and own not in name.lower():
                found.add((module, name))
    return found


def test_no_module_knows_a_backend_by_name() -> None:
    assert named_backends(ROOT / "remote_store") == set(EXAMPLES.items())


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('if backend.name == "s3": ...', "s3"),
        ('NEAR = {"memory"}', "memory"),
        ('url.startswith("sftp://")', "sftp"),
        ("from remote_store.backends import S3Backend", "S3Backend"),
        ("isinstance(store.backend, aio.AsyncGCSBackend)", "AsyncGCSBackend"),
    ],
)
def test_a_backend_that_is_known_by_name_is_noticed(tmp_path: Path, code: str, name: str) -> None:
    (tmp_path / "module.py").write_text(f'"""Of "s3" and S3Backend."""\n{code}\n')
    assert named_backends(tmp_path) == {("module.py", name)}


# --- what importing costs, and what is public


@pytest.mark.parametrize("module", PUBLIC)
def test_importing_loads_no_fsspec_and_no_sdk(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert "remote_store" in loaded
    assert not loaded & ({"fsspec", "asyncio", "dataclasses"} | SDKS)


def test_local_files_need_no_fsspec(tmp_path: Path) -> None:
    code = """
import sys
from remote_store import Store
from remote_store.backends import LocalBackend
with Store(LocalBackend(sys.argv[1])) as store:
    store.write("a/b", b"1")
    with store.open_atomic("a/b", overwrite=True) as file:
        file.write(b"2")
    assert store.read_bytes("a/b") == b"2" and [file.size for file in store.list_files("a")] == [1]
"""
    assert not loaded_after(code, str(tmp_path)) & ({"fsspec"} | SDKS)


def test_memory_needs_no_sdk() -> None:
    loaded = loaded_after("from remote_store import Store\nStore.from_url('memory://x').write('a', b'')")
    assert "fsspec" in loaded
    assert not loaded & SDKS


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_resolve_and_are_documented(module: str) -> None:
    package = importlib.import_module(module)
    assert inspect.getdoc(package)
    assert sorted(package.__all__) == package.__all__
    assert {name for name in dir(package) if not name.startswith("_")} >= set(package.__all__) - {"__version__"}
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value):
            assert value.__doc__, f"{module}.{name} has no docstring"
            assert not (value.__doc__ or "").startswith(f"{name}("), (
                f"{module}.{name} has only the docstring of dataclass"
            )


def _public_functions(module: str) -> Iterator[tuple[str, Any]]:
    """The public methods, properties and constructors of a module's public classes, and its functions."""
    package = importlib.import_module(module)
    for name in package.__all__:
        value = getattr(package, name)
        if not inspect.isclass(value):
            if inspect.isfunction(value):
                yield f"{module}.{name}", value
            continue
        for attribute in dir(value):
            found = inspect.getattr_static(value, attribute)
            found = getattr(found, "func", getattr(found, "fget", getattr(found, "__func__", found)))
            ours = str(getattr(found, "__module__", "")).startswith("remote_store.")
            if ours and inspect.isfunction(found) and (attribute == "__init__" or not attribute.startswith("_")):
                yield f"{module}.{name}.{attribute}", found


@pytest.mark.parametrize("module", [*PUBLIC, "remote_store.config", "remote_store.certify"])
def test_what_is_public_is_typed(module: str) -> None:
    loose = []
    for name, function in _public_functions(module):
        signature = inspect.signature(function)
        for parameter in list(signature.parameters.values()):
            unbound = parameter.name in ("self", "cls") or parameter.kind is parameter.VAR_KEYWORD
            if not unbound and parameter.annotation in (parameter.empty, "Any"):
                loose.append(f"{name}({parameter.name})")
        given = signature.return_annotation
        for meant in OPEN if given is not signature.empty else ():
            given = str(given).replace(meant, "")
        if given is signature.empty or re.search(r"\bAny\b", given):
            loose.append(f"{name} -> {given}")
    assert loose == []


@pytest.mark.parametrize("module", PUBLIC)
def test_a_missing_public_name_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module(module).no_such_name


def _room(path: Path) -> str:
    """The folder of a module below the package; the modules on top are one room."""
    parts = path.relative_to(ROOT / "remote_store").parts
    return parts[0] if len(parts) > 1 else ""


def _is_module(package: str | None, name: str) -> bool:
    return (ROOT / (package or "").replace(".", "/") / f"{name}.py").exists()


def _private_names(tree: ast.AST) -> tuple[set[str], list[tuple[int, str]]]:
    """Underscore attributes that a module defines, and those it takes of other objects, by line."""
    defined: set[str] = set()
    taken: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
            elif not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                taken.append((node.lineno, node.attr))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            name = node.args[1]
            if node.func.id in ("getattr", "hasattr", "setattr") and isinstance(name, ast.Constant):
                taken.append((node.lineno, str(name.value)))
        elif isinstance(node, ast.ImportFrom):
            taken += [(node.lineno, name.name) for name in node.names if not _is_module(node.module, name.name)]
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            taken.append((node.lineno, str(node.slice.value)))
    return defined, [(line, name) for line, name in taken if re.match("_[a-z]", name)]


def test_no_room_enters_another_by_a_private_door() -> None:
    read = {path: _private_names(ast.parse(path.read_text())) for path in (ROOT / "remote_store").rglob("*.py")}
    ours = {name for defined, _ in read.values() for name in defined} - set(dir(AbstractFileSystem))
    entered = []
    for path, (_, taken) in read.items():
        here = {name for other, (defined, _) in read.items() if _room(other) == _room(path) for name in defined}
        for line, name in taken:
            if name in ours - here:
                entered.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert entered == []
