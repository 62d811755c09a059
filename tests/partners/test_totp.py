"""Codes by the clock, against the vectors of RFC 6238 and RFC 4226, and what is drawn for the app."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from partners import strongbox, totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "last_six_of_eight"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds, last_six_of_eight):
    assert totp.code_of(SECRET, seconds // totp.STEP_SECONDS) == last_six_of_eight


def test_a_code_is_good_one_step_around_and_once():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    step = totp.step_at(at)
    for away, is_good in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = totp.matching_step(SECRET, totp.code_of(SECRET, step + away), at=at, after=0)
        assert found == (step + away if is_good else None)
    assert totp.matching_step(SECRET, totp.code_of(SECRET, step), at=at, after=step) is None
    assert totp.matching_step(SECRET, totp.code_of(SECRET, step - 1), at=at, after=step) is None
    later = at + timedelta(seconds=totp.STEP_SECONDS)
    assert totp.matching_step(SECRET, totp.code_of(SECRET, step + 1), at=later, after=step) == step + 1


@pytest.mark.parametrize("wrong", ["", "12345", "1234567", "abcdef", "٠٠٥٩٢٤", "\x00"])
def test_what_is_no_code_is_wrong(wrong):
    assert totp.matching_step(SECRET, wrong, at=datetime(2026, 1, 1, tzinfo=UTC), after=0) is None


def test_the_app_is_told_secret_issuer_and_account():
    parts = urlsplit(totp.address(SECRET, issuer="Backstock", account="mia o'hara"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Backstock:mia%20o%27hara")
    assert parse_qs(parts.query)["secret"] == [SECRET]


def test_the_picture_is_a_qr_code_with_its_three_corners():
    drawn = totp.picture(totp.address(SECRET, issuer="Backstock", account="mia"))
    side = int(re.search(r'viewBox="0 0 (\d+) ', drawn)[1])
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", drawn)}
    quiet, last = totp.QUIET_MODULES, side - totp.QUIET_MODULES - 1
    for corner in ((quiet, quiet), (last, quiet), (quiet, last)):
        assert corner in dark
    assert (last, last) not in dark or (last - 6, last - 6) not in dark
    assert min(x for x, _ in dark) == quiet
    assert "<script" not in drawn


def test_a_closed_secret_opens_for_its_purpose_and_key_alone(settings):
    closed = strongbox.close(SECRET, purpose="one")
    assert SECRET.encode() not in closed
    assert strongbox.open_again(closed, purpose="one") == SECRET
    with pytest.raises(strongbox.CannotOpen):
        strongbox.open_again(closed, purpose="another")
    old, settings.SECRET_KEY = settings.SECRET_KEY, "x" * 60
    with pytest.raises(strongbox.CannotOpen):
        strongbox.open_again(closed, purpose="one")
    settings.SECRET_KEY_FALLBACKS = [old]
    assert strongbox.open_again(closed, purpose="one") == SECRET
