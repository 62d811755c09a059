"""Secrets that must be read again, encrypted by a key of the site: a stolen dump of the database opens none.

The key is derived from SECRET_KEY; keys in SECRET_KEY_FALLBACKS still open what they closed. Secrets that
only have to be compared are hashed instead.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class CannotOpen(Exception):
    """Closed with a key that is neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS."""


def close(secret: str, *, purpose: str) -> bytes:
    """`purpose` separates the keys: what was closed for one thing does not open as another."""
    return _box(purpose).encrypt(secret.encode())


def open_again(closed: bytes | memoryview[int], *, purpose: str) -> str:
    try:
        return _box(purpose).decrypt(bytes(closed)).decode()
    except InvalidToken as error:
        raise CannotOpen(f"A secret for {purpose} was closed with another SECRET_KEY.") from error


def _box(purpose: str) -> MultiFernet:
    return MultiFernet([_key(key, purpose) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(key: str, purpose: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"backstock {purpose}".encode()).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
