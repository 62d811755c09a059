"""Packs of a product: an inner of six, a case of four inners, a pallet of forty cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction

from catalog.models import Identifier, Pack, Variant
from catalog.operations import identifiers
from partners.problems import InvalidInput

PACKS_MAX = 20
QUANTITY_MAX = 1_000_000


@dataclass(frozen=True, kw_only=True)
class PackOf:
    """A bundle of `quantity` stock units, or of `filled_count` packs of the name `filled_with`, or both alike.

    A `level`, `filled_with` or `stocked_as` of None stays as it is with a pack of that name; a new one's level is
    told by its name, an empty `filled_with` is single units, and an empty `stocked_as` no SKU of its own.
    """

    name: str
    quantity: int | None = None
    gtin: str = ""
    level: str | None = None
    filled_with: str | None = None
    filled_count: int | None = None
    stocked_as: str | None = None


@dataclass(frozen=True)
class _Size:
    """What is kept of a pack beside its name."""

    level: str
    quantity: int
    gtin14: str
    filled_with: str = ""
    filled_quantity: int | None = None
    stocked_as_id: int | None = None


def set_packs(*, variant: Variant, packs: Sequence[PackOf]) -> bool:
    """Make `packs` the packs there are; whether that changed anything. The caller holds the product's lock.

    A pack is known by its name: what hangs on one (numbers, a supplier's offer, the SKU whole packs are kept
    under) stays with the name, and goes with it.
    Raises InvalidInput at `packs` or `packs[…]` and GtinTaken (data: gtin).
    """
    if len(packs) > PACKS_MAX:
        raise InvalidInput.at("packs", f"A product has at most {PACKS_MAX} packs.")
    there = {pack.name: pack for pack in variant.packs.select_related("filled_with")}
    kept = {name: _size(pack) for name, pack in there.items()}
    shelves = _shelves(variant, packs)
    wanted = {
        name: replace(size, stocked_as_id=shelves.get(name, kept[name].stocked_as_id if name in kept else None))
        for name, size in _Sizes(packs, kept).all().items()
    }
    if wanted == kept:
        return False
    _check_gtins(variant, packs, wanted)
    changed = {name: size for name, size in wanted.items() if kept.get(name) != size}
    try:
        with transaction.atomic():
            _write(variant, changed, there, gone=[pack.pk for name, pack in there.items() if name not in wanted])
    except IntegrityError as error:
        raise identifiers.understood(error, field="packs") from error
    return True


def _write(variant: Variant, changed: dict[str, _Size], there: dict[str, Pack], *, gone: list[int]) -> None:
    # Numbers and fillings are freed first, for they may go round from pack to pack.
    touched = [*gone, *(there[name].pk for name in changed if name in there)]
    variant.packs.filter(pk__in=touched).update(gtin14="", filled_with=None, filled_quantity=None)
    variant.packs.filter(pk__in=gone).delete()
    for name, size in changed.items():
        pack = there.setdefault(name, Pack(variant=variant, name=name))
        pack.level, pack.quantity, pack.gtin14 = size.level, size.quantity, size.gtin14
        pack.filled_with, pack.filled_quantity = None, None
        pack.stocked_as_id = size.stocked_as_id
        pack.save()
    for name, size in changed.items():
        if size.filled_with:
            there[name].filled_with, there[name].filled_quantity = there[size.filled_with], size.filled_quantity
            there[name].save()


def _size(pack: Pack) -> _Size:
    inside = pack.filled_with.name if pack.filled_with else ""
    return _Size(pack.level, pack.quantity, pack.gtin14, inside, pack.filled_quantity, pack.stocked_as_id)


def _shelves(variant: Variant, packs: Sequence[PackOf]) -> dict[str, int | None]:
    """The SKU that whole packs are kept under, by the pack's name, where it is said. At most one query."""
    skus = {pack.stocked_as for pack in packs if pack.stocked_as}
    known = {row.sku: row for row in Variant.objects.filter(sku__in=skus)} if skus else {}
    shelves: dict[str, int | None] = {}
    for place, pack in enumerate(packs):
        if pack.stocked_as is None:
            continue
        row = known.get(pack.stocked_as)
        if pack.stocked_as and (row is None or row.is_parent or row.pk == variant.pk):
            detail = f"{pack.stocked_as} is no other product that can lie on a shelf."
            raise InvalidInput.at(f"packs[{place}].stockedAs", detail)
        shelves[pack.name] = row.pk if row else None
    return shelves


def _check_gtins(variant: Variant, packs: Sequence[PackOf], wanted: dict[str, _Size]) -> None:
    numbers = [size.gtin14 for size in wanted.values() if size.gtin14]
    if numbers and variant.is_parent:
        raise InvalidInput.at("packs", "A parent is never sold itself, and its packs have no GTIN.")
    if len(set(numbers)) < len(numbers):
        raise InvalidInput.at("packs", "Two packs have the same GTIN; each level has a number of its own.")
    if variant.gtin14 in numbers:
        place = next(place for place, pack in enumerate(packs) if wanted[pack.name].gtin14 == variant.gtin14)
        raise InvalidInput.at(
            f"packs[{place}].gtin", f"{variant.gtin14} is the single unit's GTIN; a pack has a number of its own."
        )
    taken = Identifier.objects.gtins().exclude(variant=variant).filter(plain__in=numbers, partner=None).first()
    if taken is not None:
        raise identifiers.gtin_taken(taken.plain)


class _Sizes:
    """The packs that are wanted, each reckoned in stock units from what it is filled with."""

    def __init__(self, packs: Sequence[PackOf], kept: dict[str, _Size]) -> None:
        self.places = {pack.name: place for place, pack in enumerate(packs)}
        if len(self.places) < len(packs):
            raise InvalidInput.at("packs", "Two packs have the same name.")
        self.packs, self.kept = packs, kept
        self.found: dict[str, _Size] = {}

    def all(self) -> dict[str, _Size]:
        return {name: self.size(name, ()) for name in self.places}

    def size(self, name: str, outside: tuple[str, ...]) -> _Size:
        if name not in self.found:
            self.found[name] = self.reckon(name, outside)
        return self.found[name]

    def reckon(self, name: str, outside: tuple[str, ...]) -> _Size:
        pack = self.packs[self.places[name]]
        field = f"packs[{self.places[name]}]"
        gtin14 = identifiers.normalise_gtin(pack.gtin, field=f"{field}.gtin")
        if not pack.filled_with:
            if pack.quantity is None:
                raise InvalidInput.at(
                    f"{field}.quantity", "Say how many stock units it holds, or what it is filled with."
                )
            inside = self.still_inside(pack, outside) if pack.filled_with is None else ""
            units = self.size(inside, (*outside, name)).quantity if inside else None
            return _Size(self.level(pack), pack.quantity, gtin14, inside, units)
        if pack.filled_with not in self.places or pack.filled_with in (*outside, name):
            raise InvalidInput.at(f"{field}.filledWith", f"{pack.filled_with!r} is no other, smaller pack of these.")
        units = self.size(pack.filled_with, (*outside, name)).quantity
        quantity = self.quantity(pack, units, field)
        return _Size(self.level(pack), quantity, gtin14, pack.filled_with, units)

    def quantity(self, pack: PackOf, units: int, field: str) -> int:
        quantity = pack.quantity if pack.filled_count is None else pack.filled_count * units
        if quantity is None:
            raise InvalidInput.at(f"{field}.quantity", f"Say how many of {pack.filled_with} are in it.")
        if pack.quantity not in (None, quantity):
            raise InvalidInput.at(
                f"{field}.quantity", f"{pack.filled_count} of {pack.filled_with} are {quantity}, not {pack.quantity}."
            )
        if quantity % units or quantity <= units:
            raise InvalidInput.at(
                f"{field}.quantity", f"{quantity} is no multiple of the {units} in {pack.filled_with}."
            )
        if quantity > QUANTITY_MAX:
            raise InvalidInput.at(f"{field}.quantity", f"A pack holds at most {QUANTITY_MAX:,} stock units.")
        return quantity

    def still_inside(self, pack: PackOf, outside: tuple[str, ...]) -> str:
        """What it was filled with, as long as nobody says otherwise and it can still be true."""
        inside = self.kept[pack.name].filled_with if pack.name in self.kept else ""
        if inside not in self.places or inside in outside or pack.quantity is None:
            return ""
        units = self.size(inside, (*outside, pack.name)).quantity
        return inside if pack.quantity % units == 0 and pack.quantity > units else ""

    def level(self, pack: PackOf) -> str:
        if pack.level is not None:
            return pack.level
        if pack.name in self.kept:
            return self.kept[pack.name].level
        return next((level for level in Pack.Level.values if level in pack.name.lower()), Pack.Level.CASE)
