"""How secrets that we made ourselves are kept."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher, mask_hash
from django.utils.crypto import constant_time_compare


class RandomSecretHasher(BasePasswordHasher):
    """One salted SHA-256, for secrets of at least 128 random bits and nothing a person chose.

    Nobody guesses such a secret however fast the guessing is, so a slow hash would protect nothing: it
    would cost half a second of a core at every token, and for everybody who sends a wrong one.
    """

    algorithm = "random_sha256"

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}${salt}${hashlib.sha256(f'{salt}${password}'.encode()).hexdigest()}"

    def decode(self, encoded: str) -> dict[str, str]:
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest}

    def verify(self, password: str, encoded: str) -> bool:
        return constant_time_compare(encoded, self.encode(password, self.decode(encoded)["salt"]))

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        found = self.decode(encoded)
        return {"algorithm": self.algorithm, "salt": mask_hash(found["salt"]), "hash": mask_hash(found["hash"])}

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to make up for: the work is the same for every secret."""
