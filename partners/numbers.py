"""Numbers of documents: short enough to say on the telephone, and they tell a partner nothing.

Sixty random bits in Crockford's base 32 (no I, L, O, U): `SO-7K3M-9QX2-PT4W`. A running number would
show each partner how many orders all the others place.
"""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_number(prefix: str) -> str:
    symbols = [secrets.choice(ALPHABET) for _ in range(12)]
    return "-".join([prefix, *("".join(symbols[at : at + 4]) for at in (0, 4, 8))])
