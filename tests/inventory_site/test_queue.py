from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kombu
import kombu.pools
import pytest
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from psycopg import DatabaseError

from inventory_site import queue
from inventory_site.celery import TIMETABLE, app
from partners import actors, outbox, tasks
from partners.models import OutboxEvent
from tests.inventory_site.conftest import (
    BASE_DIR,
    PYTHON,
    can_connect,
    environment,
    url_of,
    wait_until,
)

BROKERS = {
    "pgmq": ("pgmq://", None),
    "rabbitmq": ("amqp://guest:guest@127.0.0.1:5672//", 5672),
    "redis": ("redis://127.0.0.1:6379/15", 6379),
}
START_SECONDS_MAX = 120
TASK_SECONDS_MAX = 60
HUNG_SECONDS = 20
"""A client left to itself tries again for minutes, or for ever."""
SHORT_SECONDS = 3


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(tasks, "_paused_until", 0.0)
    yield
    kombu.pools.reset()
    app._after_fork()  # it kept a pool that is closed now


@pytest.fixture
def in_earnest():
    """The site's own app hands its tasks to a broker, as it does outside the tests."""
    before, app.conf.task_always_eager = app.conf.task_always_eager, False
    yield
    app.conf.task_always_eager = before


class TestPrepare:
    @pytest.mark.django_db
    def test_makes_the_schema_once(self):
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE")
        assert queue.prepare() is True
        assert queue.prepare() is False

    @pytest.mark.django_db
    def test_replaces_a_schema_of_an_older_package(self):
        queue.prepare()
        with connection.cursor() as cursor:
            cursor.execute("COMMENT ON SCHEMA pgmq IS 'Backstock queue, pgmq 0.1.0'")
        assert queue.prepare() is True
        assert queue.prepare() is False

    @pytest.mark.django_db
    def test_uses_a_schema_that_somebody_else_made_as_it_is(self):
        queue.prepare()
        with connection.cursor() as cursor:
            cursor.execute("COMMENT ON SCHEMA pgmq IS NULL")
        assert queue.prepare() is False

    @pytest.mark.django_db
    def test_needs_no_more_than_create_on_the_database(self):
        with as_stranger() as (cursor, role):
            cursor.execute(f'GRANT CREATE ON DATABASE "{connection.settings_dict["NAME"]}" TO {role}')
            cursor.execute(f"SET LOCAL ROLE {role}")
            assert queue.prepare() is True
            cursor.execute("SELECT pgmq.create('probe')")
            cursor.execute("""SELECT pgmq.send('probe', '{"a": 1}')""")
            cursor.execute("SELECT count(*) FROM pgmq.read('probe', 5, 5)")
            assert cursor.fetchone() == (1,)

    @pytest.mark.django_db
    def test_says_what_is_missing(self):
        with as_stranger() as (cursor, role):
            cursor.execute(f"SET LOCAL ROLE {role}")
            with pytest.raises(queue.QueueNotPrepared, match="Grant CREATE on the database"):
                queue.prepare()

    @pytest.mark.django_db
    def test_command_says_so_when_the_broker_is_another(self, settings, capsys):
        settings.CELERY_BROKER_URL = "redis://127.0.0.1/0"
        call_command("prepare_queue")
        assert "Nothing to prepare" in capsys.readouterr().out


class TestWithoutItsSchema:
    @pytest.mark.django_db
    def test_no_thread_is_left_that_a_shell_would_wait_for(self):
        before = set(threading.enumerate())
        with kombu.Connection(transport="inventory_site.queue:Transport") as broker:
            with pytest.raises(DatabaseError):
                broker.transport.establish_connection()
            assert set(threading.enumerate()) == before


class TestConfiguration:
    @pytest.mark.parametrize("url", ["filesystem://", "sqs://", "nonsense", "pgmq://elsewhere/db"])
    def test_refuses_what_it_cannot_speak_to(self, url):
        with pytest.raises(ImproperlyConfigured, match="CELERY_BROKER_URL"):
            queue.configuration(url)

    @pytest.mark.parametrize("kind", ["amqps", "rediss"])
    def test_asks_an_encrypted_broker_for_its_certificate(self, kind):
        assert any(key.endswith("cert_reqs") for key in queue.configuration(f"{kind}://broker")["broker_use_ssl"])

    def test_no_message_is_handed_on_while_its_task_may_still_run(self):
        assert app.conf.task_time_limit < queue.VISIBILITY_SECONDS

    def test_only_json_is_accepted(self):
        assert app.conf.accept_content == ["json"]

    def test_every_row_of_the_timetable_names_a_task(self):
        app.loader.import_default_modules()
        assert {row["task"] for row in TIMETABLE.values()} - set(app.tasks) == set()


class TestWorker:
    @pytest.mark.usefixtures("own_database")
    def test_an_event_is_relayed_soon_after_its_transaction_commits(self, in_earnest, tmp_path):
        queue.prepare()
        with worker("inventory_site", tmp_path, CELERY_BROKER_URL="pgmq://") as log:
            with transaction.atomic():
                outbox.record("inventory.low", subject="a", payload={}, actor=actors.job("test"), at=timezone.now())
                tasks.wake_after_commit(tasks.relay_events)
            wait_until(
                lambda: OutboxEvent.objects.filter(position=1).exists(),
                seconds_max=TASK_SECONDS_MAX,
                says=log.read_text,
            )

    @pytest.mark.parametrize("name", BROKERS)
    @pytest.mark.usefixtures("own_database")
    def test_a_task_goes_through(self, name, tmp_path):
        with broker(name) as (client, variables):
            send(client, tmp_path)
            with worker("tests.inventory_site.worker_app", tmp_path, **variables) as log:
                wait_until((tmp_path / "finished").exists, seconds_max=TASK_SECONDS_MAX, says=log.read_text)

    @pytest.mark.parametrize("name", ["pgmq", "rabbitmq"])  # Redis looks for such tasks every 100 s only
    @pytest.mark.usefixtures("own_database")
    def test_a_task_of_a_killed_worker_is_given_to_the_next(self, name, tmp_path):
        (tmp_path / "hang").touch()
        with broker(name) as (client, variables):
            send(client, tmp_path)
            with worker("tests.inventory_site.worker_app", tmp_path, **variables) as log:
                wait_until((tmp_path / "started").exists, seconds_max=TASK_SECONDS_MAX, says=log.read_text)
            assert not (tmp_path / "finished").exists()
            with worker("tests.inventory_site.worker_app", tmp_path, **variables) as log:
                wait_until((tmp_path / "finished").exists, seconds_max=TASK_SECONDS_MAX, says=log.read_text)


class TestWakeAfterCommit:
    """A broker that is away costs a request next to nothing."""

    @pytest.mark.parametrize("scheme", ["amqp", "redis"])
    @pytest.mark.django_db
    def test_a_closed_port_fails_at_once(self, scheme, caplog, django_capture_on_commit_callbacks):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            took_seconds = wake(
                client_of(f"{scheme}://127.0.0.1:{closed.getsockname()[1]}//"), django_capture_on_commit_callbacks
            )
        assert "Could not wake" in caplog.text
        assert took_seconds < HUNG_SECONDS

    @pytest.mark.parametrize("scheme", ["amqp", "redis"])
    @pytest.mark.django_db
    def test_a_silent_broker_is_waited_for_once_and_then_left_alone(
        self, scheme, caplog, django_capture_on_commit_callbacks
    ):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()  # accepts, and never says a word
            client = client_of(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}//")
            first_seconds = wake(client, django_capture_on_commit_callbacks)
            second_seconds = wake(client, django_capture_on_commit_callbacks)
        assert second_seconds < first_seconds / 2 < HUNG_SECONDS
        assert caplog.text.count("Could not wake") == 1

    @pytest.mark.django_db
    def test_it_tries_again_after_the_pause(self, monkeypatch, caplog, django_capture_on_commit_callbacks):
        monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            client = client_of(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
            wake(client, django_capture_on_commit_callbacks)
            wake(client, django_capture_on_commit_callbacks)
        assert caplog.text.count("Could not wake") == 2


def wake(client: Celery, capture) -> float:
    began_at = time.monotonic()
    with capture(execute=True):
        tasks.wake_after_commit(client.tasks["tests.nothing"])
    return time.monotonic() - began_at


def client_of(url: str, **more: object) -> Celery:
    """An app of the test's own that speaks to `url` exactly as the site would."""
    client = Celery("test", set_as_current=False)
    client.conf.update(queue.configuration(url), broker_url=url, task_ignore_result=True, **more)

    @client.task(name="tests.nothing", shared=False)
    def nothing() -> None: ...

    return client


def send(client: Celery, folder: Path) -> None:
    client.send_task("tests.leave_trace", args=[str(folder)])


@contextmanager
def broker(name: str) -> Iterator[tuple[Celery, dict[str, str]]]:
    """A queue of its own at the broker called `name`, and the variables a worker needs to find it."""
    url, port = BROKERS[name]
    if port is None:
        queue.prepare()
    elif not can_connect(port):
        pytest.skip(f"no {name} answers at 127.0.0.1:{port}")
    queue_name = f"test_{uuid.uuid4().hex[:12]}"
    client = client_of(url, task_default_queue=queue_name)
    try:
        yield (
            client,
            {"CELERY_BROKER_URL": url, "TEST_QUEUE": queue_name, "TEST_VISIBILITY_SECONDS": str(SHORT_SECONDS)},
        )
    finally:
        with client.connection_for_write() as made:
            client.amqp.queues[queue_name](made.default_channel).delete()
        client.close()


@contextmanager
def worker(name: str, folder: Path, **variables: str) -> Iterator[Path]:
    """A real worker on the tests' database, killed outright at the end of the block."""
    log = folder / "worker.log"
    command = [PYTHON, "-m", "celery", "-A", name, "worker", "-l", "INFO", "-c", "1"]
    with log.open("wb") as output:
        program = subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip", "-n", f"{uuid.uuid4().hex[:6]}@test"],
            cwd=BASE_DIR,
            env=environment(DATABASE_URL=url_of(connection.settings_dict["NAME"]), **variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: " ready." in log.read_text(), seconds_max=START_SECONDS_MAX, says=log.read_text)
        yield log
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


@contextmanager
def as_stranger() -> Iterator[tuple[CursorWrapper, str]]:
    """A role with no rights at all, and no queue yet; the test's transaction takes both back."""
    role = f"stranger_{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("the test server's role may not make roles")
        cursor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE")
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT {role} TO CURRENT_USER")
        yield cursor, role
