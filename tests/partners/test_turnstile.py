"""The line in front of a product everybody wants: in order, in groups, each with its own answer."""

from __future__ import annotations

import threading

from partners.turnstile import Turnstile


class Work:
    """Holds the first group until `release`, so that a line forms behind it; remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[list[object]] = []
        self.held, self.release = threading.Event(), threading.Event()

    def __call__(self, items):
        is_first = not self.groups
        self.groups.append(list(items))
        if is_first:
            self.held.set()
            assert self.release.wait(10)
        if "poison" in items:
            raise ValueError("spoiled")
        return [f"{item} done" for item in items]


def line_up(turnstile: Turnstile, work: Work, items: list[str]) -> list[object]:
    """The first goes in and is held, the others line up one by one; then all go."""
    outcomes: list[object] = [None] * len(items)

    def want(place: int) -> None:
        try:
            outcomes[place] = turnstile.pass_through("SKU", items[place])
        except ValueError as error:
            outcomes[place] = error

    threads = []
    for place in range(len(items)):
        threads.append(threading.Thread(target=want, args=(place,)))
        threads[-1].start()
        if place == 0:
            assert work.held.wait(10)
        while len(turnstile.lines["SKU"]) < place + 1:
            pass
    work.release.set()
    for thread in threads:
        thread.join(10)
    return outcomes


def turnstile_of(work: Work, group_max: int = 50) -> Turnstile:
    return Turnstile(work, marks=lambda item: {item}, group_max=group_max)


def test_who_is_alone_goes_through_at_once():
    work = Work()
    work.release.set()
    turnstile = turnstile_of(work)
    assert turnstile.pass_through("SKU", "a") == "a done"
    assert work.groups == [["a"]]
    assert not turnstile.lines


def test_who_waits_goes_through_together_in_the_order_of_coming():
    work = Work()
    turnstile = turnstile_of(work, group_max=3)
    assert line_up(turnstile, work, list("abcde")) == [f"{name} done" for name in "abcde"]
    assert work.groups == [["a"], ["b", "c", "d"], ["e"]]
    assert not turnstile.lines


def test_one_that_spoils_the_group_harms_nobody_else():
    work = Work()
    outcomes = line_up(turnstile_of(work), work, ["a", "b", "poison", "c"])
    assert [str(outcome) for outcome in outcomes] == ["a done", "b done", "spoiled", "c done"]


def test_two_of_one_mark_are_never_in_one_group_and_keep_their_order():
    work = Work()
    line_up(turnstile_of(work), work, ["a", "b", "b", "c"])
    assert work.groups == [["a"], ["b", "c"], ["b"]]


def test_different_things_do_not_wait_for_one_another():
    work = Work()
    turnstile = turnstile_of(work)
    first = threading.Thread(target=turnstile.pass_through, args=("x", "a"))
    first.start()
    assert work.held.wait(10)
    assert turnstile.pass_through("y", "b") == "b done"
    work.release.set()
    first.join(10)


def test_who_comes_right_after_a_crowd_waits_a_moment_for_the_others(monkeypatch):
    monkeypatch.setattr("partners.turnstile.LINGER_SECONDS", 0.5)
    work = Work()
    turnstile = turnstile_of(work)
    line_up(turnstile, work, list("abc"))
    threads = [threading.Thread(target=turnstile.pass_through, args=("SKU", item)) for item in "de"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [sorted(group) for group in work.groups] == [["a"], ["b", "c"], ["d", "e"]]
