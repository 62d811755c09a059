"""Whoever reads leaves room for those who write."""

from __future__ import annotations

import threading

import pytest

from partners import places
from partners.places import Crowded, Places


def test_three_quarters_of_the_threads_may_read_and_three_quarters_of_these_for_one_partner():
    desk = Places(16)
    assert (desk.inside_max, desk.partner_max, desk.reading_max) == (12, 9, 4)
    assert (Places(1).inside_max, Places(1).reading_max) == (1, 1)


def line_of(desk: Places, count: int) -> tuple[list[threading.Thread], list[object], threading.Event]:
    """So many readers of as many partners, each holding its place until `leave`."""
    leave, seen = threading.Event(), []

    def read(partner: int) -> None:
        try:
            with desk.taken(partner):
                seen.append(partner)
                leave.wait(10)
        except Crowded as refusal:
            seen.append(refusal)

    threads = [threading.Thread(target=read, args=(partner,)) for partner in range(count)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        while desk.reading + len(desk.line) < min(number, desk.inside_max):
            pass
    return threads, seen, leave


def test_readers_go_one_after_the_other_in_the_order_they_came():
    desk = Places(8)
    threads, seen, leave = line_of(desk, 6)
    assert sorted(seen) == [0, 1]
    leave.set()
    for thread in threads:
        thread.join(10)
    assert sorted(seen[:2]) == [0, 1]
    assert sorted(seen) == list(range(6))
    assert (desk.reading, len(desk.line), dict(desk.of_partner)) == (0, 0, {})


def test_who_comes_beyond_the_line_is_told_to_try_again_at_once():
    desk = Places(8)
    threads, _, leave = line_of(desk, 6)
    with pytest.raises(Crowded) as refused, desk.taken("late"):
        pass
    assert (refused.value.status, refused.value.retry_after_seconds) == (503, 1)
    leave.set()
    for thread in threads:
        thread.join(10)
    with desk.taken("late"):
        assert desk.reading == 1


def test_one_partner_never_has_all_places():
    desk = Places(16)
    desk.take("poller")
    desk.take("poller")
    desk.of_partner["poller"] = desk.partner_max
    desk.take("poller")  # alone it may have more
    desk.leave("poller")
    desk.take("another")
    with pytest.raises(Crowded, match="as much at once as one may"):
        desk.take("poller")
    desk.leave("another")
    desk.take("poller")


def test_who_waited_too_long_leaves_the_line(monkeypatch):
    monkeypatch.setattr(places, "WAIT_SECONDS_MAX", 0.01)
    desk = Places(4)
    desk.take("a")
    with pytest.raises(Crowded):
        desk.take("b")
    assert (len(desk.line), desk.of_partner["b"]) == (0, 0)
    desk.leave("a")
    desk.take("b")
    assert desk.reading == 1
