"""How much each application may ask for in a minute, counted exactly over all processes of a site.

A window begins with a client's first call and lasts WINDOW_SECONDS; what is spent in it never exceeds the limit.
On one machine the processes share a table in memory, a file in the state directory: it outlives every one of
them, and whoever dies leaves neither a lock nor half a number behind. Several machines count together in Redis
where CACHE_URL names one; while that is away, each machine counts by itself.

The limits keep one caller from taking what is everybody's. They guard no stock, so a site that cannot count
(no room on the disk, a file of somebody else) says so in its log and lets the calls through.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
WINDOW_MS = WINDOW_SECONDS * 1_000
# What a count has room for.
LIMIT_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """How a client stands after a call: `used` of `limit` in a window that ends in `left_ms`."""

    is_granted: bool
    used: int
    limit: int
    left_ms: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def left_seconds(self) -> int:
        """Whole seconds until the window ends, at least one: whoever waits so long is let in."""
        return max(1, -(-self.left_ms // 1_000))


class Counters(Protocol):
    def spend(self, *, client: str, limit: int, cost: int) -> Spent:
        """Take `cost` of the client's window, or nothing where that much is not left."""
        ...

    def is_spent(self, *, client: str, limit: int) -> bool:
        """Whether nothing at all is left, so that the body need not be read."""
        ...


# -- One machine: a table in memory that all its processes see

BUCKETS = 16_384
WAYS = 8
ENTRY_BYTES = 16
BUCKET_BYTES = WAYS * ENTRY_BYTES
TABLE_BYTES = BUCKETS * BUCKET_BYTES
_BUCKET = struct.Struct(f"={2 * WAYS}Q")
# A window's begin (ms) and what is spent in it, in one word: one store changes both, and a crash never splits them.
_USED_BITS = 24
_USED_MASK = (1 << _USED_BITS) - 1
_EPOCH_MS = 1_577_836_800_000  # 2020; 40 bits of ms last until 2054


def _now_ms() -> int:
    """The clock on the wall: the same in every process, and after a restart of the machine."""
    return time.time_ns() // 1_000_000 - _EPOCH_MS


@lru_cache(maxsize=20_000)
def _key(client: str) -> int:
    return int.from_bytes(hashlib.blake2b(client.encode(), digest_size=8).digest()) or 1


class SharedTable:
    """Clients by the hash of their name, eight to a bucket; a bucket is locked for the moment of one change.

    The lock is the kernel's (POSIX record lock), which frees it when its holder dies. Where a bucket is full of
    clients of this very minute, the one whose window ends first begins anew.
    """

    def __init__(self, path: Path, *, now_ms: Callable[[], int] = _now_ms) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.now_ms = now_ms
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Room that is promised and not there would kill the process at its first touch.
        os.posix_fallocate(self.file, 0, TABLE_BYTES)
        self.memory = mmap.mmap(self.file, TABLE_BYTES)
        self.words = memoryview(self.memory).cast("Q")
        # One for all buckets: a process waits for one lock of another's at most, so no two wait for one another.
        self.guard = threading.Lock()

    def spend(self, *, client: str, limit: int, cost: int) -> Spent:
        key = _key(client)
        cost = min(cost, limit)  # a batch larger than the limit takes a whole window
        first_byte = (key % BUCKETS) * BUCKET_BYTES
        with self.guard:
            fcntl.lockf(self.file, fcntl.LOCK_EX, BUCKET_BYTES, first_byte)
            try:
                now = self.now_ms()
                place, state = self._find(key, first_byte, now)
                began, used = state >> _USED_BITS, state & _USED_MASK
                if not 0 <= now - began < WINDOW_MS:
                    began, used = now, 0
                is_granted = used + cost <= limit
                if is_granted and cost:
                    used += cost
                    # The count before the name: a crash in between gives the old client a new window, no more.
                    self.words[place + 1] = began << _USED_BITS | used
                    self.words[place] = key
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN, BUCKET_BYTES, first_byte)
        return Spent(is_granted, used, limit, began + WINDOW_MS - now)

    def is_spent(self, *, client: str, limit: int) -> bool:
        """Without the lock: it decides nothing but whether to go on."""
        key = _key(client)
        now = self.now_ms()
        _, state = self._find(key, (key % BUCKETS) * BUCKET_BYTES, now)
        return state & _USED_MASK >= limit and 0 <= now - (state >> _USED_BITS) < WINDOW_MS

    def _find(self, key: int, first_byte: int, now: int) -> tuple[int, int]:
        """The client's place (in words) and state; for a new client the place that is free first, and nothing."""
        bucket = _BUCKET.unpack_from(self.memory, first_byte)
        keys, states = bucket[::2], bucket[1::2]
        first_word = first_byte // 8
        if key in keys:
            way = keys.index(key)
            return first_word + 2 * way, states[way]
        return first_word + 2 * states.index(min(states)), 0


# -- Several machines: Redis counts, in one round trip

SPEND = """
local used, left = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
local limit, cost, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if left < 0 then used, left = 0, window end
if used + cost > limit then return {0, used, left} end
if cost > 0 then
    used = used + cost
    redis.call('SET', KEYS[1], used, 'PX', left)
end
return {1, used, left}
"""
REDIS_SECONDS_MAX = 0.1
# After a failure the machine counts by itself for so long, instead of making each call wait for nothing.
REDIS_AWAY_SECONDS = 5.0
REMEMBERED_MAX = 10_000


class RedisCounters:
    """Counts in Redis; while it is away, in the table of this machine."""

    def __init__(self, url: str, beside: Counters, *, clock: Callable[[], float] = time.monotonic) -> None:
        import redis  # an extra; named in settings where CACHE_URL is set

        self.failures: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        client = redis.Redis.from_url(url, socket_timeout=REDIS_SECONDS_MAX, socket_connect_timeout=REDIS_SECONDS_MAX)
        self.script: Any = client.register_script(SPEND)
        self.beside, self.clock = beside, clock
        self.away_until = 0.0
        self.spent_until: dict[str, float] = {}

    def spend(self, *, client: str, limit: int, cost: int) -> Spent:
        if self.clock() >= self.away_until:
            try:
                granted, used, left_ms = self.script(
                    keys=[f"backstock:limit:{client}"], args=[limit, min(cost, limit), WINDOW_MS]
                )
            except self.failures as error:
                self.away_until = self.clock() + REDIS_AWAY_SECONDS
                log.warning("Redis does not count (%s); this machine counts by itself for a while.", error)
            else:
                spent = Spent(bool(granted), used, limit, left_ms)
                self._remember(client, spent)
                return spent
        return self.beside.spend(client=client, limit=limit, cost=cost)

    def is_spent(self, *, client: str, limit: int) -> bool:
        """By what the last call has shown, without asking again."""
        if self.clock() < self.away_until:
            return self.beside.is_spent(client=client, limit=limit)
        return self.clock() < self.spent_until.get(client, 0.0)

    def _remember(self, client: str, spent: Spent) -> None:
        if spent.remaining == 0:
            if len(self.spent_until) >= REMEMBERED_MAX:
                self.spent_until.clear()
            self.spent_until[client] = self.clock() + spent.left_ms / 1_000


class Uncounted:
    """Where counting failed at the start: every call is let through."""

    def spend(self, *, client: str, limit: int, cost: int) -> Spent:
        return Spent(True, 0, limit, WINDOW_MS)

    def is_spent(self, *, client: str, limit: int) -> bool:
        return False


@cache
def counters() -> Counters:
    """Where this process counts; decided at its first call."""
    table: Counters
    try:
        table = SharedTable(settings.STATE_DIR / "limits-1")
    except OSError as error:
        log.error("Calls are not counted and not limited: %s", error)
        table = Uncounted()
    return RedisCounters(settings.CACHE_URL, table) if settings.CACHE_URL else table
