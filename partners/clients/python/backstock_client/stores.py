"""Where a token lies between calls: in this process only, or in a private file that all processes share."""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .forks import renew_in_child
from .problems import BackstockError

log = logging.getLogger("backstock_client")
BYTES_MAX = 64 * 1024


class UnsafePlace(BackstockError):
    """The folder for tokens can be read or changed by others, so nothing is kept there."""


class Store(Protocol):
    """A place for one text for each key, with a lock. Make your own over Redis or PostgreSQL by these three.

    `load` answers what was saved last, whole or not at all. `try_lock` answers at once: a function that gives the
    lock back, or None while somebody else has it; the lock of a process that died is free again. `save` is called
    with the lock only. The text holds a token: encrypt it where others can read the place. All three may raise
    OSError; the keeper then goes on without the place, each process for itself.
    """

    def load(self, key: str) -> str | None: ...

    def save(self, key: str, text: str) -> None: ...

    def try_lock(self, key: str) -> Callable[[], None] | None: ...


class MemoryStore:
    """Shared by the threads of one process, and by every keeper that is given the same store."""

    def __init__(self) -> None:
        self._forget()
        renew_in_child(self, MemoryStore._forget)

    def _forget(self) -> None:
        self._texts: dict[str, str] = {}
        self._locks: dict[str, threading.Lock] = {}

    def load(self, key: str) -> str | None:
        return self._texts.get(key)

    def save(self, key: str, text: str) -> None:
        self._texts[key] = text

    def try_lock(self, key: str) -> Callable[[], None] | None:
        lock = self._locks.setdefault(key, threading.Lock())
        return lock.release if lock.acquire(blocking=False) else None


class FileStore:
    """Shared by all processes of one user on one machine: `KEY.token` beside `KEY.lock` in a folder of mode 0700.

    The folder is made if it is not there. Raises UnsafePlace for one that is another's, a link, or open to others.
    The lock is the kernel's (flock), so it ends with the process that holds it, however that ends. Not for network
    file systems, and not for Windows.
    """

    def __init__(self, folder: str | Path) -> None:
        if sys.platform == "win32":
            raise UnsafePlace("FileStore needs flock, which Windows has not; use MemoryStore or a store of your own.")
        self._folder = Path(folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise UnsafePlace(f"{self._folder} must be a folder of your own that nobody else can open: chmod 700.")
        self._held: set[int] = set()
        renew_in_child(self, FileStore._let_go)

    def _let_go(self) -> None:
        """Of a forked child: a copy of the lock's descriptor would keep the lock after its holder has died."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held = set()

    def load(self, key: str) -> str | None:
        try:
            descriptor = os.open(self._folder / f"{key}.token", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not _is_private(descriptor):
                log.warning("The kept token is not read: others can open %s.", self._folder)
                return None
            return file.read(BYTES_MAX).decode("utf-8", "replace")

    def save(self, key: str, text: str) -> None:
        """The rename makes it whole for whoever reads at this moment; only the holder of the lock writes `.new`."""
        new = self._folder / f"{key}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(text)
        new.replace(self._folder / f"{key}.token")

    def try_lock(self, key: str) -> Callable[[], None] | None:
        import fcntl  # Windows has none

        descriptor = os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._held.add(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close(descriptor)
            return None
        except BaseException:
            self._close(descriptor)
            raise
        return lambda: self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._held:
            self._held.discard(descriptor)
            os.close(descriptor)


def _is_private(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077


def default_store() -> Store:
    """A file of this user's: under XDG_RUNTIME_DIR (gone with the session), else under the user's cache folder.

    In memory where there is no such place to write to, as in a container without a home.
    """
    if sys.platform == "win32":
        return MemoryStore()
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    try:
        return FileStore(Path(base) / "backstock-tokens")
    except OSError:
        log.warning("No folder for tokens can be made under %s; each process keeps its own.", base)
        return MemoryStore()
