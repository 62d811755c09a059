"""Several programs run as one: started together, watched, and stopped together; none outlives the others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

# Longer than a worker needs to finish what it has in hand, shorter than a person's patience.
STOP_SECONDS_MAX = 10
# One Ctrl-C may come twice, from the terminal and from the program that started us.
SAME_REQUEST_SECONDS = 0.5
POLL_SECONDS = 0.1
TAIL_LINES = 15

_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProgramDied(Exception):
    """A program ended that should have gone on; its last words are in the text."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        super().__init__("\n".join([f"{name} {how}. The end of {log}:", *(f"    {line}" for line in lines)]))


class NotReady(Exception):
    """The programs run, but do not answer in the time given."""


@contextlib.contextmanager
def on_stop(act: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal all call `act` inside the block."""
    before = {number: signal.signal(number, act) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, each way of asking to stop is a KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with on_stop(interrupt):
        yield


class Supervisor:
    """Leave the `with` block, in whatever way, and every program started in it is gone.

    Each writes to its own file in `logs`, emptied at its start. On Linux the programs are told to
    stop even when this process is killed outright.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.programs: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def start(self, name: str, command: Sequence[str]) -> None:
        # A session of its own keeps the terminal's Ctrl-C from reaching it before we ask it to stop.
        with self.log(name).open("wb") as output:
            self.programs[name] = subprocess.Popen(  # noqa: S603  our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()) if _libc else None,
            )

    def check(self) -> None:
        """Raise ProgramDied for a program that is no longer there."""
        for name, program in self.programs.items():
            if (code := program.poll()) is not None:
                raise ProgramDied(name, code, self.log(name))

    def wait_while(self, missing: Callable[[], str], *, seconds_max: float) -> None:
        """Until `missing` answers nothing. ProgramDied when one dies meanwhile, NotReady when time is up."""
        until = time.monotonic() + seconds_max
        while what := missing():
            self.check()
            if time.monotonic() > until:
                raise NotReady(f"Not ready after {seconds_max:.0f} s: {what}. The logs are in {self.logs}.")
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Until a program dies (ProgramDied) or somebody asks to stop (KeyboardInterrupt)."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask all to stop and wait; a second request to stop, or too long a wait, kills them."""
        asked_at = time.monotonic()
        again: list[float] = []
        with on_stop(lambda number, frame: again.append(time.monotonic())):
            for program in self.programs.values():
                program.terminate()  # the main process alone: it stops its own children in order
            while any(program.poll() is None for program in self.programs.values()):
                is_hurried = bool(again) and again[-1] - asked_at > SAME_REQUEST_SECONDS
                if is_hurried or time.monotonic() - asked_at > STOP_SECONDS_MAX:
                    break
                time.sleep(POLL_SECONDS / 2)
            for program in self.programs.values():
                _kill_group(program)
            self.programs.clear()


def _kill_group(program: subprocess.Popen[bytes]) -> None:
    """Whatever is left of a program, also children it did not clear away because it was killed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(program.pid, signal.SIGKILL)
        else:
            program.kill()
    program.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """Run in the new process before its program: a killed supervisor takes it along."""

    def bind() -> None:
        assert _libc is not None  # noqa: S101  for the type checker
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return bind
