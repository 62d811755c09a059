"""Which part replaced which, and which parts are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from catalog.models import Equivalent, InterchangeGroup, InterchangeMember, Variant
from catalog.operations import products
from catalog.operations.products import KeptByTheHouse
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, InvalidInput

SUCCESSORS_MAX = 20
EQUALS_MAX = 200
LOCK = "catalog.equivalents"
"""The lock of everybody who links parts; the database's guard against cycles takes the same."""

# Each part once for each link that leads to it: no more rows than links, however the chains meet.
FOLLOWS = """
    WITH RECURSIVE successor (id, via) AS (
        SELECT id, NULL::bigint FROM unnest(%s::bigint[]) AS id
        UNION
        SELECT link.other_id, successor.id
          FROM successor JOIN catalog_equivalent link
            ON link.variant_id = successor.id AND link.relation = 'superseded'
         WHERE successor.id <> %s
    )
    SELECT id, via FROM successor
"""


class SupersessionCycle(Conflict):
    """A part would replace itself, by way of others. Data: productIds, the way round."""

    code = "supersession_cycle"
    title = "A part cannot replace itself"
    remedy = "Leave out the link that closes the ring."


class InAnotherGroup(Conflict):
    """It is equal to other parts already; make it leave them, or name them all. Data: productId, brand, partNumber."""

    code = "in_another_group"
    title = "It is equal to other parts already"
    remedy = "Name all parts of its group, or make it leave that group first."


@dataclass(frozen=True, kw_only=True)
class Successor:
    """What replaces a part, from a day on (None: always)."""

    variant: Variant
    valid_from: date | None = None


@dataclass(frozen=True, kw_only=True)
class Equal:
    """A part that is equal: a product of ours, or the number another brand has for it."""

    variant: Variant | None = None
    brand: str = ""
    part_number: str = ""

    def __str__(self) -> str:
        return self.variant.sku if self.variant else f"{self.brand} {self.part_number}".strip()


@dataclass(frozen=True, kw_only=True)
class Said:
    """All that is said of one part."""

    successors: list[Equivalent]
    predecessors: list[Equivalent]
    pairs: list[Variant]
    """Equals that were said of two parts alone."""
    members: list[InterchangeMember]
    """The others of its group."""


def lock() -> None:
    """Wait for whoever else links parts, until the end of this transaction. Linking is rare, and chains meet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])


def said_of(*, variant: Variant) -> Said:
    """What is said of a part, in a lasting order. Three queries."""
    links = Equivalent.objects.filter(Q(variant=variant) | Q(other=variant)).select_related("variant", "other")
    rows = sorted(links, key=lambda row: (str(row.valid_from or ""), row.variant.sku, row.other.sku))
    superseded = [row for row in rows if row.relation == Equivalent.Relation.SUPERSEDED]
    pairs = [row for row in rows if row.relation == Equivalent.Relation.INTERCHANGEABLE]
    group = InterchangeMember.objects.filter(variant=variant).values("group")
    members = InterchangeMember.objects.filter(group__in=group).exclude(variant=variant).select_related("variant")
    return Said(
        successors=[row for row in superseded if row.variant_id == variant.pk],
        predecessors=[row for row in superseded if row.other_id == variant.pk],
        pairs=[row.other if row.variant_id == variant.pk else row.variant for row in pairs],
        members=list(members.order_by("id")),
    )


@transaction.atomic
def say(
    *,
    variant: Variant,
    successors: Sequence[Successor],
    equals: Sequence[Equal] | None,
    actor: Actor,
    supplier: Partner | None = None,
) -> Variant:
    """Say what replaces a part and what is equal to it; each list replaces what was said before.

    `equals` of None stay as they are.

    The equals become one group with the part: who is not named leaves it. With no equals the part itself leaves its
    group, and the others stay equal. Takes the lock of everybody who links parts, then the product. Saying what is so
    already changes nothing; anything else bumps the product's version.
    Raises SupersessionCycle (data: productIds), InAnotherGroup (data: productId, brand, partNumber), KeptByTheHouse
    where a `supplier` asks of what is not its own alone, and InvalidInput.
    """
    lock()
    fresh = Variant.objects.select_for_update(no_key=True, of=("self",)).get(pk=variant.pk)
    _check(fresh, successors, equals or ())
    named = [fresh, *(row.variant for row in successors), *(row.variant for row in equals or () if row.variant)]
    if supplier is not None:
        for one in named:
            if not products._is_its_own(one, supplier):
                raise KeptByTheHouse(f"{one.sku} is not supplied by you alone.", productId=one.sku)
    is_changed = _set_successors(fresh, successors)
    if equals is not None:
        is_changed |= _set_equals(fresh, equals)
    if is_changed:
        _note(fresh)
    return fresh


@transaction.atomic
def gather(*, group: InterchangeGroup, members: Sequence[Equal], actor: Actor) -> InterchangeGroup:
    """Say which parts are equal to one another, and what the group is called; who is not named leaves it.

    `group` may be one that is not kept yet. Takes the lock of everybody who links parts, then the products that come
    or go, by id, and bumps their versions. Saying what is so already changes nothing.
    Raises InvalidInput at `members[…]` and InAnotherGroup (data: productId, brand, partNumber).
    """
    lock()
    _check_members(members)
    group.save()
    rows = [
        InterchangeMember(group=group, variant=e.variant, brand=e.brand, part_number=e.part_number) for e in members
    ]
    there = {(row.variant_id, row.brand, row.part_number): row for row in group.members.all()}
    wanted = {(row.variant_id, row.brand, row.part_number): (place, row) for place, row in enumerate(rows)}
    InterchangeMember.objects.filter(pk__in=[row.pk for key, row in there.items() if key not in wanted]).delete()
    for key, (place, row) in wanted.items():
        if key not in there:
            _refuse_if_elsewhere(place, members[place], row, group, field="members")
            row.save()
    ids = [key[0] for key in there.keys() ^ wanted.keys() if key[0]]
    for variant in Variant.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True, of=("self",)):
        _note(variant)
    return group


def _check_members(members: Sequence[Equal]) -> None:
    if not 2 <= len(members) <= EQUALS_MAX + 1:
        raise InvalidInput.at("members", f"Equal are two parts or more, and at most {EQUALS_MAX + 1}.")
    if len({member.variant.pk if member.variant else str(member) for member in members}) < len(members):
        raise InvalidInput.at("members", "A part is named twice.")
    for place, member in enumerate(members):
        if member.variant and member.variant.is_parent:
            detail = f"{member.variant.sku} only gathers its variants; name the one that is meant."
            raise InvalidInput.at(f"members[{place}].productId", detail)


def _note(variant: Variant) -> None:
    """Another version of a locked product: what is said of its equivalents is another."""
    variant.version += 1
    variant._change_reason = "equivalents said"  # type: ignore[attr-defined]  # read by the history
    variant.save()


def _check(variant: Variant, successors: Sequence[Successor], equals: Sequence[Equal]) -> None:
    if variant.is_parent and (successors or equals):
        raise InvalidInput.at("productId", f"{variant.sku} only gathers its variants; link the one that is meant.")
    if len(successors) > SUCCESSORS_MAX:
        raise InvalidInput.at("supersededBy", f"At most {SUCCESSORS_MAX}.")
    if len(equals) > EQUALS_MAX:
        raise InvalidInput.at("interchangeableWith", f"At most {EQUALS_MAX}.")
    lists: list[tuple[str, list[Variant | None]]] = [
        ("supersededBy", [row.variant for row in successors]),
        ("interchangeableWith", [row.variant for row in equals]),
    ]
    for name, variants in lists:
        seen = {variant.pk}
        for place, other in enumerate(variants):
            if other is None:
                continue
            if other.is_parent:
                detail = f"{other.sku} only gathers its variants; name the one that is meant."
                raise InvalidInput.at(f"{name}[{place}].productId", detail)
            if other.pk in seen:
                detail = (
                    f"{other.sku} is the product itself." if other.pk == variant.pk else f"{other.sku} is named twice."
                )
                raise InvalidInput.at(f"{name}[{place}].productId", detail)
            seen.add(other.pk)


def _set_successors(variant: Variant, successors: Sequence[Successor]) -> bool:
    there = Equivalent.objects.filter(variant=variant, relation=Equivalent.Relation.SUPERSEDED)
    wanted = {row.variant.pk: row.valid_from for row in successors}
    if wanted == dict(there.values_list("other", "valid_from")):
        return False
    if way := _way_back(variant, list(wanted)):
        skus = dict(Variant.objects.filter(pk__in=way).values_list("pk", "sku"))
        round_trip = [variant.sku, *(skus[pk] for pk in way)]
        raise SupersessionCycle(f"It would replace itself: {' → '.join(round_trip)}.", productIds=round_trip)
    there.delete()
    # That the two were interchangeable gives way: one statement about two parts.
    Equivalent.objects.filter(variant=variant, other__in=wanted).delete()
    Equivalent.objects.bulk_create(
        Equivalent(variant=variant, other_id=pk, relation=Equivalent.Relation.SUPERSEDED, valid_from=valid_from)
        for pk, valid_from in wanted.items()
    )
    return True


def _way_back(variant: Variant, successor_ids: list[int]) -> list[int]:
    """The way from one of these back to the part, whatever the days; empty where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(FOLLOWS, [successor_ids, variant.pk])
        links = cursor.fetchall()
    reached = {pk for pk, via in links if via is None}
    came_by: dict[int, int] = {}
    while new := {pk: via for pk, via in links if via in reached and pk not in reached}:
        came_by |= new
        reached |= set(new)
    way = [variant.pk] if variant.pk in came_by else []
    while way and way[0] in came_by:
        way.insert(0, came_by[way[0]])
    return way


def _set_equals(variant: Variant, equals: Sequence[Equal]) -> bool:
    pairs = Equivalent.objects.filter(Q(variant=variant) | Q(other=variant))
    had_pairs = bool(pairs.filter(relation=Equivalent.Relation.INTERCHANGEABLE).delete()[0])
    mine = InterchangeMember.objects.filter(variant=variant).select_related("group").first()
    if not equals:
        if mine is not None:
            mine.delete()
            _close_if_alone(mine.group)
        return had_pairs or mine is not None
    group = mine.group if mine else InterchangeGroup.objects.create()
    there = InterchangeMember.objects.filter(group=group).exclude(variant=variant)
    rows = [InterchangeMember(group=group, variant=e.variant, brand=e.brand, part_number=e.part_number) for e in equals]
    before = sorted(there.values_list("variant", "brand", "part_number"), key=str)
    if mine and before == sorted(((row.variant_id, row.brand, row.part_number) for row in rows), key=str):
        return had_pairs
    there.delete()
    for place, (equal, row) in enumerate(zip(equals, rows, strict=True)):
        _refuse_if_elsewhere(place, equal, row, group)
        row.save()
    if mine is None:
        InterchangeMember.objects.create(group=group, variant=variant)
    return True


def _refuse_if_elsewhere(
    place: int, equal: Equal, row: InterchangeMember, group: InterchangeGroup, *, field: str = "interchangeableWith"
) -> None:
    """Raises InAnotherGroup, and InvalidInput for a number that is named twice."""
    found = _same(row).select_related("group").first()
    if found is None:
        return
    if found.group_id == group.pk:
        raise InvalidInput.at(f"{field}[{place}].partNumber", f"{equal} is named twice.")
    raise InAnotherGroup(
        f"{equal} is equal to other parts already.",
        productId=equal.variant.sku if equal.variant else None,
        brand=equal.brand,
        partNumber=equal.part_number,
    )


def _same(row: InterchangeMember) -> QuerySet[InterchangeMember]:
    if row.variant_id:
        return InterchangeMember.objects.filter(variant=row.variant_id)
    return InterchangeMember.objects.numbered(brand=row.brand, part_number=row.part_number)


def _close_if_alone(group: InterchangeGroup) -> None:
    """One part alone is equal to nothing."""
    if InterchangeMember.objects.filter(group=group).count() < 2:
        group.delete()
