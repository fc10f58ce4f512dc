"""Publishing: whole bundles only, never backwards, no freeze ended by accident, nothing done for nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from bundle_workshop import Workshop

from admin_sync.bundle.directory import Directory
from admin_sync.bundle.errors import FreezeInForce, PublishFailed, StaleSerial
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.publish import Outcome, publish
from admin_sync.bundle.published import CURRENT, PREVIOUS, read_meta, read_published
from admin_sync.bundle.source import PolicySource

NOW = 1795446000.0
DAY = 86400


def test_a_published_bundle_is_what_was_built_and_the_one_before_is_kept(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    place = tmp_path / "out" / "bundles"
    first, second = workshop.build(source), workshop.build(replace(source, grants=()), NOW + 1)
    assert publish(first, Directory(place), clock=lambda: NOW).outcome is Outcome.PUBLISHED
    done = publish(second, Directory(place), clock=lambda: NOW + 1)
    assert (done.outcome, done.meta, done.before) == (Outcome.PUBLISHED, second.meta, first.meta)
    assert (place / CURRENT).read_bytes() == second.content
    assert (place / PREVIOUS).read_bytes() == first.content
    assert {path.name for path in place.iterdir()} == {CURRENT, PREVIOUS, ".publish.lock"}


def test_a_serial_that_is_not_above_the_published_one_is_refused(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    newer, older = workshop.build(source, NOW), workshop.build(replace(source, grants=()), NOW - 1)
    publish(newer, Directory(tmp_path), clock=lambda: NOW)
    for bundle in (older, newer):
        with pytest.raises(StaleSerial, match=f"has serial {newer.meta.serial}.*Build again"):
            publish(bundle, Directory(tmp_path), clock=lambda: NOW)
    assert (tmp_path / CURRENT).read_bytes() == newer.content


def test_the_same_content_is_published_again_only_when_half_of_its_time_is_over(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    first = workshop.build(source, NOW, validity=2 * DAY)
    publish(first, Directory(tmp_path), clock=lambda: NOW)
    early, late = (workshop.build(source, NOW + DAY + s, validity=2 * DAY) for s in (0, 1))
    assert early.meta.digest == first.meta.digest != early.meta.revision
    unchanged = publish(early, Directory(tmp_path), clock=lambda: NOW + DAY)
    assert (unchanged.outcome, unchanged.meta) == (Outcome.UNCHANGED, first.meta)
    assert (tmp_path / CURRENT).read_bytes() == first.content
    assert publish(late, Directory(tmp_path), clock=lambda: NOW + DAY + 1).outcome is Outcome.RENEWED
    assert read_published(tmp_path) == late.meta


def test_a_freeze_is_published_and_only_a_thaw_ends_it(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    publish(workshop.build(source, NOW), Directory(tmp_path), clock=lambda: NOW)
    frozen = publish(workshop.build(source, NOW + 1, frozen=True), Directory(tmp_path), clock=lambda: NOW)
    assert frozen.outcome is Outcome.PUBLISHED
    normal = workshop.build(source, NOW + 2)
    with pytest.raises(FreezeInForce, match="admin-sync bundle thaw"):
        publish(normal, Directory(tmp_path), clock=lambda: NOW)
    assert publish(normal, Directory(tmp_path), thaw=True, clock=lambda: NOW).outcome is Outcome.PUBLISHED
    assert read_published(tmp_path) == normal.meta


def test_a_freeze_can_be_renewed_while_it_lasts(workshop: Workshop, source: PolicySource, tmp_path: Path) -> None:
    publish(workshop.build(source, NOW, frozen=True), Directory(tmp_path), clock=lambda: NOW)
    changed = workshop.build(replace(source, grants=()), NOW + 1, frozen=True)
    assert publish(changed, Directory(tmp_path), clock=lambda: NOW).outcome is Outcome.PUBLISHED


@pytest.mark.parametrize("left", [0, 100])
def test_a_bundle_that_cannot_be_read_is_replaced(
    workshop: Workshop, source: PolicySource, tmp_path: Path, left: int
) -> None:
    first = workshop.build(source, NOW)
    (tmp_path / CURRENT).write_bytes(first.content[:left])
    assert read_published(tmp_path) is None
    assert publish(first, Directory(tmp_path), clock=lambda: NOW).outcome is Outcome.PUBLISHED
    assert (tmp_path / CURRENT).read_bytes() == first.content


def test_a_bundle_that_was_cut_off_is_replaced_and_still_guards_a_freeze(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    frozen = workshop.build(source, NOW, frozen=True)
    (tmp_path / CURRENT).write_bytes(frozen.content[: len(frozen.content) // 2])
    with pytest.raises(FreezeInForce):
        publish(workshop.build(source, NOW + 1), Directory(tmp_path), clock=lambda: NOW)
    again = workshop.build(source, NOW + 1, frozen=True)
    assert publish(again, Directory(tmp_path), clock=lambda: NOW).outcome is Outcome.PUBLISHED


def test_a_bundle_that_only_says_it_is_the_same_is_replaced(
    workshop: Workshop, source: PolicySource, tmp_path: Path
) -> None:
    create_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    (tmp_path / CURRENT).write_bytes(workshop.build(source, NOW, key=tmp_path / "other.pem").content)
    mine = workshop.build(source, NOW + 1)
    assert publish(mine, Directory(tmp_path), clock=lambda: NOW).outcome is Outcome.PUBLISHED
    assert (tmp_path / CURRENT).read_bytes() == mine.content


def test_a_directory_that_cannot_be_written_is_named(workshop: Workshop, source: PolicySource, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishFailed, match=r"cannot publish to .*still in place"):
        publish(workshop.build(source), Directory(tmp_path / "file"), clock=lambda: NOW)


def test_a_reader_never_sees_half_a_bundle(workshop: Workshop, source: PolicySource, tmp_path: Path) -> None:
    bundles = [workshop.build(source if n % 2 else replace(source, grants=()), NOW + n) for n in range(8)]
    publish(bundles[0], Directory(tmp_path), clock=lambda: NOW)
    seen: set[str] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.add(read_meta((tmp_path / CURRENT).read_bytes()).revision)

    reader = threading.Thread(target=read)
    reader.start()
    for bundle in bundles[1:]:
        publish(bundle, Directory(tmp_path), clock=lambda: NOW)
    over.set()
    reader.join()
    assert seen <= {bundle.meta.revision for bundle in bundles}


def test_of_publishers_at_once_the_newest_wins(workshop: Workshop, source: PolicySource, tmp_path: Path) -> None:
    roles = ["", "head", "viewer", "trader"]
    bundles = [
        workshop.build(replace(source, emergency_roles=frozenset({role} - {""})), NOW + number)
        for number, role in enumerate(roles)
    ]
    refused: list[StaleSerial] = []

    def go(number: int) -> None:
        try:
            publish(bundles[number], Directory(tmp_path), clock=lambda: NOW)
        except StaleSerial as error:
            refused.append(error)

    threads = [threading.Thread(target=go, args=(number,)) for number in (2, 0, 3, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_published(tmp_path) == bundles[3].meta
    assert len(refused) < len(bundles)
