"""Who called a moment ago is known: one look into the database for each credential, process and second.

Whatever is taken from a caller (the token, a scope, a grant, the partner's standing) counts at the latest
CALLERS_KEPT_SECONDS after it was taken. A credential that was refused is looked up each time.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partners.api.auth import Caller

KEPT_MAX = 10_000
Find = Callable[[str, str], "Caller"]


class Callers:
    """Callers by credential and address, each as found not longer ago than `kept_seconds`."""

    def __init__(self, find: Find, *, kept_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.find, self.kept_seconds, self.clock = find, kept_seconds, clock
        self.known: dict[tuple[bytes, str], tuple[float, Caller]] = {}
        self.guard = threading.Lock()

    def find_known(self, credential: str, address: str) -> Caller:
        """As `find` answered a moment ago, or answers now; raises what it raises."""
        name = hashlib.sha256(credential.encode()).digest(), address
        found = self.known.get(name)
        # Counted from before the look: what was changed while we looked is seen at the next.
        began = self.clock()
        if found is not None and 0 <= began - found[0] < self.kept_seconds:
            return found[1]
        caller = self.find(credential, address)
        with self.guard:
            if len(self.known) >= KEPT_MAX:
                self._drop_old(began)
            self.known[name] = began, caller
        return caller

    def _drop_old(self, now: float) -> None:
        self.known = {name: found for name, found in self.known.items() if now - found[0] < self.kept_seconds}
        if len(self.known) >= KEPT_MAX:
            self.known = {}
