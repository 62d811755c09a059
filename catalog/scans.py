"""Whose thing a scan is: the products and packs that a number stands for, as far as the asker may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from catalog import barcodes
from catalog.barcodes import Scan
from catalog.gs1.elements import Fault, Unreadable
from catalog.models import Identifier, Variant
from catalog.models.identifier import IdentifierQuerySet, plain_code
from partners.models import Partner

# A vehicle maker's number may stand for every brand's part that replaces it; more than a screen helps nobody.
MATCHES_MAX = 20


@dataclass(frozen=True, kw_only=True)
class Match:
    """A product that the number stands for; `pack` and `pack_quantity` say how many stock units one scan is."""

    variant: Variant
    scheme: str
    value: str
    level: str = "each"
    pack: str | None = None
    pack_quantity: int = 1


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a code says and what it stands for. `scan` is None for a number of somebody's own."""

    scan: Scan | None
    matches: list[Match]

    @property
    def only(self) -> Match | None:
        """The one thing it stands for; None where it is none, or not told which."""
        return self.matches[0] if len(self.matches) == 1 else None

    @property
    def quantity(self) -> int | None:
        """Stock units of what was scanned: packs times their size; of a variable item the count it says (AI 30)."""
        if self.only is None or self.scan is None:
            return self.only.pack_quantity if self.only else None
        if self.scan.value("37"):
            return int(self.scan.value("37")) * self.only.pack_quantity
        return int(self.scan.value("30") or self.only.pack_quantity)


def read(*, code: str, partner: Partner, today: date) -> Read:
    """Read a code and find what it stands for, in one query, two where it is no barcode of GS1.

    A number that was given to something is never refused for its form: a part number may look like a broken
    barcode. Raises Unreadable for what is neither.
    """
    try:
        scan = barcodes.read(code, today=today)
    except Unreadable as error:
        matches = _by_code(code.strip(), partner)
        if not matches:
            raise Unreadable(*error.faults, Fault("", "And it is no number of a product of yours.")) from error
        return Read(scan=None, matches=matches)
    return Read(scan=scan, matches=_by_gtin(scan.gtin_forms, partner) if scan.gtin_forms else [])


def on_label_of(*, variant: Variant, code: str, today: date) -> Read:
    """What a code says that should be this product's: it has matches only where it is, whoever gave it the number.

    At most two queries. Nothing is refused: what cannot be read is not its label.
    """
    given = Identifier.objects.filter(variant=variant).select_related("variant", "pack").order_by("id")
    try:
        scan = barcodes.read(code, today=today)
        if matches := _matches(list(given.gtins().filter(plain__in=scan.gtin_forms)[:MATCHES_MAX])):
            return Read(scan=scan, matches=matches)
    except Unreadable:
        scan = None
    said = code.strip()
    if said == variant.sku:
        return Read(scan=None, matches=[Match(variant=variant, scheme="productId", value=variant.sku)])
    own = (
        given.exclude(scheme__in=Identifier.GTINS).filter(plain=plain_code(said))
        if "\x00" not in said
        else given.none()
    )
    return Read(scan=scan, matches=_matches(list(own[:MATCHES_MAX])))


def _by_gtin(forms: list[str], partner: Partner) -> list[Match]:
    """Of a number of restricted circulation the asker's own meaning comes before the house's."""
    found = sorted(
        _visible(partner).gtins().filter(plain__in=forms)[:MATCHES_MAX],
        key=lambda row: (row.partner_id != partner.pk, forms.index(row.plain)),
    )
    own = [row for row in found if row.partner_id == partner.pk]
    return _matches(own or found)


def _by_code(code: str, partner: Partner) -> list[Match]:
    """By somebody's own number, however it is spaced; else by the SKU."""
    if "\x00" in code:
        return []
    found = _visible(partner).exclude(scheme__in=Identifier.GTINS).filter(plain=plain_code(code))[:MATCHES_MAX]
    if matches := _matches(list(found)):
        return matches
    named = Variant.objects.for_partner(partner).filter(sku=code)
    return [Match(variant=variant, scheme="productId", value=variant.sku) for variant in named]


def _visible(partner: Partner) -> IdentifierQuerySet:
    rows = Identifier.objects.for_partner(partner).filter(variant__in=Variant.objects.for_partner(partner))
    return rows.select_related("variant", "pack").order_by("variant__sku", "id")


def _matches(rows: list[Identifier]) -> list[Match]:
    """One for each product and pack: two names of one thing are no choice."""
    found: dict[tuple[int, int | None], Match] = {}
    for row in rows:
        pack = row.pack
        match = Match(
            variant=row.variant,
            scheme=row.scheme,
            value=row.value,
            level=row.level,
            pack=pack.name if pack else None,
            pack_quantity=pack.quantity if pack else 1,
        )
        found.setdefault((row.variant_id, row.pack_id), match)
    return list(found.values())
