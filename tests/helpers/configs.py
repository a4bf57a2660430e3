"""Configurations that are refused, and all that their errors say."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from remote_store.config import ConfigError, Registry

SECRET = "dIsTiNcT"
"""A text that must not show."""


def refused(stores: Any, **more: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Registry({"stores": stores, **more})
    return caught.value


def shown(error: BaseException) -> str:
    return "".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error)])
