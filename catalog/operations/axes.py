"""Variants stand along the axes of their parent: each its own shade in each size, and no two the same."""

from __future__ import annotations

from typing import Any

from catalog.models import Identifier, Variant
from partners.problems import Conflict, InvalidInput

AXES_MAX = 5
NAME_MAX = 40
VALUE_MAX = 80
# A body may name any number of axes; a refusal names no more than these.
WRONG_MAX = 20


class AxesInUse(Conflict):
    """Variants stand along other axes; clear their axisValues first. Data: productId, axes, the ones in use."""

    code = "axes_in_use"
    title = "Variants stand along other axes"
    remedy = "Clear axisValues of the variants named first, or keep the axes they use."


class AxisValuesTaken(Conflict):
    """Another variant on sale has the same values. Data: parentId, axisValues."""

    code = "axis_values_taken"
    title = "Another variant has these axis values"
    remedy = "Give this variant other values, or take the other off sale."


def place(*, variant: Variant, fields: dict[str, Any], is_moved: bool) -> None:
    """Set `axes` of a parent and `axis_values` of a variant, where `fields` name them or it moved to another parent.

    What is given axes is a parent from then on, and no more sold or stocked itself; what is sold cannot become one.

    A variant hung under a parent with axes names a text for each of them; `{}` takes it off them again, until
    when the parent's axes cannot change. Whether a combination is free is seen when it is saved (AxisValuesTaken).
    Locks the parent, so that its axes stay as they are. Raises InvalidInput at `axes` or `axisValues` and
    AxesInUse (data: productId, axes).
    """
    if "axes" in fields:
        set_axes(variant=variant, axes=fields["axes"] or [])
    values = fields.get("axis_values") or {}
    if variant.parent_id is None:
        if values:
            raise InvalidInput.at("axisValues", "Only a variant under a parent stands along axes; name parentId.")
        variant.axis_values = {}
    elif is_moved or values:
        parent = Variant.objects.select_for_update(no_key=True).get(pk=variant.parent_id)
        variant.axis_values = checked(values=values, parent=parent)
    elif "axis_values" in fields:
        variant.axis_values = {}


def set_axes(*, variant: Variant, axes: list[Any]) -> None:
    """Set the axes of a parent; nothing is saved. Raises InvalidInput at `axes` and AxesInUse. At most one query."""
    if axes == variant.axes:
        return
    if axes and variant.parent_id:
        raise InvalidInput.at("axes", "A variant has axisValues; the axes are its parent's.")
    if len(axes) > AXES_MAX:
        raise InvalidInput.at("axes", f"At most {AXES_MAX} axes.")
    for place_, name in enumerate(axes):
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise InvalidInput.at(f"axes[{place_}]", f"A name of 1 to {NAME_MAX} characters one can see.")
    if len({name.casefold() for name in axes}) < len(axes):
        raise InvalidInput.at("axes", "An axis is named twice.")
    # All that stand there have a value for each axis and for nothing else, so one tells for all.
    standing = Variant.objects.filter(parent=variant.pk).exclude(axis_values={}).first() if variant.pk else None
    if standing is not None and standing.axis_values.keys() != set(axes):
        in_use = sorted(standing.axis_values)
        raise AxesInUse(f"Its variants stand along {', '.join(in_use)}.", productId=variant.sku, axes=in_use)
    if axes and not variant.is_parent:
        if is_sold(variant):
            raise InvalidInput.at("axes", f"{variant.sku} is sold itself; a parent only gathers its variants.")
        variant.is_parent = True
    variant.axes = axes


def is_sold(variant: Variant) -> bool:
    """Whether it is sold itself: by a GTIN of its own or of a pack, as a kit, or as a part of one. Three queries."""
    if variant.gtin14 or variant.pk is None:
        return bool(variant.gtin14)
    # The main one of the single unit follows the column, which may have been emptied in the same breath.
    numbers = variant.identifiers.filter(scheme__in=Identifier.GTINS).exclude(is_main=True, pack=None)
    return variant.components.exists() or variant.part_of.exists() or numbers.exists()


def checked(*, values: dict[str, Any], parent: Variant) -> dict[str, str]:
    """The texts for each axis of the parent, in the parent's order. Raises InvalidInput. Pure."""
    wrong = [(f"axisValues.{axis}", "Is missing.") for axis in parent.axes if axis not in values]
    for axis, value in values.items():
        if axis not in parent.axes:
            known = f"its axes are {', '.join(parent.axes)}" if parent.axes else "it has none"
            wrong.append((f"axisValues.{axis[:NAME_MAX]}", f"Is no axis of {parent.sku}; {known}."))
        elif not isinstance(value, str) or not 0 < len(value.strip()) <= VALUE_MAX or not value.isprintable():
            wrong.append((f"axisValues.{axis}", f"Send a text of 1 to {VALUE_MAX} characters one can see."))
    if wrong:
        raise InvalidInput.of(wrong[:WRONG_MAX])
    return {axis: " ".join(values[axis].split()) for axis in parent.axes}


def taken(variant: Variant) -> AxisValuesTaken:
    """What the index over a parent's variants means when it refuses this one."""
    parent_sku = variant.parent.sku if variant.parent else ""
    said = ", ".join(f"{axis} {value}" for axis, value in variant.axis_values.items())
    return AxisValuesTaken(
        f"Another variant of {parent_sku} has {said}.", parentId=parent_sku, axisValues=variant.axis_values
    )
