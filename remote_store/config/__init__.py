"""Named stores, from a TOML file, a dict or code. Needs the extra `config`."""

from __future__ import annotations

from remote_store._hints import install

try:
    import pydantic  # noqa: F401
except ImportError as error:
    raise ImportError(f"remote_store.config needs pydantic: {install('pydantic', 'config')}") from error

from remote_store.config._model import Config, StoreConfig
from remote_store.config._registry import Registry, default_registry, set_default
from remote_store.config._values import ConfigError

__all__ = ["Config", "ConfigError", "Registry", "StoreConfig", "default_registry", "set_default"]
