"""Once and only once: the answer to a key is kept in the transaction of its effect.

A twin that arrives while the first is running waits on the unique index, then finds the answer. A
crash before commit leaves neither effect nor key, so the retry simply runs. There is no third case.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from django.db import OperationalError, transaction
from psycopg import errors as pg

from partners import prepared
from partners.models import IdempotencyKey
from partners.problems import Problem

KEPT_HOURS = 72
CLAIM = """
    INSERT INTO partners_idempotencykey (application_id, key, fingerprint, headers, created_at)
    VALUES (%s, %s, %s, '{}', now()) ON CONFLICT DO NOTHING RETURNING id
"""
KEEP = "UPDATE partners_idempotencykey SET status = %s, body = %s::bytea, headers = %s::jsonb WHERE id = %s"
RUNNING = "Another request with this key is running. Ask again in a second."
VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")


class KeyMissing(Problem):
    """This request changes stock or makes a document, and must be safe to send again."""

    code = "idempotency_key_missing"
    title = "Idempotency-Key is missing"
    remedy = "Send a new Idempotency-Key for each intent, and the same one for each retry of it."
    status = 400
    is_final = False


class KeyMalformed(Problem):
    """The header is there but is not 1 to 255 visible ASCII characters."""

    code = "idempotency_key_malformed"
    title = "Idempotency-Key cannot be used"
    remedy = "Send 1 to 255 visible ASCII characters, such as a UUID."
    status = 400
    is_final = False


class KeyReused(Problem):
    """The key already stands for another request; the first answer is not this one's."""

    code = "idempotency_key_reused"
    title = "Idempotency-Key was used with another request"
    remedy = "Use a new key for the new request."
    status = 422
    is_final = False


class StillRunning(Problem):
    """The first request with this key has not finished; ask again shortly."""

    code = "idempotency_in_progress"
    title = "A request with this key is still running"
    remedy = "Send the same request again, with the same key, after the seconds of Retry-After."
    status = 409
    is_final = False
    retry_after_seconds = 1


def read_key(header: str | None) -> str:
    """The key as the client sent it; a structured-field string ("…") and a bare token mean the same."""
    if header is None:
        raise KeyMissing("Send an Idempotency-Key header: any text of your own, new for each intent.")
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not VISIBLE_ASCII.fullmatch(key):
        raise KeyMalformed("Idempotency-Key takes 1 to 255 visible ASCII characters.")
    return key


def fingerprint(*, method: str, path: str, body: Any) -> str:
    """SHA-256 over what was asked. The order of keys, white space and the spelling of a number do not count.

    1, 1.0 and 1e0 are one number of JSON (RFC 8785 writes them alike), and "1" is a text.
    """
    canonical = _dumped([method, path, body])
    if ".0" in canonical or "e+" in canonical:  # only then can a whole number be spelled as a fraction
        canonical = _dumped([method, path, _whole(body)])
    return hashlib.sha256(canonical.encode()).hexdigest()


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def claim(*, application_id: int, key: str, fingerprint: str, is_alone: bool = False) -> tuple[IdempotencyKey, bool]:
    """Take the key for this transaction, or wait for the twin that has it and give its answer.

    Returns (row, True) when the key is ours and the effect may run; (row, False) when the row holds
    the finished answer. Raises KeyReused, and StillRunning after the lock time-out; who is not alone in its
    transaction may go on after that.
    """
    try:
        with transaction.atomic(savepoint=not is_alone):
            made = prepared.fetch(CLAIM, [application_id, key, fingerprint])
    except OperationalError as error:
        if isinstance(error.__cause__, pg.LockNotAvailable):
            raise StillRunning(RUNNING) from error
        raise
    if made:
        row = IdempotencyKey(pk=made[0][0], application_id=application_id, key=key, fingerprint=fingerprint)
        row._state.adding = False
        return row, True
    row = IdempotencyKey.objects.get(application_id=application_id, key=key)
    return _same(row, fingerprint), False


def claiming(
    *, application_id: int, key: str, fingerprint: str, call: prepared.Step, columns: Sequence[str]
) -> prepared.Step:
    """One statement that takes the key and then calls a function of the database: a row of the key's id and the
    function's columns, or no row, and no call, where the key is not ours.

    Who runs it asks `was_running` of what it raises.
    """
    function, parameters = call
    made = ", ".join(f"(made).{column}" for column in columns)
    # In the list of what is selected, and not beside `claimed`, where the planner might call it first.
    effect = f"SELECT claimed.id, {function} AS made FROM claimed"  # noqa: S608  the parts are our own
    statement = f"WITH claimed AS ({CLAIM}), effect AS MATERIALIZED ({effect}) SELECT id, {made} FROM effect"  # noqa: S608  likewise
    return statement, [application_id, key, fingerprint, *parameters]


def was_running(error: OperationalError) -> bool:
    """Whether it was a twin with our key that was waited for in vain."""
    cause = error.__cause__
    table = IdempotencyKey._meta.db_table
    return isinstance(cause, pg.LockNotAvailable) and table in (cause.diag.context or "")


def find(*, application_id: int, key: str, fingerprint: str) -> IdempotencyKey | None:
    """The row of a key that has its answer already. Raises KeyReused."""
    row = IdempotencyKey.objects.filter(application_id=application_id, key=key, status__isnull=False).first()
    return _same(row, fingerprint) if row else None


def give_up(row: IdempotencyKey) -> None:
    """The request was refused in a way that may be mended under the same key."""
    row.delete()


def _same(row: IdempotencyKey, fingerprint: str) -> IdempotencyKey:
    if row.fingerprint != fingerprint:
        raise KeyReused("This Idempotency-Key belongs to another request. Use a new key for a new intent.")
    return row


def keep(row: IdempotencyKey, *, status: int, body: bytes, headers: dict[str, str]) -> None:
    prepared.fetch(*keeping(row.pk, status=status, body=body, headers=headers))


def keeping(row_id: int, *, status: int, body: bytes, headers: dict[str, str]) -> prepared.Step:
    """The statement of `keep`."""
    return KEEP, [status, body, json.dumps(headers), row_id]
