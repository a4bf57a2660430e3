"""What a store that lacks a capability must do: refuse, before any I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import CapabilityNotSupported
from remote_store._methods import KEYWORDS, METHODS
from remote_store.certify.rules import equal, refused
from remote_store.certify.view import View

_MISSING = "no/such/file"
_ARGUMENTS: dict[str, Any] = {
    "path": _MISSING,
    "src": _MISSING,
    "dst": _MISSING + "2",
    "pattern": "no/*",
    "content": b"",
    "text": "",
    "function": lambda content: b"",
    "start": 0,
    "end": 1,
}
"""Something for each argument of the gated methods."""
_KEYWORDS: dict[str, Any] = {"metadata": {"key": "value"}, "content_type": "text/plain", "if_match": "0"}


def calls(view: View, capability: Capability) -> dict[str, Callable[[], Any]]:
    """Every call that `capability` gates, by method."""
    gated: dict[str, Callable[[], Any]] = {}
    for method in METHODS.values():
        if method.gate is capability and method.of != "backend":
            gated[method.name] = call_of(view, method.name)
    for keyword, (gate, _) in KEYWORDS.items():
        if gate is capability and view.supports(Capability.WRITE):
            gated[f"write({keyword}=)"] = call_of(view, "write", **{keyword: _KEYWORDS[keyword]})
    if capability is Capability.LIST and view.supports(Capability.METADATA):
        gated["get_folder_info(max_depth=)"] = call_of(view, "get_folder_info", max_depth=0)
    return gated


def call_of(view: View, method: str, path: str | None = None, **options: Any) -> Callable[[], Any]:
    """A call of a method with something for each argument; with `path` for each that is one."""
    given = _ARGUMENTS if path is None else _ARGUMENTS | dict.fromkeys(("path", "src", "dst", "subpath"), path)

    def call() -> Any:
        outcome = getattr(view, method)(*(given[name] for name in METHODS[method].arguments), **options)
        return outcome.__aenter__() if hasattr(outcome, "__aenter__") else outcome

    return call


async def refuses_what_it_lacks(view: View) -> list[str]:
    """A call that needs a missing capability raises CapabilityNotSupported, and names it."""
    refusals = []
    for capability in Capability:
        if view.supports(capability):
            continue
        for method, call in calls(view, capability).items():
            error = await refused(CapabilityNotSupported, call, f"{method} without {capability}", "is not supported")
            equal(error.capability, capability.value, f"capability of the error of {method}")
            refusals.append(method)
    return refusals
