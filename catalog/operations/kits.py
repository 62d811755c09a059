"""Kits are put together: sold as one, kept as their components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from catalog.models import KitComponent, Variant
from catalog.operations import products
from catalog.operations.products import KeptByTheHouse
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, Problem

COMPONENTS_MAX = 100


class KitIsStocked(Conflict):
    """It has stock of its own, now or once, and cannot become a kit. Data: productId."""

    code = "kit_is_stocked"
    title = "What is stocked cannot become a kit"
    remedy = "Make a new product for the kit."


class KitHoldsKits(Conflict):
    """A component is a kit itself, or the kit is a component of another. Data: productId."""

    code = "kit_holds_kits"
    title = "A kit holds no kits"
    remedy = "Name the components of the inner kit instead."


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many stock units of a component in one kit."""

    component: Variant
    quantity: int


def lock(*, variants: Iterable[Variant]) -> dict[int, Variant]:
    """Lock products in id order, against whoever would stock them or put them into another kit meanwhile."""
    ids = {variant.pk for variant in variants}
    rows = Variant.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
    return {variant.pk: variant for variant in rows}


@transaction.atomic
def compose(*, kit: Variant, parts: Sequence[Part], actor: Actor, supplier: Partner | None = None) -> Variant:
    """Say what makes one kit; no parts: it is a kit no more. Replaces the whole list.

    Locks the kit and its components by id. What is promised already keeps the components it was promised
    with. Composed again from the same parts changes nothing; anything else bumps the kit's version (its ETag).

    Raises KitIsStocked, KitHoldsKits, KeptByTheHouse where a `supplier` asks of a kit that is not its own alone
    (data: productId), and InvalidInput naming the component that is a parent, is named twice, or is the kit itself.
    """
    locked = lock(variants=[kit, *(part.component for part in parts)])
    fresh = locked[kit.pk]
    _check(fresh, [locked[part.component.pk] for part in parts], parts)
    wanted = {part.component.pk: part.quantity for part in parts}
    there = dict(fresh.components.values_list("component", "quantity"))
    if wanted == there:
        return fresh
    if supplier is not None and not products._is_its_own(fresh, supplier):
        raise KeptByTheHouse(f"{fresh.sku} is not supplied by you alone.", productId=fresh.sku)
    fresh.components.exclude(component__in=wanted).delete()
    try:
        with transaction.atomic():
            for component_id, quantity in wanted.items():
                KitComponent.objects.update_or_create(
                    kit=fresh, component_id=component_id, defaults={"quantity": quantity}
                )
    except IntegrityError as error:
        refusal = _understood(error, fresh)
        if refusal is None:
            raise
        raise refusal from error
    fresh.version += 1
    fresh._change_reason = "kit composed"  # type: ignore[attr-defined]  # read by the history
    fresh.save()
    return fresh


def _check(kit: Variant, components: Sequence[Variant], parts: Sequence[Part]) -> None:
    if kit.is_parent and parts:
        raise InvalidInput.at("productId", f"{kit.sku} only gathers its variants and is never sold itself.")
    if len(parts) > COMPONENTS_MAX:
        raise InvalidInput.at("components", f"A kit has at most {COMPONENTS_MAX} components.")
    seen: set[int] = set()
    for place, component in enumerate(components):
        field = f"components[{place}].productId"
        if component.pk == kit.pk:
            raise InvalidInput.at(field, f"{kit.sku} cannot be a part of itself.")
        if component.is_parent:
            raise InvalidInput.at(field, f"{component.sku} only gathers its variants; name the one that is meant.")
        if component.pk in seen:
            raise InvalidInput.at(field, f"{component.sku} is named twice.")
        seen.add(component.pk)


def _understood(error: IntegrityError, kit: Variant) -> Problem | None:
    """What the database's guards mean by their names; they alone know what lies upstairs."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    if name == "kit_is_not_stocked":
        return KitIsStocked(f"{kit.sku} has levels of its own; make a new product for the kit.", productId=kit.sku)
    if name == "kit_holds_no_kits":
        return KitHoldsKits(f"{kit.sku} or one of its components is part of another kit.", productId=kit.sku)
    return None
