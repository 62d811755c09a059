"""A partner's credentials change: a new secret beside the old one, other addresses, a token taken back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_access_token_model

from partners import addresses
from partners.actors import Actor
from partners.models import ApiKey, Application
from partners.problems import InvalidInput, Problem

HASHER = "random_sha256"
OVERLAP_SECONDS = 24 * 3600
OVERLAP_SECONDS_MAX = 7 * 24 * 3600
NETWORKS_MAX = 50


class WrongSecret(Problem):
    """The secret shown is none of this application's."""

    code = "wrong_secret"
    title = "This is not the present secret"
    remedy = "Show a secret that is good now; where there is none, ask the operator for a new one."
    status = 403
    is_final = False


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """The only time the new secret is seen; `earlier_until` null: no earlier one is good any more."""

    application: Application
    client_secret: str
    earlier_until: datetime | None


@transaction.atomic
def rotate_secret(
    *,
    application: Application,
    at: datetime,
    actor: Actor,
    shown: str | None = None,
    overlap_seconds: int = OVERLAP_SECONDS,
) -> Rotated:
    """Give the application a new secret; the one it has stays good for `overlap_seconds` more, so that no call fails.

    `shown` is the secret whoever asks knows, where a token alone is not enough to ask. It is the one that
    stays good: so a caller who lost the answer asks again with the secret it still has, and gets another
    new one. Never more than two are good. No overlap: the earlier ones are refused from now on; tokens that
    are out live to their end. Locks the application. Raises WrongSecret and InvalidInput; called twice it
    makes two new secrets, of which the second and `shown` (or the first) are good.
    """
    if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
        raise InvalidInput.at("overlapSeconds", f"From 0 to {OVERLAP_SECONDS_MAX} seconds (7 days).")
    locked: Application = Application.objects.select_for_update(no_key=True, of=("self",)).get(pk=application.pk)
    staying = locked.client_secret if shown is None else matching_secret(application=locked, secret=shown, at=at)
    if staying is None:
        raise WrongSecret("Show the client secret that this application gets its tokens with.")
    secret = generate_client_secret()
    # The same secret shown again gets no longer a life than it was given first.
    was_retiring = staying == locked.retiring_secret and locked.retiring_until is not None
    until = at + timedelta(seconds=overlap_seconds)
    until = min(until, locked.retiring_until) if was_retiring and locked.retiring_until else until
    locked.client_secret = make_password(secret, hasher=HASHER)
    locked.retiring_secret, locked.retiring_until = (staying, until) if overlap_seconds else ("", None)
    locked._change_reason = f"secret rotated by {actor.label}"
    locked.save()
    return Rotated(application=locked, client_secret=secret, earlier_until=locked.retiring_until)


def matching_secret(*, application: Application | None, secret: str, at: datetime) -> str | None:
    """The kept hash `secret` fits, among those that are good. Always compares twice, also for nobody.

    So a wrong secret takes as long as a right one, and an application that is not there as long as one that is.
    """
    nothing = make_password("nobody's secret", salt="nobody", hasher=HASHER)
    kept = [application.client_secret] if application else []
    if application and application.retiring_until and application.retiring_until > at:
        kept.append(application.retiring_secret)
    fits = [check_password(secret, encoded) for encoded in (*kept, nothing, nothing)[:2]]
    return next((encoded for encoded, good in zip(kept, fits, strict=False) if good), None)


@transaction.atomic
def allow_addresses(*, application: Application, networks: list[str], actor: Actor) -> Application:
    """Say from which networks the application may ask for tokens and use what it has; none: from anywhere.

    Counts at once, also for tokens and API keys that are out. Locks the application. Raises InvalidInput;
    saying the same again writes nothing.
    """
    found = checked_networks(networks)
    locked: Application = Application.objects.select_for_update(no_key=True, of=("self",)).get(pk=application.pk)
    if locked.allowed_networks != found:
        locked.allowed_networks = found
        locked._change_reason = f"addresses allowed by {actor.label}"
        locked.save()
    return locked


@transaction.atomic
def revoke(*, application: Application, credential: str, at: datetime) -> bool:
    """Take back a token or an API key of this application; another's, or one that is none, is left alone.

    True when something was taken back. Called twice, the second time changes nothing.
    """
    digest = hashlib.sha256(credential.encode()).hexdigest()
    tokens = get_access_token_model().objects.filter(application=application, token_checksum=digest)
    if tokens.delete()[0]:
        return True
    key = ApiKey.objects.select_for_update(no_key=True).filter(application=application, digest=digest).first()
    if key is None or key.revoked_at is not None:
        return False
    key.revoked_at = at
    key._change_reason = "revoked with the key itself"  # type: ignore[attr-defined]
    key.save()
    return True


def checked_networks(networks: list[str]) -> list[str]:
    if len(networks) > NETWORKS_MAX:
        raise InvalidInput.at("allowedAddresses", f"At most {NETWORKS_MAX} networks.")
    try:
        return addresses.read_networks(networks)
    except ValueError as error:
        raise InvalidInput.at("allowedAddresses", str(error)) from error
