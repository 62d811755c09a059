"""A client's minute is counted exactly: over threads, over processes, over restarts and crashes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from partners import limits
from partners.limits import LIMIT_MAX, WINDOW_MS, RedisCounters, SharedTable, Spent

NOON = 100_000_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOON

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(tmp_path, clock):
    return SharedTable(tmp_path / "limits", now_ms=clock)


def granted(path: Path, calls: int, barrier, answers) -> None:
    """The main of a process: eight threads that spend one unit at a time."""
    table = SharedTable(path, now_ms=lambda: NOON)
    counts = [0] * 8

    def work(place: int) -> None:
        barrier.wait(60)
        for _ in range(calls // 8):
            counts[place] += table.spend(client="one", limit=100, cost=1).is_granted

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    answers.put(sum(counts))


@pytest.mark.races
def test_a_thousand_calls_at_once_over_four_processes_get_a_hundred_grants(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(32), context.Queue()
    crew = [
        context.Process(target=granted, args=(tmp_path / "limits", 1_000 // 4 + 6, barrier, answers)) for _ in range(4)
    ]
    for process in crew:
        process.start()
    total = sum(answers.get(timeout=120) for _ in crew)
    for process in crew:
        process.join(60)
    assert total == 100


def test_a_unit_is_lost_between_two_who_do_not_lock(table, monkeypatch):
    """The negative control: another process looks while we are between looking and writing."""
    other = SharedTable(Path(f"/proc/self/fd/{table.file}"), now_ms=table.now_ms)
    look = table._find

    def slowly(*args):
        found = look(*args)
        other.spend(client="one", limit=100, cost=1)
        return found

    monkeypatch.setattr(table, "_find", slowly)
    table.spend(client="one", limit=100, cost=1)
    monkeypatch.undo()
    assert table.spend(client="one", limit=100, cost=0).used == 1


def test_a_window_begins_with_the_first_call_and_ends_a_minute_later(table, clock):
    assert table.spend(client="a", limit=3, cost=2) == Spent(True, 2, 3, WINDOW_MS)
    clock.ms += 37_000
    assert table.spend(client="a", limit=3, cost=1) == Spent(True, 3, 3, 23_000)
    refused = table.spend(client="a", limit=3, cost=1)
    assert (refused.is_granted, refused.remaining, refused.left_seconds) == (False, 0, 23)
    clock.ms += 22_999
    assert not table.spend(client="a", limit=3, cost=1).is_granted
    clock.ms += 1
    assert table.spend(client="a", limit=3, cost=1) == Spent(True, 1, 3, WINDOW_MS)


def test_what_is_refused_costs_nothing_and_what_is_larger_than_the_limit_takes_a_whole_window(table, clock):
    assert table.spend(client="a", limit=10, cost=6).is_granted
    assert not table.spend(client="a", limit=10, cost=5).is_granted
    assert table.spend(client="a", limit=10, cost=4).is_granted
    assert table.is_spent(client="a", limit=10)
    assert not table.spend(client="a", limit=10, cost=500).is_granted
    clock.ms += WINDOW_MS
    assert not table.is_spent(client="a", limit=10)
    assert table.spend(client="a", limit=10, cost=500) == Spent(True, 10, 10, WINDOW_MS)


def test_clients_do_not_spend_one_anothers_units_even_in_one_bucket(table, monkeypatch):
    monkeypatch.setattr(limits, "_key", lambda client: int(client) * limits.BUCKETS + 7)
    for client in range(1, limits.WAYS + 1):
        assert table.spend(client=str(client), limit=5, cost=client % 5 + 1).is_granted
    used = [table.spend(client=str(client), limit=5, cost=0).used for client in range(1, limits.WAYS + 1)]
    assert used == [client % 5 + 1 for client in range(1, limits.WAYS + 1)]


def test_a_full_bucket_gives_up_the_client_whose_window_ends_first(table, clock, monkeypatch):
    monkeypatch.setattr(limits, "_key", lambda client: int(client) * limits.BUCKETS + 7)
    for client in range(1, limits.WAYS + 2):
        clock.ms += 1
        table.spend(client=str(client), limit=5, cost=5)
    assert not table.is_spent(client="1", limit=5)
    assert all(table.is_spent(client=str(client), limit=5) for client in range(2, limits.WAYS + 2))


def test_the_largest_limit_fits(table):
    assert table.spend(client="a", limit=LIMIT_MAX, cost=LIMIT_MAX).used == LIMIT_MAX
    assert not table.spend(client="a", limit=LIMIT_MAX, cost=1).is_granted


def test_a_clock_set_back_begins_a_new_window(table, clock):
    table.spend(client="a", limit=1, cost=1)
    clock.ms -= 3_600_000
    assert table.spend(client="a", limit=1, cost=1) == Spent(True, 1, 1, WINDOW_MS)


def test_a_restart_forgets_nothing(table, tmp_path, clock):
    table.spend(client="a", limit=10, cost=7)
    again = SharedTable(tmp_path / "limits", now_ms=clock)
    assert again.spend(client="a", limit=10, cost=1) == Spent(True, 8, 10, WINDOW_MS)


DIES = """
import os, signal, sys
from pathlib import Path
from partners import limits
table = limits.SharedTable(Path(sys.argv[1]), now_ms=lambda: 100_000_000)
table._find = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
table.spend(client="a", limit=10, cost=1)
"""


def test_a_process_killed_while_it_counts_leaves_no_lock_behind(table, tmp_path):
    table.spend(client="a", limit=10, cost=3)
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "limits")], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert table.spend(client="a", limit=10, cost=1).used == 4


def test_a_site_that_cannot_count_lets_the_calls_through_and_says_so(tmp_path, settings, caplog):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    settings.STATE_DIR, settings.CACHE_URL = blocked, ""
    limits.counters.cache_clear()
    try:
        assert limits.counters().spend(client="a", limit=1, cost=1).is_granted
        assert limits.counters().spend(client="a", limit=1, cost=1).is_granted
    finally:
        limits.counters.cache_clear()
    assert "not limited" in caplog.text


# -- Several machines

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
def redis():
    redis = pytest.importorskip("redis", reason="the client of Redis is an extra")
    client = redis.Redis.from_url(REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        client.ping()
    except redis.RedisError:
        pytest.skip(f"no Redis at {REDIS_URL}")
    yield client
    client.close()


def test_machines_count_together_in_redis(redis, tmp_path):
    client = f"reads:{os.urandom(8).hex()}"
    machines = [RedisCounters(REDIS_URL, SharedTable(tmp_path / str(number))) for number in range(3)]
    grants: list[bool] = []

    def work(machine: RedisCounters) -> None:
        for _ in range(50):
            # Busy tests beside this one must not make it slower than its patience.
            machine.away_until = 0.0
            grants.append(machine.spend(client=client, limit=100, cost=1).is_granted)

    for machine in machines:
        machine.script.registered_client.connection_pool.connection_kwargs.update(
            socket_timeout=10, socket_connect_timeout=10
        )
    threads = [threading.Thread(target=work, args=(machine,)) for machine in machines * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(grants), sum(grants)) == (300, 100)
    assert machines[0].is_spent(client=client, limit=100)
    assert 0 < redis.pttl(f"backstock:limit:{client}") <= WINDOW_MS
    redis.delete(f"backstock:limit:{client}")
    for machine in machines:
        machine.script.registered_client.close()


def test_while_redis_is_away_the_machine_counts_by_itself(table, caplog):
    pytest.importorskip("redis", reason="the client of Redis is an extra")
    counters = RedisCounters("redis://127.0.0.1:1/0", table, clock=lambda: 1_000.0)
    assert [counters.spend(client="a", limit=2, cost=1).is_granted for _ in range(3)] == [True, True, False]
    assert counters.is_spent(client="a", limit=2)
    assert caplog.text.count("Redis does not count") == 1
