"""The key cache against a real server: rotation, floods, outages, and answers that are no key sets."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from joserfc.jwk import ECKey, RSAKey
from loopback_server import Answer, answer_json, serving
from token_forge import EC, ED, ENCRYPTION, OTHER_RSA, RSA, key_set

from identity.jwks import KeysUnavailable
from identity.key_set import parse_key_set
from identity.reject import RejectReason, TokenRejected
from identity.strict_json import StrictJsonError


async def unknown(cache, key_id="nobody"):
    with pytest.raises(TokenRejected) as caught:
        await cache.find(key_id)
    assert caught.value.reason is RejectReason.KEY_UNKNOWN


async def test_keys_are_fetched_once_and_kept(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url)
        for _ in range(50):
            assert (await cache.find("rsa-1")).algorithms == {"RS256"}
            clock.pass_(5)
        assert len(server.seen) == 1
        assert cache.age() == 250


async def test_a_flood_of_unknown_key_ids_costs_one_fetch_per_cooldown(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url, cooldown=10)
        await cache.find("rsa-1")
        for period in range(4):
            for number in range(500):
                await unknown(cache, f"{period}-{number}")
                clock.pass_(0.01)
            clock.pass_(5.1)
        # The first fetch opens the first cool-down, so the flood of forty seconds adds three.
        assert len(server.seen) == 4


async def test_a_flood_from_many_tasks_at_once_is_one_fetch(keys_from):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url)
        await asyncio.gather(*(unknown(cache, str(number)) for number in range(300)))
        assert len(server.seen) == 1


async def test_keys_rotated_under_load_fail_no_login(keys_from, clock):
    keys = [RSA]
    with serving(lambda _: answer_json(key_set(*keys))) as server:
        cache = keys_from(server.url)
        await cache.find("rsa-1")
        clock.pass_(60)
        keys.append(EC)
        found = await asyncio.gather(*(cache.find(("rsa-1", "ec-1")[number % 2]) for number in range(200)))
        assert {key.key_id for key in found} == {"rsa-1", "ec-1"}
        assert len(server.seen) == 2


async def test_a_rotation_just_after_a_regular_refresh_is_noticed_at_once(keys_from, clock):
    keys = [RSA]
    with serving(lambda _: answer_json(key_set(*keys))) as server:
        cache = keys_from(server.url, refresh=60, cooldown=10)
        await cache.find("rsa-1")
        clock.pass_(61)
        await cache.find("rsa-1")
        await asyncio.sleep(0.2)
        assert len(server.seen) == 2
        keys.append(EC)
        assert (await cache.find("ec-1")).key_id == "ec-1"


async def test_one_who_asks_while_a_fetch_is_under_way_waits_for_it(keys_from):
    gate = threading.Event()
    with serving(lambda _: answer_json(key_set(), wait=gate)) as server:
        cache = keys_from(server.url)
        first = asyncio.create_task(cache.find("rsa-1"))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(cache.find("ec-1"))
        await asyncio.sleep(0.05)
        first.cancel()
        gate.set()
        assert (await second).key_id == "ec-1"
        assert len(server.seen) == 1


async def test_keys_live_through_an_outage_up_to_their_age_and_then_the_answer_is_unavailable(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url, max_age=1000, refresh=100, cooldown=10)
        await cache.find("rsa-1")
    for _ in range(9):
        clock.pass_(100)
        assert (await cache.find("rsa-1")).key_id == "rsa-1"
    clock.pass_(100)
    with pytest.raises(KeysUnavailable) as caught:
        await cache.find("rsa-1")
    assert caught.value.retry_after == 10
    assert not await cache.ready()


async def test_during_an_outage_an_unknown_key_is_unavailable_and_not_unknown(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url)
        await cache.find("rsa-1")
    clock.pass_(20)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await cache.find("rotated-meanwhile")


async def test_an_outage_costs_one_attempt_per_cooldown(keys_from, clock):
    with serving(lambda _: Answer(503)) as server:
        cache = keys_from(server.url, cooldown=10)
        for _ in range(100):
            with pytest.raises(KeysUnavailable):
                await cache.find("rsa-1")
            clock.pass_(0.2)
        assert len(server.seen) == 2


async def test_it_recovers_when_the_issuer_does(keys_from, clock):
    up = False
    with serving(lambda _: answer_json(key_set()) if up else Answer(500)) as server:
        cache = keys_from(server.url, cooldown=10)
        assert not await cache.ready()
        up = True
        clock.pass_(10)
        assert await cache.ready()
        assert (await cache.find("rsa-1")).key_id == "rsa-1"


async def test_a_clock_set_back_does_not_keep_old_keys_alive(keys_from, clock):
    with serving(lambda _: answer_json(key_set())) as server:
        cache = keys_from(server.url)
        await cache.find("rsa-1")
    clock.pass_(-3600)
    with pytest.raises(KeysUnavailable):
        await cache.find("rsa-1")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(302, headers={"Location": "http://127.0.0.1:1/keys"}),
        Answer(404),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, b'{"keys":{}}'),
        Answer(200, b'{"keys":[]}'),
        Answer(200, b'{"keys":[],"keys":[]}'),
        Answer(200, b" " * 300_000),
        Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}),
        Answer(cut=True),
    ],
    ids=["redirect", "404", "html", "list", "object", "empty", "duplicate", "huge", "compressed", "cut"],
)
async def test_an_answer_that_is_no_key_set_replaces_nothing(keys_from, clock, answer):
    answers = [answer_json(key_set())]
    with serving(lambda _: answers[-1]) as server:
        cache = keys_from(server.url, refresh=10)
        await cache.find("rsa-1")
        answers.append(answer)
        clock.pass_(20)
        assert (await cache.find("rsa-1")).key_id == "rsa-1"
        await asyncio.sleep(0.1)
        assert (await cache.find("rsa-1")).key_id == "rsa-1"
        assert len(server.seen) == 2


async def test_an_issuer_that_answers_byte_by_byte_is_given_up_after_the_timeout(keys_from):
    with serving(lambda _: answer_json(key_set(), drip=0.05)) as server:
        cache = keys_from(server.url, timeout=0.3)
        async with asyncio.timeout(2):
            with pytest.raises(KeysUnavailable):
                await cache.find("rsa-1")


def parsed(*entries):
    return parse_key_set(json.dumps({"keys": list(entries)}).encode())


GOOD = EC.as_dict(private=False)


@pytest.mark.parametrize(
    "entry",
    [
        ENCRYPTION.as_dict(private=False),
        {**RSA.as_dict(private=False), "use": "enc"},
        {**RSA.as_dict(private=False), "key_ops": ["encrypt"]},
        {**RSA.as_dict(private=False), "alg": "ES256"},
        {**RSA.as_dict(private=False), "alg": "HS256"},
        {**RSA.as_dict(private=False), "alg": ["RS256"]},
        {**RSA.as_dict(private=False), "e": "AQ"},
        {**RSA.as_dict(private=False), "e": "Ag"},
        {**RSA.as_dict(private=False), "n": "A" * 100_000},
        {**RSA.as_dict(private=False), "n": 5},
        {**RSA.as_dict(private=False), "kid": None},
        {**RSA.as_dict(private=False), "kty": "rsa"},
        RSA.as_dict(private=True),
        {"kty": "oct", "kid": "secret", "k": "AAAA", "use": "sig", "alg": "HS256"},
        {**GOOD, "crv": "secp256k1"},
        {**GOOD, "x": "AAAA"},
        {**GOOD, "y": GOOD["x"]},
        {**ED.as_dict(private=False), "crv": "X25519"},
        {"kty": "EC"},
        {},
        "text",
        None,
    ],
)
def test_an_unusable_key_is_left_out_and_the_others_stay(entry):
    good = {**GOOD, "kid": "good"}
    assert set(parsed(entry, good)) == {"good"}
    with pytest.raises(StrictJsonError):
        parsed(entry)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_small_rsa_key_is_left_out():
    small = RSAKey.generate_key(1024, {"kid": "small", "use": "sig", "alg": "RS256"})
    with pytest.raises(StrictJsonError):
        parsed(small.as_dict(private=False))


def test_two_keys_of_one_id_are_both_left_out():
    assert set(parsed(RSA.as_dict(private=False), OTHER_RSA.as_dict(private=False), GOOD)) == {"ec-1"}


def test_a_key_set_of_absurd_length_is_refused():
    with pytest.raises(StrictJsonError):
        parsed(*[GOOD] * 65)


def test_a_curve_fixes_the_algorithm():
    key = ECKey.generate_key("P-384", {"kid": "k"})
    assert parsed(key.as_dict(private=False))["k"].algorithms == {"ES384"}
