"""The broker behind Celery: RabbitMQ, Redis, or the PostgreSQL that is there anyway.

Nothing lives only in a broker, so each may be emptied or replaced at any moment. `pgmq://` keeps
the messages in the schema `pgmq` of the site's own database (see `prepare`).
"""

from __future__ import annotations

import ssl
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, transaction
from kombu.transport import pgmq as kombu_pgmq
from pgmq import PGMQueue
from psycopg_pool import ConnectionPool

# No task may run longer, and a broker hands a task on only after that: never while it still runs.
TASK_SECONDS_MAX = 900
VISIBILITY_SECONDS = TASK_SECONDS_MAX + 300

# A web request publishes too, and a broker that is away may not hold it up.
CONNECT_SECONDS_MAX = 1
ANSWER_SECONDS_MAX = 2
STOP_HEARD_SECONDS = 0.5


def configuration(url: str) -> dict[str, Any]:
    """Celery's settings for the kind of broker `url` names; ImproperlyConfigured for any other kind."""
    kind = urlsplit(url).scheme
    if kind not in OF_KIND:
        raise ImproperlyConfigured(f"CELERY_BROKER_URL is {kind}://…; it can be {', '.join(OF_KIND)}.")
    if kind == "pgmq" and url != "pgmq://":
        raise ImproperlyConfigured("CELERY_BROKER_URL: write pgmq:// alone; the queue lives where DATABASE_URL points.")
    own = OF_KIND[kind]
    options = {"max_retries": 0, **own.get("broker_transport_options", {})}
    return {"broker_connection_timeout": CONNECT_SECONDS_MAX, **own, "broker_transport_options": options}


_PGMQ: dict[str, Any] = {
    "broker_transport": "inventory_site.queue:Transport",
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_SECONDS,
        "wait_time_seconds": 0,  # a waiting read would be one more long transaction in the site's database
        "polling_interval": 0.2,
    },
    # Each connection here is a pool of its own inside PostgreSQL's max_connections.
    "broker_pool_limit": 4,
    # A reply queue is named for the host, and pgmq refuses names above 47 characters.
    "worker_enable_remote_control": False,
}
_RABBITMQ: dict[str, Any] = {
    "task_default_queue_type": "quorum",
    "broker_transport_options": {
        "confirm_publish": True,
        "read_timeout": CONNECT_SECONDS_MAX,  # waited for three times: once to publish, twice to close
        "write_timeout": CONNECT_SECONDS_MAX,
    },
}
_REDIS: dict[str, Any] = {
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS_MAX,
        "socket_timeout": ANSWER_SECONDS_MAX,
    },
}
# Left to themselves both clients encrypt without asking whom they talk to.
_RABBITMQ_TLS = {**_RABBITMQ, "broker_use_ssl": {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}}
_REDIS_TLS = {**_REDIS, "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}}
OF_KIND = {"pgmq": _PGMQ, "amqp": _RABBITMQ, "amqps": _RABBITMQ_TLS, "redis": _REDIS, "rediss": _REDIS_TLS}


class Transport(kombu_pgmq.Transport):
    """Kombu's own pgmq transport, connected exactly as Django is.

    pgmq-py builds its connection string from five fields and loses the rest (sslmode, a quoted
    password, a test database's name), hence a pool of ours.
    """

    can_parse_url = True  # there is nothing in it to parse
    _pool: ConnectionPool | None = None

    @classmethod
    def as_uri(cls, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: FBT001
        return "pgmq:// in the site's database"

    def _create_pgmq_client(self) -> PGMQueue:
        parameters = connections["default"].get_connection_params()
        for of_django_only in ("context", "cursor_factory"):
            parameters.pop(of_django_only, None)
        self._pool = ConnectionPool(
            kwargs={"connect_timeout": CONNECT_SECONDS_MAX + 1, **parameters},  # libpq's least is 2
            min_size=1,
            max_size=2,
            timeout=ANSWER_SECONDS_MAX,
            open=True,
        )
        return PGMQueue(pool=self._pool, vt=VISIBILITY_SECONDS, init_extension=False)

    def establish_connection(self) -> Any:
        """A connection that could not be had leaves no threads behind, for which a shell would wait at its end."""
        try:
            return super().establish_connection()
        except Exception:
            self._close_pool()
            raise

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Come back often, so that a worker hears soon that it shall stop."""
        super().drain_events(connection, timeout=min(timeout or STOP_HEARD_SECONDS, STOP_HEARD_SECONDS))

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        self._close_pool()

    def _close_pool(self) -> None:
        self._pgmq_client = None
        if self._pool is not None:
            self._pool.close()
            self._pool = None


class QueueNotPrepared(Exception):
    """PostgreSQL would not have the queue's schema; the text says what is missing."""


@transaction.atomic
def prepare() -> bool:
    """Make the schema `pgmq`, from the SQL in the pgmq package; no extension, no superuser.

    Answers whether anything was made; asked again it does nothing. After an update of the package
    the schema is made anew, and the timetable calls again what was waiting in it. A schema that
    somebody else made (CREATE EXTENSION pgmq) is used as it is. The role must own the database or
    have CREATE on it, else QueueNotPrepared.
    """
    sql = files("pgmq") / "sql"
    mark = f"Backstock queue, pgmq {(sql / 'VERSION').read_text().strip()}"
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('backstock queue'))")
        cursor.execute("SELECT coalesce(obj_description(to_regnamespace('pgmq')), ''), to_regnamespace('pgmq') IS NULL")
        found, is_missing = cursor.fetchone()
        if not is_missing and (found == mark or not found.startswith("Backstock")):
            return False
        try:
            cursor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE")
            cursor.execute((sql / "pgmq.sql").read_text())
            cursor.execute(f"COMMENT ON SCHEMA pgmq IS '{mark}'")
        except DatabaseError as error:
            raise QueueNotPrepared(
                f"PostgreSQL refused the schema pgmq ({str(error).splitlines()[0]}). Grant CREATE on the database "
                "to Backstock's role, or run CREATE EXTENSION pgmq, or name another broker in CELERY_BROKER_URL."
            ) from error
    return True
