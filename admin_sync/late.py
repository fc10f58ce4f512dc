"""Loads at first use what most commands never use: importing it takes a quarter of the start of a process.

Imported first by `admin_sync.cli`. Every later `import httpx` finds a module that fills itself when
something is taken from it (`importlib.util.LazyLoader`).
"""

from __future__ import annotations

import os
import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from typing import Final

_LATE: Final = ("httpx",)


def _load_late(name: str) -> None:
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


for _name in _LATE:
    _load_late(_name)
# pydantic would look through every installed distribution for plug-ins, of which we have none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
