"""Which process of a parallel run takes which module: `pytest -p tests.distribution --dist loadfile --numprocesses 4`.

A module's tests stay in one process, because they share servers that its fixtures start. At most STACKS processes have
a whole stack, which costs a minute of two cores and 2 GB of memory: they begin with the modules that need one, and the
others do what needs none while those wait for servers. Long modules come first, so that none is left for the end.

`seconds.json` says what is long, and only the order depends on it. TRADEPULSE_WRITE_SECONDS=1 writes it after a run.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling

STACKS: Final = 2
KNOWN: Final = Path(__file__).with_name("seconds.json")
USUAL: Final = 5
"""Seconds that a module takes of which nothing is known."""
SHORT: Final = 3
"""Seconds below which a module is not worth a line."""
START: Final = 30
"""A fixture that takes longer starts the stack, whose time is no module's own."""
NEEDY: Final = "modules_with_stack"
"""Where a process that has collected the tests tells the scheduler which modules need the stack."""


def module(nodeid: str) -> str:
    """The file of a test."""
    return nodeid.split("::", 1)[0]


class Placed(LoadFileScheduling):
    """Gives each module to a process that may have it, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Any, needy: Path) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._told = needy
        self._with_stack: set[Any] = set()

    def remove_node(self, node: Any) -> str | None:
        """A process that crashed has no stack any more; the one in its place may have one."""
        self._with_stack.discard(node)
        return super().remove_node(node)

    def _assign_work_unit(self, node: Any) -> None:
        needy = set(json.loads(self._told.read_text()))
        open_to_it = node in self._with_stack or len(self._with_stack) < STACKS
        scope = next((one for one in self.workqueue if open_to_it or one not in needy), None)
        if scope is None:
            # What is left needs a stack, and those who have one will come to it.
            node.shutdown()
            return
        if scope in needy:
            self._with_stack.add(node)
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


class Controller:
    """The process that hands out the tests and hears how long they took."""

    def __init__(self, folder: Path) -> None:
        self._needy = folder / "modules.json"
        self._seconds: Counter[str] = Counter()

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process where to say which modules need the stack."""
        node.workerinput[NEEDY] = str(self._needy)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Placed | None:
        """Ours, where modules stay whole."""
        return Placed(config, log, self._needy) if config.getoption("dist") == "loadfile" else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a test took to its module."""
        if report.when != "setup" or report.duration < START:
            self._seconds[module(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Write down what was measured, if that is wanted; what did not run keeps its line."""
        if os.environ.get("TRADEPULSE_WRITE_SECONDS"):
            found = {**seconds(), **{name: round(taken) for name, taken in self._seconds.items()}}
            kept = {name: taken for name, taken in sorted(found.items()) if taken >= SHORT and Path(name).exists()}
            KNOWN.write_text(json.dumps(kept, indent=1) + "\n")


def seconds() -> dict[str, int]:
    """Module -> the seconds that it took when it was last measured."""
    found: dict[str, int] = json.loads(KNOWN.read_text())
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Be the controller, in the process that is."""
    if not hasattr(config, "workerinput") and config.getoption("numprocesses", None):
        folder = tempfile.TemporaryDirectory(prefix="tradepulse-tests-")
        config.add_cleanup(folder.cleanup)
        config.pluginmanager.register(Controller(Path(folder.name)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the modules, and say which of them need the stack."""
    told = getattr(config, "workerinput", {}).get(NEEDY)
    if told is None:
        return
    known = seconds()
    needy = {module(item.nodeid) for item in items if item.get_closest_marker("integration")}

    def place(item: pytest.Item) -> tuple[bool, int, str]:
        name = module(item.nodeid)
        return name not in needy, -known.get(name, USUAL), name

    items.sort(key=place)
    # Every process says the same; one that reads while another writes sees a whole file.
    unfinished = Path(f"{told}.{os.getpid()}")
    unfinished.write_text(json.dumps(sorted(needy)))
    unfinished.replace(told)
