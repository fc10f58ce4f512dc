"""How recorded calls are cut into transactions, and what stands for ids until the server knows them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_sync.keycloak.bulk.batch import MIXED, STAGE, Batch, Operation
from admin_sync.keycloak.bulk.capability import PROTOCOL, Capability
from admin_sync.keycloak.bulk.reader import BulkReader
from admin_sync.model import Ref
from admin_sync.refs import BINDING, ROLE, USER

WIDE = Capability(operations=1000, bytes=8 << 20)


def recorded(*objects: tuple[str, int]) -> Batch:
    """A batch of objects, each with so many operations."""
    batch = Batch()
    for number, (kind, operations) in enumerate(objects):
        for step in range(operations):
            batch.add(Operation(Ref(kind, f"o{number}"), "POST", f"roles/o{number}/{step}", {"text": "ü" * 10}))
    return batch


def test_what_fits_is_one_transaction() -> None:
    [stage] = recorded(*[(ROLE, 1)] * 500, *[(USER, 1)] * 500).stages(WIDE)
    assert (stage.start, stage.end) == (0, 1000)


@given(
    objects=st.lists(st.tuples(st.sampled_from([ROLE, USER, BINDING]), st.integers(1, 4)), max_size=60),
    operations=st.integers(4, 40),
    size=st.integers(4096 + 600, 10_000),
)
def test_stages_hold_everything_once_in_order_and_within_the_limits(
    objects: list[tuple[str, int]], operations: int, size: int
) -> None:
    batch = recorded(*objects)
    stages = batch.stages(Capability(operations, size))
    assert [one for stage in stages for one in stage.operations] == batch.operations
    for stage in stages:
        assert stage.end - stage.start <= operations
        assert len(orjson.dumps(stage.document([None] * len(batch.operations)))) <= size
    whole = [{one.ref for one in stage.operations} for stage in stages]
    assert sum(map(len, whole)) == len({one.ref for one in batch.operations}), "an object was torn apart"


def test_a_large_plan_keeps_those_who_need_each_other_apart_from_those_who_do_not() -> None:
    stages = recorded(*[(ROLE, 1)] * 230, *[(USER, 1)] * 900).stages(WIDE)
    assert [(stage.end - stage.start, stage.independent) for stage in stages] == [
        (MIXED, None),
        (MIXED, None),
        (30, None),
        (STAGE, USER),
        (STAGE, USER),
        (100, USER),
    ]


def test_a_later_stage_refers_to_what_an_earlier_one_made_by_its_id() -> None:
    batch = Batch()
    made = batch.add(Operation(Ref(USER, "a"), "POST", "users", {}))
    role = batch.placeholder("role", "viewer")
    batch.add(Operation(Ref(BINDING, "b"), "POST", f"users/{made}/role-mappings/realm", [{"id": role}]))
    together = batch.stages(WIDE)[0].document([None, None])
    apart = batch.stages(Capability(1, 1 << 20))[1].document(["id-of-a", None])
    assert together["protocol"] == apart["protocol"] == PROTOCOL
    assert list(together["names"].values()) == [
        {"kind": "operation", "words": ["0"]},
        {"kind": "role", "words": ["viewer"]},
    ]
    assert list(apart["names"].values()) == [
        {"kind": "id", "words": ["id-of-a"]},
        {"kind": "role", "words": ["viewer"]},
    ]


def test_no_text_of_a_configuration_is_a_placeholder() -> None:
    assert Batch().nonce != Batch().nonce
    assert len(Batch().nonce) == 32
    batch = Batch()
    batch.add(Operation(Ref(ROLE, "x"), "POST", "roles", {"description": f"{'0' * 32}x0x x0x @role/admin"}))
    assert batch.stages(WIDE)[0].document([None])["names"] == {}


@pytest.mark.parametrize("document", [None, {}])
def test_no_document_is_no_realm(document: dict[str, object] | None) -> None:
    reader = BulkReader("r", document)
    assert reader.representation is None
    assert list(reader.users) == []


def test_members_are_accounts_and_clients_accounts_are_no_people() -> None:
    people = [{"id": "1", "username": "a"}, {"id": "2", "username": "b", "serviceAccountClientLink": "c"}]
    export = {"roles": {"realm": [{"id": "r", "name": "viewer"}], "client": {"c": [{"id": "k", "name": "op"}]}}}
    members = {"r": ["1", "2", "gone"], "k": ["2"]}
    reader = BulkReader(
        "r", {"export": export, "users": people, "role_members": members, "group_members": {"g": ["1"]}}
    )
    assert [one["id"] for one in reader.users] == ["1"]
    assert reader.role_members(["viewer", "none"]) == {"viewer": people, "none": []}
    assert reader.client_role_members([("c", "op")]) == {("c", "op"): people[1:]}
    assert reader.group_members(["g", "none"]) == {"g": people[:1], "none": []}
