"""The token keeper with real processes and a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.partners.token_site import TokenSite, open_site

PROGRAM = [sys.executable, "-m", "tests.partners.keeper_crowd"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    private = tmp_path / "tokens"
    private.mkdir(mode=0o700)
    return str(private)


def start(**told: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, json.dumps(told)],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_crowds(site: TokenSite, folder: str, *, how: str, processes: int = 4, threads: int = 64) -> dict[str, Any]:
    crowds = [start(site=site.url, folder=folder, how=how, threads=threads) for _ in range(processes)]
    found: dict[str, Any] = {"calls": 0, "failed": []}
    for crowd in crowds:
        out, err = crowd.communicate(timeout=120)
        assert crowd.returncode == 0, err
        met = json.loads(out)
        found["calls"] += met["calls"]
        found["failed"] += met["failed"]
    return found


class TestFourProcessesOf64Threads:
    def test_ask_once_for_each_revocation_and_no_call_fails(self, folder):
        with open_site(callers=256, revocations=5) as site:
            met = run_crowds(site, folder, how="keeper")
        assert met["failed"] == []
        assert met["calls"] == 6 * 256
        assert site.refused >= 5
        assert len(site.token_requests) == 1 + 5

    def test_ask_many_times_with_a_variable_in_each_process(self, folder):
        # The negative control: the same crowd, the guide's way.
        with open_site(callers=256, revocations=1) as site:
            run_crowds(site, folder, how="naive")
        assert len(site.token_requests) > 10 * (1 + 1)


class Held:
    """The first token request is kept waiting; later ones are answered."""

    def __init__(self, site: TokenSite) -> None:
        self.arrived = threading.Event()
        self.let_go = threading.Event()
        site.at_token = self.hold

    def hold(self, handler: Any) -> bool:
        if not self.arrived.is_set():
            self.arrived.set()
            self.let_go.wait(60)
        return False


class TestWhoeverAsks:
    def test_may_be_killed_and_the_next_one_asks(self, folder):
        with open_site() as site:
            held = Held(site)
            asking = start(site=site.url, folder=folder, how="keeper", threads=1, calls=1)
            assert held.arrived.wait(60)
            waiting = start(site=site.url, folder=folder, how="keeper", threads=8, calls=1)
            asking.send_signal(signal.SIGKILL)
            asking.communicate(timeout=60)
            out, _ = waiting.communicate(timeout=60)
            held.let_go.set()
        assert json.loads(out) == {"calls": 8, "failed": []}
        assert len(site.token_requests) == 2

    def test_may_die_after_a_fork_and_its_child_asks(self, folder):
        with open_site() as site:
            held = Held(site)
            parent = start(site=site.url, folder=folder, how="fork")
            assert held.arrived.wait(60)
            out, err = parent.communicate("now\n", timeout=60)
            held.let_go.set()
        assert parent.returncode == -signal.SIGKILL
        assert json.loads(out)["token"] in site.good, err
        assert len(site.token_requests) == 2

    def test_leaves_nothing_that_others_can_open(self, folder):
        before = os.umask(0)
        try:
            with open_site(callers=1) as site:
                run_crowds(site, folder, how="keeper", processes=1, threads=1)
        finally:
            os.umask(before)
        modes = {file.suffix: oct(file.stat().st_mode)[-3:] for file in Path(folder).iterdir()}
        assert modes == {".token": "600", ".lock": "600"}
