"""A JSON schema of configuration files."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from remote_store.config import _kinds as kinds

if TYPE_CHECKING:
    from remote_store.config._model import Config

_ARGUMENT = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", re.M)


def schema(config: type[Config]) -> dict[str, Any]:
    """The schema of a model, with what only the kinds of backend know: their names, options and documentation."""
    import fsspec

    form = config.model_json_schema()
    store = form["$defs"]["StoreConfig"]
    # Choices to pick from, not limits: filesystems can be registered, and placeholders filled.
    names = sorted({*kinds.KINDS, *fsspec.available_protocols()} - kinds.ALIASES.keys())
    store["properties"]["backend"]["anyOf"] = [{"enum": names}, {"type": "string"}]
    store["oneOf"] = [{"required": ["backend"]}, {"required": ["url"]}]
    store["allOf"] = [_options_by_kind(kind) for kind in kinds.KINDS]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **form, "title": "Stores of remote_store"}


def _options_by_kind(kind: str) -> dict[str, Any]:
    own = kinds.own_options(kind)
    docs = _documentation(kinds.KINDS[kind].cls)
    options: dict[str, Any] = {"properties": {name: _option(option, docs.get(name)) for name, option in own.items()}}
    if not kinds.KINDS[kind].protocol:
        options["additionalProperties"] = False
    then: dict[str, Any] = {"properties": {"options": options}}
    if required := [name for name, option in own.items() if option.required]:
        options["required"], then["required"] = required, ["options"]
    return {"if": {"properties": {"backend": {"const": kind}}, "required": ["backend"]}, "then": then}


def _option(option: kinds.Option, description: str | None) -> dict[str, Any]:
    form = TypeAdapter(option.hint).json_schema()
    if "string" not in str(form):
        form = {"anyOf": [*form.pop("anyOf", [form]), {"type": "string", "pattern": r"\$\{\w+\}"}]}
    if option.default is not None:
        form["default"] = option.default
    return {**form, "description": description} if description else form


def _documentation(cls: type) -> dict[str, str]:
    """Argument → what the docstring of a class says of it."""
    found = _ARGUMENT.findall(inspect.getdoc(cls) or "")
    return {name: " ".join(text.split()) for names, text in found for name in names.split(", ")}
