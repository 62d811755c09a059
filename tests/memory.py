"""How much memory something takes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any


def peak_of(call: Callable[[], Any]) -> tuple[int, Any]:
    """The most bytes Python holds during a call, and what it answers.

    What the tests before it left is frozen meanwhile: cycles are then collected as in a fresh process, and not only
    when they have grown to a quarter of all the objects there are.
    """
    gc.freeze()
    gc.collect()
    tracemalloc.start()
    try:
        answer = call()
        return tracemalloc.get_traced_memory()[1], answer
    finally:
        tracemalloc.stop()
        gc.unfreeze()
