"""Products come into the catalog and change; every change leaves a trace in their history."""

from __future__ import annotations

import json
import re
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from catalog import gtins
from catalog.models import SupplierItem, Variant
from catalog.operations import axes, compliance, identifiers, offers, packs, types
from catalog.operations.identifiers import normalise_gtin
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, Problem

PLAIN = (
    "name", "brand", "attributes", "tracking", "shelf_life_days", "warranty_months", "warranty_per", "warranty_terms",
    "unit", "unit_cost", "status",
)  # fmt: skip

ATTRIBUTES_MAX = 100
ATTRIBUTES_BYTES_MAX = 20_000
# As many digits as a number in a body may have.
WHOLE_MAX = 10**18
# PostgreSQL keeps neither NUL nor half of a surrogate pair.
NOT_KEPT = re.compile(r"[\x00\ud800-\udfff]")


class ProductExists(Conflict):
    """The SKU is taken. Data: productId."""

    code = "product_exists"
    title = "A product with this productId exists"
    remedy = "Change the one that is there with PATCH, or choose another SKU."


class ParentIsStocked(Conflict):
    """What lies on a shelf is sold itself and cannot become a parent. Data: productId."""

    code = "parent_is_stocked"
    title = "A product that has stock cannot be a parent"
    remedy = "Make a new product for the parent and put this one below it."


class KeptByTheHouse(Problem):
    """A supplier's word counts for what it alone supplies; here only its own offer is its own. Data: productId.

    It says neither whether there are other suppliers nor who they are.
    """

    code = "kept_by_the_house"
    title = "Only the house changes this product"
    remedy = "Send only your own offer under `suppliers`, or ask the operator to change the rest."
    status = 403


@transaction.atomic
def create(*, sku: str, fields: dict[str, Any], actor: Actor, supplier: Partner | None = None) -> Variant:
    """Put a product into the catalog. `fields` are those of `revise`.

    Where a `supplier` asks, it may hang the product only under a parent that is its own, and name only a type that
    is registered; the house registers one not seen before by naming it.
    Raises ProductExists and ParentIsStocked (data: productId), GtinTaken (data: gtin), IdentifierTaken (data:
    scheme, value), axes.AxisValuesTaken and InvalidInput naming the field; what the type's schema refuses is named
    attribute by attribute.
    """
    if Variant.objects.filter(sku=sku).exists():
        raise _exists(sku)
    variant = Variant(sku=sku)
    _set(variant, fields, supplier)
    types.check(variant=variant, changed=set(_picture(variant)))
    _save(variant)
    packs.set_packs(variant=variant, packs=fields.get("packs", []))
    compliance.set_notes(of=variant, notes=fields.get("notes", []))
    offers.set_sources(variant=variant, sources=fields.get("sources", []))
    if fields.get("identifiers"):
        identifiers.replace(variant=variant, rows=fields["identifiers"], viewer=fields.get("viewer"))
    return variant


@transaction.atomic
def revise(*, variant: Variant, fields: dict[str, Any], actor: Actor, supplier: Partner | None = None) -> Variant:
    """Change what `fields` name: name, brand, product_type, parent_sku, gtin, attributes, axes, axis_values,
    tracking, shelf_life_days, warranty_months, warranty_per, warranty_terms, unit, unit_cost, status; `packs`,
    `notes`, `sources` and `identifiers` replace the whole list, the last as far as the partner `viewer` sees it.
    Changed attributes are held to the type's newest schema.

    Where a `supplier` asks, `sources` is its own offer and the others stay, and the rest changes only where
    the product is its own. Locks the product, and a parent newly named. Saying what is so already writes
    nothing; anything else bumps the version (its ETag).
    Raises KeptByTheHouse and ParentIsStocked (data: productId), GtinTaken (data: gtin), IdentifierTaken (data:
    scheme, value), axes.AxesInUse, axes.AxisValuesTaken and InvalidInput.
    """
    locked = _lock(Variant.objects.filter(pk=variant.pk)).get()
    before = _picture(locked)
    _set(locked, fields, supplier)
    changed = {name for name, value in _picture(locked).items() if value != before[name]}
    is_changed = bool(changed)
    if locked.gtin14 != before["gtin14"] and before["gtin14"]:
        # The number may go to a pack in the same breath.
        Variant.objects.filter(pk=locked.pk).update(gtin="", gtin14="")
    if "packs" in fields:
        is_changed |= packs.set_packs(variant=locked, packs=fields["packs"])
    if "notes" in fields:
        is_changed |= compliance.set_notes(of=locked, notes=fields["notes"])
    numbers = identifiers.Change()
    if "identifiers" in fields:
        numbers = identifiers.replace(variant=locked, rows=fields["identifiers"], viewer=fields.get("viewer"))
        is_changed |= numbers.is_general
    if is_changed and supplier is not None and not _is_its_own(locked, supplier):
        raise KeptByTheHouse(f"Of {locked.sku} you may change your own offer only.", productId=locked.sku)
    if "sources" in fields or numbers.is_own:
        if supplier is not None and not locked.supplier_items.filter(supplier=supplier).exists():
            raise KeptByTheHouse(f"{locked.sku} is not supplied by you.", productId=locked.sku)
        is_changed |= numbers.is_own
    if "sources" in fields:
        is_changed |= offers.set_sources(variant=locked, sources=fields["sources"], supplier=supplier)
    types.check(variant=locked, changed=changed)
    if is_changed:
        locked.version += 1
        locked._change_reason = "product revised"  # type: ignore[attr-defined]  # read by the history
        _save(locked)
    return locked


def _lock(variants: QuerySet[Variant]) -> QuerySet[Variant]:
    return variants.select_for_update(no_key=True, of=("self",))


def _exists(sku: str) -> ProductExists:
    return ProductExists(f"There is a product {sku} already.", productId=sku)


def _is_its_own(variant: Variant, supplier: Partner) -> bool:
    """Whether the supplier, and nobody else, supplies the product and every variant it gathers."""
    family = Variant.objects.filter(Q(pk=variant.pk) | Q(parent=variant))
    return (
        not family.exclude(supplier_items__supplier=supplier).exists()
        and not SupplierItem.objects.filter(variant__in=family).exclude(supplier=supplier).exists()
    )


def _set(variant: Variant, fields: dict[str, Any], supplier: Partner | None) -> None:
    for name in PLAIN:
        if name in fields:
            setattr(variant, name, fields[name])
    if "attributes" in fields:
        check_attributes(attributes=fields["attributes"])
    if "gtin" in fields:
        gtin14 = normalise_gtin(fields["gtin"])
        if supplier is not None and gtins.is_restricted(gtin14) and gtin14 != variant.gtin14:
            # In our own house it would stand for whatever we had given it to.
            raise InvalidInput.at(
                "gtin", f"{gtin14} is of restricted circulation; send it under identifiers, with your partnerId."
            )
        variant.gtin14, variant.gtin = gtin14, gtins.NOISE.sub("", fields["gtin"])
    if "product_type" in fields:
        variant.product_type = types.named(code=fields["product_type"], supplier=supplier)
    parent_id = variant.parent_id
    if "parent_sku" in fields:
        variant.parent = _parent(fields["parent_sku"], variant, supplier)
    axes.place(variant=variant, fields=fields, is_moved=variant.parent_id != parent_id)


def check_attributes(*, attributes: dict[str, Any]) -> None:
    """Texts, numbers, booleans and lists of those, whichever door they came by. Raises InvalidInput at `attributes`."""
    if len(attributes) > ATTRIBUTES_MAX:
        raise InvalidInput.at("attributes", f"A product has at most {ATTRIBUTES_MAX} attributes.")
    for name, value in attributes.items():
        values = value if isinstance(value, list) else [value]
        if not name or any(isinstance(inner, dict | list) for inner in values):
            raise InvalidInput.at("attributes", f"{name!r} is neither text, number, yes or no, nor a list of them.")
        if any(isinstance(number, int) and abs(number) >= WHOLE_MAX for number in values):
            raise InvalidInput.at("attributes", f"{name!r} is a number of more than 18 digits.")
        if any(isinstance(text, str) and NOT_KEPT.search(text) for text in (name, *values)):
            raise InvalidInput.at("attributes", f"{name!r} holds a character that cannot be kept.")
    try:
        size = len(json.dumps(attributes, allow_nan=False))
    except ValueError as error:
        raise InvalidInput.at("attributes", "NaN and Infinity are no numbers.") from error
    if size > ATTRIBUTES_BYTES_MAX:
        raise InvalidInput.at("attributes", f"The attributes take more than {ATTRIBUTES_BYTES_MAX:,} bytes.")


def _parent(sku: str | None, variant: Variant, supplier: Partner | None) -> Variant | None:
    if not sku:
        return None
    if variant.parent and variant.parent.sku == sku:
        return variant.parent
    parent = _lock(Variant.objects.filter(sku=sku)).first()
    if supplier is not None and (parent is None or not _is_its_own(parent, supplier)):
        # One sentence for what is not there, not seen and shared: it tells nothing of the others.
        raise InvalidInput.at("parentId", f"{sku} is no product of yours alone.")
    if parent is None:
        raise InvalidInput.at("parentId", f"There is no product {sku}.")
    if variant.is_parent:
        raise InvalidInput.at("parentId", "A parent gathers variants and has no parent itself.")
    if parent.parent_id or parent.pk == variant.pk or axes.is_sold(parent):
        raise InvalidInput.at("parentId", f"{sku} is sold itself; a parent only gathers its variants.")
    if not parent.is_parent:
        parent.is_parent = True
        parent.version += 1
        _save(parent)
    return parent


def _save(variant: Variant) -> None:
    try:
        with transaction.atomic():
            variant.save()
    except IntegrityError as error:
        match _constraint(error):
            case "variant_gtin_unique" | "identifier_gtin_unique" | "identifier_restricted_gtin_unique":
                raise identifiers.gtin_taken(variant.gtin) from error
            case "variant_parent_is_no_sku":
                raise InvalidInput.at("gtin", "A parent is never sold itself and has no GTIN.") from error
            case "parent_is_never_stocked":  # the guard of the floor above, which knows the shelves
                stocked = (variant.parent or variant).sku
                raise ParentIsStocked(f"{stocked} has stock of its own.", productId=stocked) from error
            case "variant_axis_values_once":
                raise axes.taken(variant) from error
            case "catalog_variant_sku_key":
                raise _exists(variant.sku) from error
        raise


def _constraint(error: IntegrityError) -> str:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def _picture(variant: Variant) -> dict[str, Any]:
    names = (*PLAIN, "gtin", "gtin14", "product_type_id", "parent_id", "axes", "axis_values")
    # As JSON, for Python holds 1, 1.0 and true to be equal.
    return {name: getattr(variant, name) for name in names} | {
        "attributes": json.dumps(variant.attributes, sort_keys=True)
    }
