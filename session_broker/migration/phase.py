"""The four phases of leaving a platform's own tokens, and what each means for a request. Pure."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """In their order; one step at a time, forward or back.

    Whoever is believed stands in the upstream's `Authorization`; the other token, where there is one, stands beside it.
    """

    LEGACY_ONLY = 0
    BOTH = 1
    NEW_PREFERRED = 2
    NEW_ONLY = 3

    @property
    def label(self) -> str:
        """As it is written in files, on the command line and in metrics."""
        return self.name.lower()

    @property
    def takes_legacy(self) -> bool:
        """Whether a caller may come with a legacy token."""
        return self is not Phase.NEW_ONLY

    @property
    def takes_new(self) -> bool:
        """Whether a caller may come with any other token."""
        return self is not Phase.LEGACY_ONLY

    @property
    def legacy_first(self) -> bool:
        """Whether the upstream finds the legacy token in `Authorization`."""
        return self <= Phase.BOTH

    @property
    def hands_legacy(self) -> bool:
        """Whether the upstream gets a legacy token at all."""
        return self.takes_legacy

    @property
    def hands_new(self) -> bool:
        """Whether the upstream gets an internal token at all."""
        return self.takes_new

    @property
    def discourages_legacy(self) -> bool:
        """Whether whoever still comes with a legacy token is told that it will end (RFC 9745, RFC 8594)."""
        return self is Phase.NEW_PREFERRED

    def step(self, steps: int) -> Phase:
        """The phase that many steps on, or back. Raises ValueError beyond the ends."""
        return Phase(self + steps)


def parse(text: str) -> Phase:
    """The phase of a label. Raises ValueError, which names those there are."""
    for phase in Phase:
        if phase.label == text:
            return phase
    raise ValueError(f"not a phase; there are {', '.join(phase.label for phase in Phase)}")
