"""The keyring: one derivation for all who wait, bounded in number and age, and the pin that was there first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from vault_api.keyring import KeyContextMismatch, Keyring, KeyUnavailable
from vault_api.kms.file import FileKms
from vault_api.salts import PartnerSalts, SaltsUnavailable
from vault_api.store.repository import KeyContext


@dataclass
class Holders:
    """Salts and pins in memory; what is asked of them is counted."""

    salts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    pinned: dict[tuple[str, int], KeyContext] = field(default_factory=dict)
    reads: int = 0
    away: bool = False

    async def read(self, partner: str) -> PartnerSalts:
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.away:
            raise SaltsUnavailable("away")
        known = self.salts.setdefault(partner, {1: b"s" * 32})
        return PartnerSalts(max(known), known)

    async def key_contexts(self, partner: str) -> dict[int, KeyContext]:
        return {version: context for (name, version), context in self.pinned.items() if name == partner}

    async def pin_key(self, partner: str, key_version: int, context: KeyContext) -> KeyContext:
        return self.pinned.setdefault((partner, key_version), context)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def keyring(holders: Holders, clock: Clock, *, roots: int = 1, **more: int) -> Keyring:
    kms = FileKms({version: bytes([version]) * 32 for version in range(1, roots + 1)}, roots)
    return Keyring(kms, holders, holders, clock=clock, **more)


async def test_all_who_wait_for_a_partner_share_one_derivation() -> None:
    holders = Holders()
    ring = keyring(holders, Clock())
    found = await asyncio.gather(*(ring.keys("acme") for _ in range(50)))
    assert holders.reads == 1
    assert len({id(keys) for keys in found}) == 1


async def test_one_who_gives_up_does_not_take_the_derivation_from_the_others() -> None:
    holders = Holders()
    ring = keyring(holders, Clock())
    first, second = (asyncio.create_task(ring.keys("acme")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).current().version == 1
    assert holders.reads == 1


async def test_a_key_is_kept_for_its_age_and_no_longer_even_if_the_clock_goes_back() -> None:
    holders, clock = Holders(), Clock()
    ring = keyring(holders, clock)
    await ring.keys("acme")
    holders.away = True
    for now in (1000.0, 1299.9):
        clock.now = now
        assert (await ring.keys("acme")).current().version == 1
    for now in (1300.0, 900.0):
        clock.now = now
        with pytest.raises(KeyUnavailable):
            await ring.keys("acme")


async def test_keys_of_the_least_recently_loaded_partners_are_dropped() -> None:
    holders = Holders()
    ring = keyring(holders, Clock(), max_partners=3)
    for name in ("a", "b", "c", "d"):
        await ring.keys(name)
    assert len(ring) == 3
    await ring.keys("d")
    assert holders.reads == 4
    await ring.keys("a")
    assert holders.reads == 5


async def test_a_key_stays_with_the_root_key_it_was_pinned_under() -> None:
    holders, clock = Holders(), Clock()
    before = (await keyring(holders, clock).keys("acme")).current().fingerprint()
    # The KMS has a newer root key now; what is pinned is still derived under the old one.
    after = (await keyring(holders, clock, roots=2).keys("acme")).current().fingerprint()
    assert after == before
    holders.salts["acme"][2] = b"t" * 32
    await keyring(holders, clock, roots=2).keys("acme")
    assert [holders.pinned["acme", version].root_version for version in (1, 2)] == [1, 2]


async def test_another_workers_pin_counts_even_under_another_root_key() -> None:
    holders, clock = Holders(), Clock()
    await keyring(holders, clock).keys("acme")

    async def blind(_: str) -> dict[int, KeyContext]:
        return {}  # Looked before the other one pinned.

    late = Holders(salts=holders.salts, pinned=holders.pinned)
    late.key_contexts = blind  # type: ignore[method-assign]
    assert (await keyring(late, clock, roots=2).keys("acme")).current().version == 1


async def test_a_pin_that_does_not_fit_is_a_mismatch_for_that_version_alone() -> None:
    holders, clock = Holders(), Clock()
    holders.salts["acme"] = {1: b"s" * 32, 2: b"t" * 32}
    holders.pinned["acme", 1] = KeyContext(1, bytes(16))
    keys = await keyring(holders, clock).keys("acme")
    assert keys.current().version == 2
    with pytest.raises(KeyContextMismatch) as refusal:
        keys.version(1)
    assert refusal.value.reason == "fingerprint_differs"
    with pytest.raises(KeyContextMismatch) as refusal:
        keys.version(3)
    assert refusal.value.reason == "salt_missing"


async def test_an_old_key_whose_root_key_is_gone_is_refused_alone() -> None:
    holders, clock = Holders(), Clock()
    await keyring(holders, clock).keys("acme")
    holders.salts["acme"][2] = b"t" * 32
    await keyring(holders, clock, roots=2).keys("acme")
    newer = Keyring(FileKms({2: bytes([2]) * 32}, 2), holders, holders, clock=clock)
    keys = await newer.keys("acme")
    assert keys.current().version == 2
    with pytest.raises(KeyContextMismatch) as refusal:
        keys.version(1)
    assert refusal.value.reason == "root_key_missing"


async def test_a_key_made_after_the_others_were_loaded_is_looked_for_once() -> None:
    holders = Holders()
    ring = keyring(holders, Clock())
    await ring.keys("acme")
    holders.salts["acme"] = {1: b"s" * 32, 2: b"t" * 32}
    assert (await ring.key("acme", 2)).version == 2
    with pytest.raises(KeyContextMismatch):
        await ring.key("acme", 9)
    assert holders.reads == 3
