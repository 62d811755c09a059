"""The numbers a product and its packs are known by: read, held against their scheme, and given once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from catalog import gtins
from catalog.models import Identifier, Pack, Variant
from catalog.models.identifier import plain_code
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, Problem

IDENTIFIERS_MAX = 50
VALUE_MAX = 80
ASIN = re.compile(r"[A-Z0-9]{10}")
LENGTHS = {Identifier.Scheme.UPC: (8, 12), Identifier.Scheme.EAN: (8, 13), Identifier.Scheme.GTIN: gtins.LENGTHS}
KEY = re.compile(r"\((\d{14})[,)]")


class GtinTaken(Conflict):
    """The GTIN belongs to another product, or to another pack of this one. Data: gtin."""

    code = "gtin_taken"
    title = "The GTIN belongs to another product"
    remedy = "Look the GTIN up with GET /products?gtin= and correct one of the two."


class IdentifierTaken(Conflict):
    """The number stands for another product already. Data: scheme, value."""

    code = "identifier_taken"
    title = "The number stands for another product"
    remedy = "Look the number up with GET /products?q= and correct one of the two."


@dataclass(frozen=True, kw_only=True)
class IdentifierOf:
    """A further number: on the pack of that name (none: the single unit), and whose own it is."""

    scheme: str
    value: str
    pack: str = ""
    partner: Partner | None = None


@dataclass(frozen=True)
class Change:
    """What a new list of identifiers changed: numbers that are everybody's, and numbers that are somebody's own."""

    is_general: bool = False
    is_own: bool = False

    def __bool__(self) -> bool:
        return self.is_general or self.is_own


Key = tuple[str, str, int | None, int | None]


def normalise_gtin(gtin: str, *, field: str = "gtin") -> str:
    """The GTIN as 14 digits (GS1 General Specifications 3.3.2); a UPC-E is expanded. Raises InvalidInput."""
    if not gtin:
        return ""
    try:
        return gtins.read(gtin).gtin14
    except gtins.NoGtin as error:
        raise InvalidInput.at(field, str(error)) from error


def replace(*, variant: Variant, rows: Sequence[IdentifierOf], viewer: Partner | None = None) -> Change:
    """Make `rows` the further identifiers there are; for a `viewer` those it sees, and the others stay.

    What is said of `gtin`, `packs[].gtin` and `suppliers[].supplierCode` already is not kept twice. The caller
    holds the product's lock. Saying what is so already writes nothing.
    Raises InvalidInput at `identifiers[…]`, GtinTaken (data: gtin) and IdentifierTaken (data: scheme, value).
    """
    if len(rows) > IDENTIFIERS_MAX:
        raise InvalidInput.at("identifiers", f"A product has at most {IDENTIFIERS_MAX} further identifiers.")
    packs: dict[str, int] = dict(Pack.objects.filter(variant=variant).values_list("name", "pk"))
    seen = variant.identifiers.all() if viewer is None else variant.identifiers.for_partner(viewer)
    main = {_place(row) for row in seen if row.is_main}
    there = {_key(row): row for row in seen if not row.is_main}
    wanted = {key: value for place, row in enumerate(rows) for key, value in [_read(variant, row, place, packs)]}
    wanted = {key: value for key, value in wanted.items() if _family(*key) not in main}
    gone = [row for key, row in there.items() if wanted.get(key) != row.value]
    new = [key for key, value in wanted.items() if key not in there or there[key].value != value]
    if not gone and not new:
        return Change()
    try:
        with transaction.atomic():
            Identifier.objects.filter(pk__in=[row.pk for row in gone]).delete()
            Identifier.objects.bulk_create(
                Identifier(
                    variant=variant, scheme=key[0], plain=key[1], pack_id=key[2], partner_id=key[3], value=wanted[key]
                )
                for key in new
            )
    except IntegrityError as error:
        sent = {wanted[key]: key[0] for key in new}
        raise understood(error, field="identifiers", scheme_of=sent) from error
    owners = {row.partner_id for row in gone} | {key[3] for key in new}
    return Change(is_general=None in owners, is_own=bool(owners - {None}))


def understood(error: IntegrityError, *, field: str, scheme_of: Mapping[str, str] | None = None) -> Problem:
    """What the database's guards of identifiers mean by their names; raises what is none of them.

    `scheme_of` the values that were sent; one that is not among them is the number of a supplier's offer.
    """
    diagnosis = getattr(error.__cause__, "diag", None)
    name = getattr(diagnosis, "constraint_name", None) or ""
    said = getattr(diagnosis, "message_detail", None) or ""
    match name:
        case (
            "identifier_gtin_unique" | "identifier_restricted_gtin_unique" | "variant_gtin_unique" | "pack_gtin_unique"
        ):
            number = KEY.search(said)
            return gtin_taken(number[1] if number else "")
        case "identifier_partners_code_unique" | "identifier_asin_unique":
            key = said.partition(")=(")[2].rpartition(") already")[0]
            if name == "identifier_asin_unique":
                scheme, value = "asin", key
            else:  # the partner's id, and the number as it was received
                value = key.partition(", ")[2]
                scheme = (scheme_of or {}).get(value, "supplier")
            return IdentifierTaken(f"The number {value} stands for another product.", scheme=scheme, value=value)
        case "identifier_said_once":
            return InvalidInput.at(field, "A number is named twice.")
        case "identifier_gtin_is_sound":
            return InvalidInput.at(field, "A GTIN's check digit is wrong.")
    raise error


def gtin_taken(gtin: str) -> GtinTaken:
    return GtinTaken(f"The GTIN {gtin} belongs to another product or pack.", gtin=gtin)


def _read(variant: Variant, row: IdentifierOf, place: int, packs: dict[str, int]) -> tuple[Key, str]:
    field = f"identifiers[{place}]"
    if row.pack and row.pack not in packs:
        raise InvalidInput.at(f"{field}.pack", f"{variant.sku} has no pack {row.pack}.")
    value = row.value.strip()
    if not value or len(value) > VALUE_MAX or not value.isprintable():
        raise InvalidInput.at(f"{field}.value", f"A number has 1 to {VALUE_MAX} visible characters.")
    plain = _plain(row.scheme, value, f"{field}.value")
    is_gtin = row.scheme in Identifier.GTINS
    if is_gtin and variant.is_parent:
        raise InvalidInput.at(f"{field}.scheme", "A parent is never sold itself and has no GTIN.")
    if (row.scheme in Identifier.SOMEBODYS) and row.partner is None:
        raise InvalidInput.at(f"{field}.partnerId", "Say whose own number it is.")
    if (
        row.partner is not None
        and row.scheme not in Identifier.SOMEBODYS
        and not (is_gtin and gtins.is_restricted(plain))
    ):
        raise InvalidInput.at(f"{field}.partnerId", "Such a number is nobody's own; leave the partner out.")
    partner_id = row.partner.pk if row.partner else None
    return (row.scheme, plain, packs.get(row.pack), partner_id), gtins.NOISE.sub("", value) if is_gtin else value


def _plain(scheme: str, value: str, field: str) -> str:
    if scheme == Identifier.Scheme.ASIN:
        plain = plain_code(value)
        if not ASIN.fullmatch(plain):
            raise InvalidInput.at(field, "An ASIN has ten letters and digits.")
        return plain
    if scheme not in Identifier.GTINS:
        return plain_code(value)
    plain = normalise_gtin(value, field=field)
    lengths = LENGTHS[Identifier.Scheme(scheme)]
    if len(gtins.NOISE.sub("", value)) not in lengths:
        raise InvalidInput.at(field, f"{scheme.upper()} has {' or '.join(map(str, lengths))} digits; send it as gtin.")
    return plain


def _key(row: Identifier) -> Key:
    return row.scheme, row.plain, row.pack_id, row.partner_id


def _place(row: Identifier) -> Key:
    return _family(*_key(row))


def _family(scheme: str, plain: str, pack_id: int | None, partner_id: int | None) -> Key:
    """A GTIN is the same under each of its three names; a supplier's own number is one wherever its pack."""
    if scheme in Identifier.GTINS:
        return "gtin", plain, pack_id, partner_id
    return scheme, plain, None if scheme == Identifier.Scheme.SUPPLIER else pack_id, partner_id
