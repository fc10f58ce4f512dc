"""What the worker runs."""

from __future__ import annotations

from typing import Protocol


class Task(Protocol):
    """Something that is done again and again, by as many workers as there are.

    name:  ASCII, fixed in the code: it labels metrics and log lines
    every: seconds from the end of one round to the start of the next
    """

    @property
    def name(self) -> str: ...

    @property
    def every(self) -> float: ...

    async def run_once(self) -> None:
        """Does what is due now, and returns when nothing is.

        Whatever it raises is logged, counted and tried again later. It may be cancelled at any await
        when the worker stops, or the process may be killed at any instruction: the next round, here
        or in another worker, has to find out where things stand.
        """
