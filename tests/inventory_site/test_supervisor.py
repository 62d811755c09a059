from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.db import connection

from inventory_site import demo_database, supervisor
from inventory_site.management.commands import demo as demo_command
from partners import actors
from partners.models import Partner
from partners.operations import partners
from tests.inventory_site.conftest import BASE_DIR, PYTHON, environment, free_port, is_alive, stop, wait_until

# Says its own process id and its child's, then waits for ever.
WITH_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
POLITE = "import time; print('here', flush=True); time.sleep(60)"
START_SECONDS_MAX = 240
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")


@pytest.fixture
def programs(tmp_path) -> Iterator[supervisor.Supervisor]:
    with supervisor.Supervisor(tmp_path / "logs") as one:
        yield one


def start(programs: supervisor.Supervisor, name: str, code: str) -> subprocess.Popen[bytes]:
    programs.start(name, [PYTHON, "-c", code])
    wait_until(lambda: programs.log(name).read_text() != "", seconds_max=60)
    return programs.programs[name]


class TestSupervisor:
    def test_leaving_the_block_stops_everything(self, tmp_path):
        with supervisor.Supervisor(tmp_path) as programs:
            started = [start(programs, name, POLITE) for name in ("one", "two")]
        assert [program.returncode for program in started] == [-signal.SIGTERM] * 2

    def test_a_program_that_will_not_stop_is_killed(self, programs, monkeypatch):
        monkeypatch.setattr(supervisor, "STOP_SECONDS_MAX", 0.3)
        deaf = start(programs, "deaf", DEAF)
        programs.stop()
        assert deaf.returncode == -signal.SIGKILL

    def test_a_second_request_to_stop_kills(self, programs, monkeypatch):
        monkeypatch.setattr(supervisor, "SAME_REQUEST_SECONDS", 0.1)
        deaf = start(programs, "deaf", DEAF)
        threading.Timer(0.4, os.kill, [os.getpid(), signal.SIGINT]).start()
        began_at = time.monotonic()
        programs.stop()
        assert deaf.returncode == -signal.SIGKILL
        assert time.monotonic() - began_at < supervisor.STOP_SECONDS_MAX

    def test_a_program_that_dies_is_told_with_its_last_words(self, programs):
        start(programs, "web", "print('x' * 3); raise SystemExit('the port is gone')")
        with pytest.raises(supervisor.ProgramDied, match=r"(?s)web ended with exit code 1.*the port is gone"):
            programs.watch()

    def test_what_a_killed_program_leaves_behind_is_cleared_away(self, programs):
        parent = start(programs, "web", WITH_CHILD)
        child = int(programs.log("web").read_text().split()[1])
        parent.kill()
        with pytest.raises(supervisor.ProgramDied, match="web was killed by signal 9"):
            programs.watch()
        assert is_alive(child)
        programs.stop()
        wait_until(lambda: not is_alive(child), seconds_max=20)

    def test_it_waits_until_nothing_is_missing(self, programs):
        start(programs, "web", POLITE)
        answers = iter(["the site", "the site", ""])
        programs.wait_while(lambda: next(answers), seconds_max=30)

    def test_it_does_not_wait_for_ever(self, programs):
        start(programs, "web", POLITE)
        with pytest.raises(supervisor.NotReady, match="the site does not answer"):
            programs.wait_while(lambda: "the site does not answer", seconds_max=0.2)

    def test_every_way_of_asking_to_stop_is_an_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with pytest.raises(KeyboardInterrupt), supervisor.stoppable():
                signal.raise_signal(number)

    @on_linux
    def test_a_killed_supervisor_takes_its_programs_along(self, tmp_path):
        code = f"""
import pathlib, time
from inventory_site import supervisor
with supervisor.Supervisor(pathlib.Path({str(tmp_path)!r})) as programs:
    programs.start("one", [{PYTHON!r}, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"])
    time.sleep(60)
"""
        parent = subprocess.Popen([PYTHON, "-c", code], cwd=BASE_DIR, env=environment())
        log = tmp_path / "one.log"
        try:
            wait_until(lambda: log.exists() and log.read_text() != "", seconds_max=START_SECONDS_MAX)
            child = int(log.read_text())
        finally:
            stop(parent)
        wait_until(lambda: not is_alive(child), seconds_max=20)


@dataclass
class Demo:
    """`manage.py demo` as a person would start it, with a folder and a database of its own."""

    folder: Path
    database: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return (self.folder / "demo.out").read_text()

    def run(self, *more: str, **variables: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "demo.out").open("wb") as output:
            self.process = subprocess.Popen(
                [PYTHON, "manage.py", "demo", "--port", str(self.port), *more],
                cwd=BASE_DIR,
                env=environment(DATABASE_URL=self.database, BACKSTOCK_STATE_DIR=str(self.folder), **variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def start(self) -> float:
        """Until it has printed everything; returns the seconds it took."""
        began_at = time.monotonic()
        process = self.run()
        wait_until(
            lambda: "Ctrl-C stops everything" in self.output or process.poll() is not None,
            seconds_max=START_SECONDS_MAX,
            says=lambda: self.output,
        )
        assert process.poll() is None, self.output
        return time.monotonic() - began_at

    def descendants(self) -> list[int]:
        assert self.process is not None
        return descendants(self.process.pid)

    def secrets(self) -> list[str]:
        return re.findall(r"client (?:id|secret) +(\S+)", self.output)

    def shell(self) -> str:
        """What pasting the printed calls answers."""
        calls = self.output.partition("Try the API")[2].partition("\n")[2].partition("Logs are in")[0]
        script = f"{calls}\necho TOKEN=$TOKEN"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True)
        return done.stdout + done.stderr


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


@pytest.fixture(scope="module")
def demo(empty_database, tmp_path_factory) -> Iterator[Demo]:
    one = Demo(folder=tmp_path_factory.mktemp("demo"), database=empty_database, port=free_port())
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(timeout=60)


@on_linux
class TestDemo:
    """In the order of a life: each test goes on where the one before it ended."""

    def test_first_start_loads_and_serves(self, demo):
        demo.start()
        assert "Migrating the database …" in demo.output
        assert len(demo.secrets()) == 4
        assert oct((demo.folder / "demo.json").stat().st_mode)[-3:] == "600"
        answers = demo.shell()
        assert re.search(r"TOKEN=\S{20,}", answers)
        assert '"availableQuantity":' in answers
        assert '"status":"open"' in answers

    def test_a_second_demo_of_the_same_folder_is_refused(self, demo):
        other = Demo(folder=demo.folder, database=demo.database, port=free_port())
        done = subprocess.run(
            [PYTHON, "manage.py", "demo", "--port", str(other.port)],
            cwd=BASE_DIR,
            env=environment(DATABASE_URL=demo.database, BACKSTOCK_STATE_DIR=str(demo.folder)),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1
        assert f"process {demo.process.pid}" in done.stderr

    def test_sigterm_stops_all_of_it(self, demo):
        pids = demo.descendants()
        assert len(pids) >= 5  # the site and its two workers, the worker, beat
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(timeout=60) == 0
        assert [pid for pid in pids if is_alive(pid)] == []
        assert demo.output.endswith("Stopped.\n")

    def test_second_start_keeps_the_content_and_the_secrets(self, demo):
        before = demo.secrets()
        demo.start()
        assert demo.secrets() == before
        assert re.search(r"TOKEN=\S{20,}", demo.shell())

    def test_a_part_that_dies_ends_the_rest_and_is_named(self, demo):
        pids = demo.descendants()
        beat = next(pid for pid in pids if b"beat" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(beat, signal.SIGKILL)
        assert demo.process.wait(timeout=60) == 1
        assert "beat was killed by signal 9" in demo.output
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_killed_outright_it_leaves_nothing_that_hinders_the_next_start(self, demo):
        demo.start()
        pids = demo.descendants()
        demo.process.kill()
        demo.process.wait()
        demo.start()
        wait_until(lambda: not any(map(is_alive, pids)), seconds_max=60)

    def test_ctrl_c_stops_it_with_exit_code_0(self, demo):
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(timeout=60) == 0

    def test_reset_throws_the_content_away_and_loads_it_anew(self, demo):
        before = demo.secrets()
        process = demo.run("--reset")
        wait_until(
            lambda: "Ctrl-C stops everything" in demo.output or process.poll() is not None,
            seconds_max=START_SECONDS_MAX,
            says=lambda: demo.output,
        )
        assert "Emptying the database" in demo.output
        assert len(demo.secrets()) == 4
        assert set(demo.secrets()).isdisjoint(before)
        assert re.search(r"TOKEN=\S{20,}", demo.shell())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.mark.django_db
class TestDemoDatabase:
    """Only what the demo loaded is ever thrown away."""

    def test_without_partners_it_is_empty(self):
        assert demo_database.state() == demo_database.State.EMPTY

    def test_an_interrupted_load_is_known_as_such(self):
        demo_database.mark(demo_database.State.PARTIAL)
        make_partner()
        assert demo_database.state() == demo_database.State.PARTIAL

    def test_what_the_demo_did_not_load_is_refused_and_kept(self):
        make_partner()
        assert demo_database.state() == demo_database.State.FOREIGN
        with pytest.raises(CommandError, match="did not load"):
            demo_command.prepare_database(demo_command.Progress(), reset=True)
        assert Partner.objects.get().code == "SOMEBODY"

    def test_emptied_it_holds_no_table(self):
        demo_database.empty()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'pgmq')")
            assert cursor.fetchone() == (0,)
        assert demo_database.state() == demo_database.State.EMPTY


def make_partner() -> None:
    partners.onboard(code="SOMEBODY", name="Somebody", kind="retailer", actor=actors.job("test"))


class TestDemoRefuses:
    def test_a_port_that_is_taken(self, tmp_path, empty_database):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            demo = Demo(folder=tmp_path, database=empty_database, port=port)
            assert demo.run().wait(timeout=60) == 1
        assert re.fullmatch(rf"CommandError: Port {port} is taken; use --port \d+\.\n", demo.output)

    def test_production_by_name(self, tmp_path, empty_database):
        demo = Demo(folder=tmp_path, database=empty_database, port=free_port())
        safe = {"SECRET_KEY": "k" * 25 + "0123456789" * 4, "ALLOWED_HOSTS": "stock.example.com"}
        assert demo.run(BACKSTOCK_MODE="production", **safe).wait(timeout=60) == 1
        assert demo.output.startswith("CommandError: BACKSTOCK_MODE is production")

    def test_production_without_its_settings_in_one_line(self, tmp_path, empty_database):
        demo = Demo(folder=tmp_path, database=empty_database, port=free_port())
        assert demo.run(BACKSTOCK_MODE="production").wait(timeout=60) == 1
        assert re.fullmatch(r"SECRET_KEY is not set\..*\n", demo.output)
