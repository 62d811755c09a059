"""What a PIES file says gives way to what, and what is equal to what, is added to what is said already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from catalog import parts
from catalog.models import InterchangeMember, Variant
from catalog.models.identifier import plain_code
from catalog.operations import equivalents
from catalog.operations.equivalents import Equal, Successor
from catalog.parts import PartKey
from catalog.records import Record
from partners import loading
from partners.actors import Actor
from partners.problems import InvalidInput, Problem

ALSO_CALLED = "brandLabel"  # the name of another brand, where the file gives it


@dataclass
class _Wish:
    """What a file says of one product: what it gives way to, what it is equal to, and what of that is no more."""

    lines: list[int] = field(default_factory=list)
    successors: dict[int, Variant] = field(default_factory=dict)
    equals: list[Equal] = field(default_factory=list)
    gone: list[Equal] = field(default_factory=list)
    gone_successors: set[int] = field(default_factory=set)


class Links:
    """Takes the records of kind "equivalent" of a file.

    A part that is superseded by another is said so where both are products. Where only one is, the other's number
    is kept among its equals, so that who asks for the number finds the part. What another source or staff have said
    stays; a link goes only where the file takes it away (D).
    """

    def __init__(self, *, actor: Actor, report: loading.Report, refuse: Callable[[int, Problem], None]) -> None:
        self.actor = actor
        self.report = report
        self.refuse = refuse
        self.changed: dict[int, int] = {}
        """The products whose links changed, and the line that first said so; 0: none did."""

    def take(self, records: Sequence[Record]) -> None:
        """Link the parts of these records; each product's links whole or not at all. Takes the lock of linking."""
        equivalents.lock()
        found = parts.find(key for record in records if not record.fault for key in _both(record))
        pks = {known.pk for many in found.of_brand.values() for known in many}
        variants = Variant.objects.in_bulk(pks)
        products = {key: variants[many[0].pk] for key, many in found.of_brand.items() if len(many) == 1}
        wishes: dict[int, _Wish] = defaultdict(_Wish)
        for record in records:
            try:
                self._wish(record, products, wishes)
            except Problem as problem:
                self.refuse(record.line, problem)
        self._let_go_numbers(records, products, wishes, pks)
        for pk, wish in wishes.items():
            try:
                is_changed = self._say(variants[pk], wish)
                if is_changed:
                    self.changed.setdefault(pk, wish.lines[0] if wish.lines else 0)
                if wish.lines:
                    self.report.outcomes["links changed" if is_changed else "links unchanged"] += len(wish.lines)
            except Problem as problem:
                for line in wish.lines:
                    self.refuse(line, problem)

    def _wish(self, record: Record, products: dict[PartKey, Variant], wishes: dict[int, _Wish]) -> None:
        if record.fault:
            raise InvalidInput.at("PartInterchange", record.fault)
        one, other = (products.get(key) for key in _both(record))
        told = record.values
        anchor = one or other
        if anchor is None:
            raise InvalidInput.at("PartInterchange", f"neither {told['partNumber']} nor the other part is a product")
        if one is None:
            equal = Equal(brand=told["brandAaiaId"], part_number=told["partNumber"])
        elif other is None:
            brand = told.get(ALSO_CALLED) or told["otherBrandAaiaId"]
            equal = Equal(brand=brand, part_number=told["otherPartNumber"])
        else:
            equal = Equal(variant=other)
        wish = wishes[anchor.pk]
        wish.lines.append(record.line)
        if equal.variant and told["relation"] == "superseded":
            if record.is_drop:
                wish.gone_successors.add(equal.variant.pk)
            else:
                wish.successors[equal.variant.pk] = equal.variant
        else:
            (wish.gone if record.is_drop else wish.equals).append(equal)

    def _let_go_numbers(
        self, records: Sequence[Record], products: dict[PartKey, Variant], wishes: dict[int, _Wish], pks: set[int]
    ) -> None:
        """A number that was kept because its part was no product goes when it has become one. One query."""
        named = {
            plain_code(name): label
            for record in records
            if not record.fault and all(key in products for key in _both(record))
            for name, label in (
                (record.values["partNumber"], record.values["brandAaiaId"]),
                (record.values["otherPartNumber"], record.values.get(ALSO_CALLED) or record.values["otherBrandAaiaId"]),
            )
        }
        texts = {name for record in records if not record.fault for name in _numbers(record)}
        rows = InterchangeMember.objects.filter(variant=None, part_number__in=texts)
        for row in rows.prefetch_related("group__members"):
            if named.get(plain_code(row.part_number), "").casefold() != row.brand.casefold():
                continue
            for member in row.group.members.all():
                if member.variant_id in pks:
                    wishes[member.variant_id].gone.append(Equal(brand=row.brand, part_number=row.part_number))

    def _say(self, variant: Variant, wish: _Wish) -> bool:
        """Add what is wished to what is said of a product; whether that changed anything."""
        said = equivalents.said_of(variant=variant)
        successors = {row.other_id: Successor(variant=row.other, valid_from=row.valid_from) for row in said.successors}
        there = [Equal(variant=row.variant, brand=row.brand, part_number=row.part_number) for row in said.members]
        there += [Equal(variant=pair) for pair in said.pairs]
        wanted = {pk: row for pk, row in successors.items() if pk not in wish.gone_successors}
        wanted |= {pk: Successor(variant=other) for pk, other in wish.successors.items() if pk not in wanted}
        gone = {_same(equal) for equal in wish.gone}
        equals = {_same(equal): equal for equal in there}
        kept = {key: equal for key, equal in equals.items() if key not in gone}
        kept |= {_same(equal): equal for equal in wish.equals if _same(equal) not in kept}
        if wanted.keys() == successors.keys() and kept.keys() == equals.keys():
            return False
        fresh = equivalents.say(
            variant=variant, successors=list(wanted.values()), equals=list(kept.values()), actor=self.actor
        )
        return fresh.version != variant.version


def _both(record: Record) -> tuple[PartKey, PartKey]:
    told = record.values
    return (
        parts.key(told["brandAaiaId"], told["partNumber"]),
        parts.key(told["otherBrandAaiaId"], told["otherPartNumber"]),
    )


def _numbers(record: Record) -> tuple[str, str]:
    return record.values["partNumber"], record.values["otherPartNumber"]


def _same(equal: Equal) -> tuple[str, str]:
    """By what two statements of an equal are one."""
    if equal.variant:
        return "product", str(equal.variant.pk)
    return equal.brand.casefold(), plain_code(equal.part_number)
