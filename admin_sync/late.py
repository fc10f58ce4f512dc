"""Loads at first use what most commands never use: importing it takes a third of the start of a process.

Imported first by `admin_sync.cli`. From then on, `import httpx` gives a module that fills itself when something is
taken from it. `importlib.util.LazyLoader` does the same and to no effect on Python 3.11, where the import of a
module that is there already asks it for its spec, which counts as a use.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any, Final

_LATE: Final = ("httpx",)
_LOCK: Final = RLock()
_FILLING: Final[set[str]] = set()


class _Late(ModuleType):
    """A module that is not filled yet. What the import system asks about it is there from the beginning."""

    __spec__: ModuleSpec

    def __getattr__(self, name: str) -> Any:
        with _LOCK:
            if type(self) is _Late:
                loader = self.__spec__.loader
                if loader is None or self.__name__ in _FILLING:
                    # It fills itself just now, in this very thread, and what is not there yet is missing as anywhere.
                    raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
                _FILLING.add(self.__name__)
                loader.exec_module(self)
                # Only now, so that other threads wait for the lock until it is whole.
                self.__class__ = ModuleType  # type: ignore[assignment]
        return getattr(self, name)


def _load_late(name: str) -> None:
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Late
    sys.modules[name] = module


for _name in _LATE:
    _load_late(_name)
# pydantic would look through every installed distribution for plug-ins, of which we have none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
