"""Codes by the clock (RFC 6238: SHA-1, six digits, thirty seconds), as every authenticator app makes them. Pure."""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

DIGITS = 6
STEP_SECONDS = 30
# Phones' clocks and people's fingers: the code before and the one after are good, too.
STEPS_AROUND = 1
SECRET_BYTES = 20
QUIET_MODULES = 4


def new_secret() -> str:
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def step_at(at: datetime) -> int:
    return int(at.timestamp()) // STEP_SECONDS


def code_of(secret: str, step: int) -> str:
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: str, code: str, *, at: datetime, after: int) -> int | None:
    """The step whose code this is, around `at` and later than `after`; every candidate is compared in constant time."""
    now = step_at(at)
    found = None
    for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
        if hmac.compare_digest(code_of(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


def address(secret: str, *, issuer: str, account: str) -> str:
    """What an app reads from the picture."""
    query = urlencode(
        {"secret": secret, "issuer": issuer, "digits": DIGITS, "period": STEP_SECONDS, "algorithm": "SHA1"},
        quote_via=quote,
    )
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{query}"


def picture(text: str) -> str:
    """The text as a QR code, drawn here as SVG: a path of the dark squares, nothing else."""
    symbol = QRCode(None, QRErrorCorrectLevel.M)
    symbol.addData(text)
    symbol.make()
    count = symbol.getModuleCount()
    dark = "".join(
        f"M{column + QUIET_MODULES} {row + QUIET_MODULES}h1v1h-1z"
        for row in range(count)
        for column in range(count)
        if symbol.isDark(row, column)
    )
    side = count + 2 * QUIET_MODULES
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="QR code for the authenticator app" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{dark}"/></svg>'
    )
