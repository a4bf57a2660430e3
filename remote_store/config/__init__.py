"""Named stores, from a TOML file, a dict or code. Needs the extra `config`.

Example:
    >>> from remote_store.config import Registry
    >>> with Registry({"stores": {"scratch": {"url": "memory://doc-config", "root": "today"}}}) as registry:
    ...     registry.get_store("scratch").write_text("a.txt", "hello", overwrite=True).size
    5
"""

from __future__ import annotations

try:
    import pydantic  # noqa: F401
except ImportError as error:
    raise ImportError("remote_store.config needs pydantic: pip install 'remote-store-fsspec[config]'") from error

from remote_store.config._default import default_registry, set_default
from remote_store.config._errors import ConfigError, Problem
from remote_store.config._model import Config, StoreConfig
from remote_store.config._registry import Registry

__all__ = ["Config", "ConfigError", "Problem", "Registry", "StoreConfig", "default_registry", "set_default"]
