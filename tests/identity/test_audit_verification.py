"""Whatever is done to an audit file afterwards, verification names the first line that does not fit."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.audit.chain import START, Chain, Head, follow, head_of
from identity.audit.checkpoint import (
    Checkpoint,
    CheckpointRefused,
    open_checkpoint,
    sign_checkpoint,
    write_checkpoint,
)
from identity.audit.event import AuditEvent
from identity.audit.log import AuditLog
from identity.audit.verify import MAX_LINE, verify_file

KEY = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
PUBLIC = KEY.public_key()
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def chain_lines(count, *, source="a", node="n", start=START):
    head, lines = start, []
    for number in range(count):
        event = AuditEvent(event="e", outcome="success", resource=f"{source}-{number}", amr=("hwk",), key_version=1)
        record = follow(head, {"time": f"t{number}", "node": node, "source": source, **event.record()})
        head = head_of(record)
        lines.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    return lines


def interleaved(count=12):
    """Two chains in one file, line by line in turn."""
    return [line for pair in zip(chain_lines(count), chain_lines(count, source="b"), strict=True) for line in pair]


LINES = interleaved()


@pytest.fixture
def checked(tmp_path):
    path = tmp_path / "iam_events.jsonl"
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()

    def check(lines, *, signed=(), bare=False):
        path.write_bytes(b"".join(lines))
        for note in checkpoints.iterdir():
            note.unlink()
        for record in signed:
            write_checkpoint(checkpoints, path.name, Chain(record["source"], record["node"]), head_of(record), KEY)
        return verify_file(path) if bare else verify_file(path, checkpoints, PUBLIC)

    return check


def last_of(lines, source):
    return next(record for line in reversed(lines) if (record := json.loads(line))["source"] == source)


def test_an_untouched_file_is_fine(checked):
    report = checked(LINES, signed=[last_of(LINES, "a"), last_of(LINES, "b")])
    assert report.ok
    assert report.lines == 24
    assert report.checkpoints == 2
    assert {chain.source: head.seq for chain, head in report.heads.items()} == {"a": 12, "b": 12}


def test_an_empty_file_is_fine_until_a_checkpoint_says_otherwise(checked):
    assert checked([]).ok
    bad = checked([], signed=[last_of(LINES, "a")]).bad
    assert (bad.line, str(bad.chain), bad.seq) == (1, "a/n", 1)


@FUZZ
@given(data=st.data())
def test_any_value_edited_anywhere_is_named_at_its_line(checked, data):
    index = data.draw(st.integers(0, len(LINES) - 1))
    record = json.loads(LINES[index])
    name = data.draw(st.sampled_from(sorted(set(record) - {"seq", "source", "node"})))
    other = data.draw(
        st.sampled_from(["x", None, 0, ["pwd"], True, "0" * 64]).filter(lambda value: value != record[name])
    )
    record[name] = other
    bad = checked([*LINES[:index], json.dumps(record).encode() + b"\n", *LINES[index + 1 :]], bare=True).bad
    assert bad.line == index + 1
    if bad.seq is not None:
        assert bad.seq == record["seq"]
        assert "edited" in bad.why


@FUZZ
@given(data=st.data())
def test_any_byte_changed_anywhere_is_noticed_at_its_line_or_not_at_all_a_change_of_meaning(checked, data):
    whole = b"".join(LINES)
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
    report = checked([changed], bare=True)
    line = whole[:place].count(b"\n") + 1
    if report.ok:
        # The very last newline makes the last line torn; a change that JSON reads alike is no change.
        assert place == len(whole) - 1 or json.loads(changed.split(b"\n")[line - 1]) == json.loads(LINES[line - 1])
    else:
        assert report.bad.line == line


@FUZZ
@given(index=st.integers(0, len(LINES) - 3))
def test_a_removed_line_is_named_at_the_next_of_its_chain(checked, index):
    bad = checked([*LINES[:index], *LINES[index + 1 :]], bare=True).bad
    removed = json.loads(LINES[index])
    assert bad.line == index + 2
    assert (bad.chain.source, bad.seq) == (removed["source"], removed["seq"] + 1)
    assert f"seq {removed['seq']} to {removed['seq']} are missing" in bad.why


@FUZZ
@given(source=st.integers(0, len(LINES) - 1), target=st.integers(0, len(LINES)))
def test_a_repeated_line_is_named_where_it_stands(checked, source, target):
    bad = checked([*LINES[:target], LINES[source], *LINES[target:]], bare=True).bad
    assert bad is not None
    if target > source:
        assert (bad.line, bad.seq) == (target + 1, json.loads(LINES[source])["seq"])
        assert "repeated" in bad.why
    else:
        assert bad.line <= source + 2


@FUZZ
@given(seed=st.integers(0, 10_000))
def test_lines_in_another_order_are_noticed_at_the_first_that_is_out_of_place(checked, seed):
    shuffled = LINES[:]
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    seen = {"a": 0, "b": 0}
    first = None
    for number, line in enumerate(shuffled, 1):
        record = json.loads(line)
        if record["seq"] != seen[record["source"]] + 1:
            first = number
            break
        seen[record["source"]] += 1
    bad = checked(shuffled, bare=True).bad
    assert (bad.line if bad else None) == first


def test_an_inserted_line_with_a_hash_of_its_own_is_named_at_the_line_or_the_next(checked):
    lines = chain_lines(6)
    head = head_of(json.loads(lines[2]))
    forged = follow(head, {**json.loads(lines[3]), "actor": "mallory"})
    bad = checked([*lines[:3], json.dumps(forged).encode() + b"\n", *lines[3:]], bare=True).bad
    assert (bad.line, bad.seq) == (5, 4)


def test_a_line_replaced_with_a_hash_of_its_own_breaks_at_the_next(checked):
    lines = chain_lines(6)
    forged = follow(head_of(json.loads(lines[1])), {**json.loads(lines[2]), "actor": "mallory"})
    bad = checked([*lines[:2], json.dumps(forged).encode() + b"\n", *lines[3:]], bare=True).bad
    assert (bad.line, bad.seq) == (4, 4)
    assert "seq 3" in bad.why


def test_a_tail_forged_to_its_end_is_named_by_its_checkpoint(checked):
    lines = chain_lines(6)
    honest = [json.loads(line) for line in lines]
    forged, head = [], head_of(honest[2])
    for record in honest[3:]:
        fake = follow(head, {**record, "actor": "mallory"})
        head = head_of(fake)
        forged.append(json.dumps(fake).encode() + b"\n")
    assert checked([*lines[:3], *forged], bare=True).ok
    bad = checked([*lines[:3], *forged], signed=[honest[4]]).bad
    assert (bad.line, bad.seq) == (5, 5)
    assert "checkpoint" in bad.why


@pytest.mark.parametrize("kept", range(11))
def test_lines_cut_off_at_the_end_are_named_by_a_checkpoint(checked, kept):
    lines = chain_lines(12)
    assert checked(lines[:kept], bare=True).ok
    bad = checked(lines[:kept], signed=[json.loads(lines[5]), json.loads(lines[10])]).bad
    assert (bad.line, bad.seq) == (kept + 1, kept + 1)
    assert "cut off" in bad.why
    assert "seq 11" in bad.why


def test_another_file_in_its_place_is_named_by_a_checkpoint(tmp_path, checked):
    signed = [last_of(LINES, "a"), last_of(LINES, "b")]
    assert checked(LINES, signed=signed).ok
    bad = checked(chain_lines(20, source="vault"), signed=signed).bad
    assert (bad.line, str(bad.chain), bad.seq) == (21, "a/n", 1)
    same_names = chain_lines(30, start=Head(0, "0" * 64), node="n")
    other = [line.replace(b'"a-', b'"z-') for line in same_names]
    assert checked(other, signed=signed).bad.line == 1


def test_checkpoints_of_one_file_say_nothing_of_another(tmp_path):
    lines = chain_lines(3)
    path = tmp_path / "api_events.jsonl"
    path.write_bytes(b"".join(lines))
    notes = tmp_path / "checkpoints"
    write_checkpoint(notes, "iam_events.jsonl", Chain("a", "n"), Head(9, "1" * 64), KEY)
    report = verify_file(path, notes, PUBLIC)
    assert report.ok
    assert report.checkpoints == 0
    assert not verify_file(path, notes, PUBLIC, name="iam_events.jsonl").ok


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_last_line_is_said_and_is_no_error(checked, cut):
    lines = chain_lines(4)
    report = checked([*lines[:3], lines[3][:-cut]], bare=True)
    assert report.ok
    assert report.lines == 3
    assert report.torn_bytes == len(lines[3]) - cut


def test_half_a_line_that_is_not_the_last_is_an_error(checked):
    lines = chain_lines(4)
    bad = checked([lines[0], lines[1][:-20] + b"\n", *lines[2:]], bare=True).bad
    assert bad.line == 2


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"\xff\n",
        b'{"source":"a"}\n',
        b'{"source":"a","node":"n","seq":"3"}\n',
        b"x" * (MAX_LINE + 5) + b"\n",
        b"[" * 50_000 + b"\n",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_is_no_audit_line_is_named(checked, line):
    lines = chain_lines(4)
    bad = checked([*lines[:2], line, *lines[2:]], bare=True).bad
    assert bad.line == 3


def test_a_line_with_a_key_twice_is_no_audit_line(checked):
    lines = chain_lines(3)
    doubled = lines[1].replace(b'{"seq":2,', b'{"seq":2,"actor":"mallory",')
    bad = checked([lines[0], doubled, lines[2]], bare=True).bad
    assert bad.line == 2
    assert "same key twice" in bad.why


def test_memory_stays_flat_however_long_the_file_is(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"".join(chain_lines(5000)))
    assert path.stat().st_size > 2_000_000
    tracemalloc.start()
    report = verify_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.ok
    assert peak < 500_000


def test_one_endless_line_is_not_read_into_memory(tmp_path):
    path = tmp_path / "endless.jsonl"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    tracemalloc.start()
    report = verify_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.bad.line == 1
    assert peak < 2_000_000


def test_a_log_signs_a_checkpoint_every_so_many_lines_and_when_it_is_closed(tmp_path):
    path = tmp_path / "api_events.jsonl"
    log = AuditLog(path, source="svc", node="n1", checkpoint_key=KEY, checkpoint_every=10)
    for _ in range(35):
        log.append_sync(AuditEvent(event="e", outcome="success"))
    log.close()
    notes = sorted((tmp_path / "checkpoints").iterdir())
    seqs = [open_checkpoint(note.read_text("utf-8"), PUBLIC).head.seq for note in notes]
    assert seqs == [10, 20, 30, 35]
    report = verify_file(path, tmp_path / "checkpoints", PUBLIC)
    assert report.ok
    assert report.checkpoints == 4
    kept = path.read_bytes().split(b"\n")[:29]
    path.write_bytes(b"\n".join(kept) + b"\n")
    assert "cut off" in verify_file(path, tmp_path / "checkpoints", PUBLIC).bad.why


def test_a_log_that_wrote_nothing_signs_nothing(tmp_path):
    path = tmp_path / "iam_events.jsonl"
    path.write_bytes(b"".join(chain_lines(5, source="svc")))
    AuditLog(path, source="svc", node="n", checkpoint_key=KEY, checkpoint_every=1).close()
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_that_cannot_be_written_fails_no_event_and_is_tried_again(tmp_path):
    path = tmp_path / "api_events.jsonl"
    place = tmp_path / "checkpoints"
    place.write_text("a file in the way")
    log = AuditLog(path, source="svc", node="n1", checkpoint_key=KEY, checkpoint_every=2)
    for _ in range(3):
        log.append_sync(AuditEvent(event="e", outcome="success"))
    place.unlink()
    log.append_sync(AuditEvent(event="e", outcome="success"))
    log.close()
    assert max(place.iterdir()).name == "api_events.jsonl.svc.n1.000000000004.checkpoint"
    assert verify_file(path, place, PUBLIC).ok


def test_a_checkpoint_is_a_c2sp_signed_note():
    checkpoint = Checkpoint("iam_events.jsonl", Chain("admin-sync", "host-1"), Head(7, "ab" * 32))
    note = sign_checkpoint(checkpoint, KEY)
    origin, size, digest, blank, signature, end = note.split("\n")
    assert origin == "tradepulse.example/audit/iam_events.jsonl/admin-sync/host-1"
    assert size == "7"
    assert base64.b64decode(digest) == bytes.fromhex("ab" * 32)
    assert (blank, end) == ("", "")
    assert signature.startswith(f"\u2014 {origin} ")
    blob = base64.b64decode(signature.rpartition(" ")[2])
    assert len(blob) == 4 + 64
    PUBLIC.verify(blob[4:], note.partition("\n\n")[0].encode() + b"\n")
    assert open_checkpoint(note, PUBLIC) == checkpoint


def test_a_strange_partner_or_node_keeps_its_own_origin():
    chain = Chain("vault-api", "a/b c\n+é")
    checkpoint = Checkpoint("api_events.jsonl", chain, Head(1, "0" * 64))
    assert "\n" not in checkpoint.origin
    assert " " not in checkpoint.origin
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY), PUBLIC) == checkpoint
    assert open_checkpoint(sign_checkpoint(Checkpoint("f", Chain("vault-api", ""), Head(1, "0" * 64)), KEY), PUBLIC)


def test_a_signature_by_a_witness_beside_ours_is_ignored_and_alone_is_refused():
    checkpoint = Checkpoint("f", Chain("s", "n"), Head(1, "0" * 64))
    note = sign_checkpoint(checkpoint, KEY)
    witness = f"\u2014 witness.example {base64.b64encode(b'x' * 76).decode()}\n"
    assert open_checkpoint(note + witness, PUBLIC) == checkpoint
    text = note.partition("\n\n")[0]
    with pytest.raises(CheckpointRefused):
        open_checkpoint(f"{text}\n\n{witness}", PUBLIC)


@FUZZ
@given(data=st.data())
def test_a_checkpoint_with_any_character_changed_is_refused(data):
    note = sign_checkpoint(Checkpoint("f", Chain("s", "n"), Head(12, "0" * 64)), KEY)
    place = data.draw(st.integers(0, len(note) - 1))
    letter = data.draw(st.sampled_from("0A\n /—").filter(lambda letter: letter != note[place]))
    with pytest.raises(CheckpointRefused):
        open_checkpoint(note[:place] + letter + note[place + 1 :], PUBLIC)


def test_a_checkpoint_by_another_key_is_refused_and_reported(tmp_path):
    lines = chain_lines(3)
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"".join(lines))
    notes = tmp_path / "checkpoints"
    other = Ed25519PrivateKey.generate()
    write_checkpoint(notes, path.name, Chain("a", "n"), head_of(json.loads(lines[2])), other)
    report = verify_file(path, notes, PUBLIC)
    assert not report.ok
    assert report.bad is None
    assert "not signed by the expected key" in report.bad_checkpoints[0]


def test_a_key_without_checkpoints_or_the_other_way_round_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="checkpoints need the public key"):
        verify_file(tmp_path / "f", tmp_path)
    with pytest.raises(ValueError, match="checkpoints need the public key"):
        verify_file(tmp_path / "f", public_key=PUBLIC)
