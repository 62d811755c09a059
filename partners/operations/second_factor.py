"""The second factor of staff: an authenticator app, and recovery codes for the day it is lost."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

from django.contrib.auth.models import User
from django.db import transaction

from partners import strongbox, totp
from partners.models import RecoveryCode, SecondFactor
from partners.problems import Conflict, Problem

PURPOSE = "second factor"
FAILURES_MAX = 5
LOCKED = timedelta(minutes=15)
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
Used = Literal["app", "recovery code"]


class WrongCode(Problem):
    """Neither the present code of the app nor an unused recovery code."""

    code = "wrong_code"
    title = "This code is not good"
    remedy = "Read the present code from the app; where it goes on, set the clock of the telephone."
    status = 403
    is_final = False


class TooManyCodes(Problem):
    """Too many wrong codes; even a right one is not looked at for a while."""

    code = "too_many_codes"
    title = "Too many wrong codes"
    remedy = "Wait a quarter of an hour, or ask an administrator to take the second factor away."
    status = 429
    is_final = False


class AlreadyEnrolled(Conflict):
    """Somebody who has a second factor asks to begin with one."""

    code = "already_enrolled"
    title = "There is a second factor already"
    remedy = "Use it; an administrator can take it away so that you begin anew."


def is_set(*, user: User) -> bool:
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


@transaction.atomic
def begin(*, user: User) -> str:
    """The secret to put into an app (base32). It counts only once a code of it was right.

    Called again before that it answers the same, so that a page may be loaded twice. Raises AlreadyEnrolled.
    """
    factor, _ = SecondFactor.objects.select_for_update().get_or_create(
        user=user, defaults={"secret": strongbox.close(totp.new_secret(), purpose=PURPOSE)}
    )
    if factor.confirmed_at is not None:
        raise AlreadyEnrolled("Turn the present second factor off first.")
    return strongbox.open_again(factor.secret, purpose=PURPOSE)


# A refused code is remembered, and a refusal rolls back: so the two are apart, here and in `check`.
def confirm(*, user: User, code: str, at: datetime) -> list[str]:
    """The app shows the right code: from now on it is asked for at each log-in. The answer is the recovery codes.

    They are seen this once. Locks the factor. Raises WrongCode, TooManyCodes, and AlreadyEnrolled when called twice.
    """
    refusal: Problem | None = None
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user).first()
        if factor is None or factor.confirmed_at is not None:
            raise AlreadyEnrolled("There is nothing to confirm.")
        used, refusal = _look_at(factor, code, at=at)
        if used:
            factor.confirmed_at = at
            factor.save()
            return _new_recovery_codes(factor)
    raise refusal or WrongCode("Try the next code the app shows.")


def check(*, user: User, code: str, at: datetime) -> Used:
    """Let the owner of the app in: its present code, which is then used up, or an unused recovery code.

    After FAILURES_MAX wrong ones in a row nothing is looked at for a quarter of an hour. Locks the factor,
    so of two who send the same code at once one is let in. Raises WrongCode and TooManyCodes.
    """
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at__isnull=False).first()
        if factor is None:
            raise WrongCode("There is no second factor to check.")
        used, refusal = _look_at(factor, code, at=at)
    if used is None:
        raise refusal or WrongCode("Try the next code the app shows.")
    return used


@transaction.atomic
def renew_recovery_codes(*, user: User) -> list[str]:
    """Ten new recovery codes; the earlier ones are good no more. Locks the factor."""
    return _new_recovery_codes(SecondFactor.objects.select_for_update().get(user=user, confirmed_at__isnull=False))


@transaction.atomic
def remove(*, user: User) -> bool:
    """Forget the app and its recovery codes: the password alone lets in again. False where there was none."""
    return bool(SecondFactor.objects.filter(user=user).delete()[0])


def _look_at(factor: SecondFactor, code: str, *, at: datetime) -> tuple[Used | None, Problem | None]:
    """What of the locked factor the code is, written down; or why it is refused."""
    code = "".join(code.split()).replace("-", "").upper()
    if factor.failures >= FAILURES_MAX and factor.failed_at and factor.failed_at > at - LOCKED:
        return None, TooManyCodes("Wait a quarter of an hour, then try the code the app shows.")
    secret = strongbox.open_again(factor.secret, purpose=PURPOSE)
    step = totp.matching_step(secret, code, at=at, after=factor.last_step)
    unused = RecoveryCode.objects.filter(factor=factor, digest=_digest(code), used_at__isnull=True)
    used: Used | None = "app" if step is not None else "recovery code" if unused.update(used_at=at) else None
    if used is None:
        locked_before = factor.failures >= FAILURES_MAX
        factor.failures, factor.failed_at = (1 if locked_before else factor.failures + 1), at
    else:
        factor.failures, factor.failed_at, factor.last_step = 0, None, step or factor.last_step
    factor.save()
    return used, None if used else WrongCode("Try the next code the app shows.")


def _new_recovery_codes(factor: SecondFactor) -> list[str]:
    codes = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    factor.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(factor=factor, digest=_digest(code)) for code in codes])
    return ["-".join(code[place : place + 4] for place in range(0, len(code), 4)) for code in codes]


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
