"""API keys, for partners whose systems cannot do OAuth: made, used and revoked."""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from partners.actors import Actor
from partners.models import ApiKey, Application
from partners.operations import credentials
from partners.problems import Conflict, InvalidInput

MARK = "bsk_"
PREFIX_LENGTH = len(MARK) + 8
RANDOM_BYTES = 32
LIVE_KEYS_MAX = 20
LIFE_DAYS_MAX = 5 * 366
USE_NOTED_EVERY = timedelta(minutes=10)
# A key lives long and lies in a file: it must not be able to make others that outlive it.
NOT_FOR_KEYS = frozenset({"credentials:write"})
_LETTERS = string.ascii_lowercase + string.digits


class TooManyKeys(Conflict):
    """The application has as many live keys as it may have. Data: limit."""

    code = "too_many_keys"
    title = "This application has too many API keys"


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """The only time the whole key is seen; the database keeps its SHA-256."""

    api_key: ApiKey
    text: str


@transaction.atomic
def create(
    *,
    application: Application,
    name: str,
    actor: Actor,
    at: datetime,
    granted_scopes: list[str] | None = None,
    networks: list[str] | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """Give the application a long-lived key; it is shown once, like `bsk_7h2k90qz_…`.

    The scopes are some of the application's; null: all of them that keys may have. `networks` are those it
    may be used from, none: from anywhere the application may be. `expires_at` null: until it is revoked.
    Locks the application. Raises TooManyKeys (data: limit) and InvalidInput; called twice it makes two.
    """
    locked = Application.objects.select_for_update(no_key=True, of=("self",)).get(pk=application.pk)
    may_have = [scope for scope in locked.scopes if scope not in NOT_FOR_KEYS]
    granted = may_have if granted_scopes is None else list(dict.fromkeys(granted_scopes))
    if beyond := sorted(set(granted) - set(may_have)):
        raise InvalidInput.at("scopes", f"Not for a key of this application: {', '.join(beyond)[:500]}.")
    if not granted:
        raise InvalidInput.at("scopes", "A key needs a scope, else it opens nothing.")
    if not name.strip():
        raise InvalidInput.at("name", "Say what the key is for.")
    if expires_at is not None and not at < expires_at <= at + timedelta(days=LIFE_DAYS_MAX):
        raise InvalidInput.at("expiresAt", "In the future, and within five years.")
    if ApiKey.objects.live(at).filter(application=locked).count() >= LIVE_KEYS_MAX:
        raise TooManyKeys(f"There are {LIVE_KEYS_MAX} live keys already; revoke one.", limit=LIVE_KEYS_MAX)
    prefix = MARK + "".join(secrets.choice(_LETTERS) for _ in range(PREFIX_LENGTH - len(MARK)))
    text = f"{prefix}_{secrets.token_urlsafe(RANDOM_BYTES)}"
    api_key = ApiKey.objects.create(
        application=locked,
        name=name.strip(),
        prefix=prefix,
        digest=digest_of(text),
        scopes=granted,
        allowed_networks=credentials.checked_networks(networks or []),
        expires_at=expires_at,
        made_by=actor.label,
    )
    return NewKey(api_key=api_key, text=text)


@transaction.atomic
def revoke(*, api_key: ApiKey, actor: Actor, at: datetime) -> ApiKey:
    """Take the key back; from now on it is refused. Locks the key; one that is revoked stays as it is."""
    locked = ApiKey.objects.select_for_update(no_key=True).get(pk=api_key.pk)
    if locked.revoked_at is None:
        locked.revoked_at = at
        locked._change_reason = f"revoked by {actor.label}"  # type: ignore[attr-defined]  # read by the history
        locked.save()
    return locked


def note_use(*, api_key: ApiKey, at: datetime) -> bool:
    """Remember that the key is in use, to within ten minutes. True for the one call in that time that wrote it down."""
    stale = at - USE_NOTED_EVERY
    if api_key.last_used_at is not None and api_key.last_used_at > stale:
        return False
    unnoted = ApiKey.objects.filter(pk=api_key.pk).exclude(last_used_at__gt=stale)
    return bool(unnoted.update(last_used_at=at))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
