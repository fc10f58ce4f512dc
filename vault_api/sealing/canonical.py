"""One encoding of a tuple of byte strings, so that no two different tuples ever look alike.

Plain concatenation would make ("ab", "c") and ("a", "bc") the same message to a MAC, and a partner
could be named so that its message equals another's. A length before every part rules that out.
"""

from __future__ import annotations

UINT32_MAX = 0xFFFF_FFFF
UINT64_MAX = 0xFFFF_FFFF_FFFF_FFFF


def uint32(number: int) -> bytes:
    """Four bytes, big-endian. Raises ValueError outside 0 … 2**32 - 1."""
    if not 0 <= number <= UINT32_MAX:
        raise ValueError(f"{number} does not fit 32 bits")
    return number.to_bytes(4, "big")


def uint64(number: int) -> bytes:
    """Eight bytes, big-endian. Raises ValueError outside 0 … 2**64 - 1."""
    if not 0 <= number <= UINT64_MAX:
        raise ValueError(f"{number} does not fit 64 bits")
    return number.to_bytes(8, "big")


def canonical(*parts: bytes) -> bytes:
    """Every part behind its length as an unsigned 32-bit big-endian number.

    Raises ValueError for a part longer than 2**32 - 1 bytes.
    """
    return b"".join(uint32(len(part)) + part for part in parts)
