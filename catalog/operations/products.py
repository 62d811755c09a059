"""Products come into the catalog and change; every change leaves a trace in their history."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from stdnum import ean

from catalog.models import Pack, ProductType, SupplierItem, Variant
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, Problem

PLAIN = (
    "name", "brand", "attributes", "tracking", "shelf_life_days", "warranty_months", "unit", "status",
)  # fmt: skip

ATTRIBUTES_MAX = 100
ATTRIBUTES_BYTES_MAX = 20_000
PACKS_MAX = 20
SUPPLIERS_MAX = 50
# PostgreSQL keeps neither NUL nor half of a surrogate pair.
NOT_KEPT = re.compile(r"[\x00\ud800-\udfff]")


class ProductExists(Conflict):
    """The SKU is taken. Data: productId."""

    code = "product_exists"
    title = "A product with this productId exists"


class GtinTaken(Conflict):
    """The GTIN belongs to another product. Data: gtin."""

    code = "gtin_taken"
    title = "The GTIN belongs to another product"


class ParentIsStocked(Conflict):
    """What lies on a shelf is sold itself and cannot become a parent. Data: productId."""

    code = "parent_is_stocked"
    title = "A product that has stock cannot be a parent"


class KeptByTheHouse(Problem):
    """A supplier's word counts for what it alone supplies; here only its own offer is its own. Data: productId.

    It says neither whether there are other suppliers nor who they are.
    """

    code = "kept_by_the_house"
    title = "Only the house changes this product"
    status = 403


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who supplies it, and under which number of their own."""

    supplier: Partner
    supplier_code: str = ""


@dataclass(frozen=True, kw_only=True)
class PackOf:
    """A bundle of `quantity` stock units."""

    name: str
    quantity: int
    gtin: str = ""


@transaction.atomic
def create(*, sku: str, fields: dict[str, Any], actor: Actor, supplier: Partner | None = None) -> Variant:
    """Put a product into the catalog. `fields` are those of `revise`.

    Where a `supplier` asks, it may hang the product only under a parent that is its own.
    Raises ProductExists and ParentIsStocked (data: productId), GtinTaken (data: gtin) and InvalidInput naming
    the field.
    """
    if Variant.objects.filter(sku=sku).exists():
        raise _exists(sku)
    variant = Variant(sku=sku)
    _set(variant, fields, supplier)
    _save(variant)
    _set_packs(variant, fields.get("packs", []))
    _set_sources(variant, fields.get("sources", []))
    return variant


@transaction.atomic
def revise(*, variant: Variant, fields: dict[str, Any], actor: Actor, supplier: Partner | None = None) -> Variant:
    """Change what `fields` name: name, brand, product_type, parent_sku, gtin, attributes, tracking,
    shelf_life_days, warranty_months, unit, status; `packs` and `sources` replace the whole list.

    Where a `supplier` asks, `sources` is its own offer and the others stay, and the rest changes only where
    the product is its own. Locks the product, and a parent newly named. Saying what is so already writes
    nothing; anything else bumps the version (its ETag).
    Raises KeptByTheHouse and ParentIsStocked (data: productId), GtinTaken (data: gtin) and InvalidInput.
    """
    locked = _lock(Variant.objects.filter(pk=variant.pk)).get()
    before = _picture(locked)
    _set(locked, fields, supplier)
    is_changed = _picture(locked) != before
    if "packs" in fields:
        is_changed |= _set_packs(locked, fields["packs"])
    if is_changed and supplier is not None and not _is_its_own(locked, supplier):
        raise KeptByTheHouse(f"Of {locked.sku} you may change your own offer only.", productId=locked.sku)
    if "sources" in fields:
        if supplier is not None and not locked.supplier_items.filter(supplier=supplier).exists():
            raise KeptByTheHouse(f"{locked.sku} is not supplied by you.", productId=locked.sku)
        is_changed |= _set_sources(locked, fields["sources"], supplier)
    if is_changed:
        locked.version += 1
        locked._change_reason = "product revised"  # type: ignore[attr-defined]  # read by the history
        _save(locked)
    return locked


def normalise_gtin(gtin: str) -> str:
    """The GTIN as 14 digits (GS1 General Specifications 3.3.2). Raises InvalidInput at `gtin`."""
    if not gtin:
        return ""
    if len(gtin) not in {8, 12, 13, 14} or not gtin.isascii() or not gtin.isdigit():
        raise InvalidInput.at("gtin", "A GTIN has 8, 12, 13 or 14 digits.")
    if not ean.is_valid(gtin):
        raise InvalidInput.at("gtin", f"The check digit of {gtin} is wrong.")
    return gtin.zfill(14)


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
        _check_attributes(fields["attributes"])
    if "gtin" in fields:
        variant.gtin14 = normalise_gtin(fields["gtin"])
        variant.gtin = fields["gtin"]
    if "product_type" in fields:
        code = fields["product_type"]
        variant.product_type, _ = ProductType.objects.get_or_create(
            code=code, defaults={"name": code.replace("-", " ").capitalize()}
        )
    if "parent_sku" in fields:
        variant.parent = _parent(fields["parent_sku"], variant, supplier)


def _check_attributes(attributes: dict[str, Any]) -> None:
    """Texts, numbers, booleans and lists of those, whichever door they came by."""
    if len(attributes) > ATTRIBUTES_MAX:
        raise InvalidInput.at("attributes", f"A product has at most {ATTRIBUTES_MAX} attributes.")
    for name, value in attributes.items():
        values = value if isinstance(value, list) else [value]
        if not name or any(isinstance(inner, dict | list) for inner in values):
            raise InvalidInput.at("attributes", f"{name!r} is neither text, number, yes or no, nor a list of them.")
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
    if parent.parent_id or parent.gtin14 or parent.pk == variant.pk or parent.components.exists():
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
            case "variant_gtin_unique":
                raise _gtin_taken(variant.gtin) from error
            case "variant_parent_is_no_sku":
                raise InvalidInput.at("gtin", "A parent is never sold itself and has no GTIN.") from error
            case "parent_is_never_stocked":  # the guard of the floor above, which knows the shelves
                stocked = (variant.parent or variant).sku
                raise ParentIsStocked(f"{stocked} has stock of its own.", productId=stocked) from error
            case "catalog_variant_sku_key":
                raise _exists(variant.sku) from error
        raise


def _constraint(error: IntegrityError) -> str:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def _gtin_taken(gtin: str) -> GtinTaken:
    return GtinTaken(f"The GTIN {gtin} belongs to another product.", gtin=gtin)


def _set_packs(variant: Variant, packs: Sequence[PackOf]) -> bool:
    if len(packs) > PACKS_MAX:
        raise InvalidInput.at("packs", f"A product has at most {PACKS_MAX} packs.")
    wanted = {pack.name: (pack.quantity, normalise_gtin(pack.gtin)) for pack in packs}
    if len(wanted) < len(packs):
        raise InvalidInput.at("packs", "Two packs have the same name.")
    gtins = [gtin14 for _, gtin14 in wanted.values() if gtin14]
    if len(set(gtins)) < len(gtins):
        raise InvalidInput.at("packs", "Two packs have the same GTIN.")
    if wanted == {pack.name: (pack.quantity, pack.gtin14) for pack in variant.packs.all()}:
        return False
    if taken := Pack.objects.exclude(variant=variant).filter(gtin14__in=gtins).first():
        raise _gtin_taken(taken.gtin14)
    # Which SKU whole packs are kept under is said by the house alone, and stays with the pack's name.
    kept_as = dict(variant.packs.values_list("name", "stocked_as"))
    variant.packs.all().delete()
    Pack.objects.bulk_create(
        Pack(variant=variant, name=name, quantity=quantity, gtin14=gtin14, stocked_as_id=kept_as.get(name))
        for name, (quantity, gtin14) in wanted.items()
    )
    return True


def _set_sources(variant: Variant, sources: Sequence[Source], supplier: Partner | None = None) -> bool:
    """Make `sources` the offers there are; for a `supplier` its own offer, and those of others stay."""
    if len(sources) > SUPPLIERS_MAX:
        raise InvalidInput.at("suppliers", f"A product has at most {SUPPLIERS_MAX} suppliers.")
    wanted = {source.supplier.pk: source.supplier_code for source in sources}
    if len(wanted) < len(sources):
        raise InvalidInput.at("suppliers", "A supplier is named twice.")
    offers = variant.supplier_items.all() if supplier is None else variant.supplier_items.filter(supplier=supplier)
    if wanted == {item.supplier_id: item.supplier_code for item in offers}:
        return False
    taken = SupplierItem.objects.exclude(variant=variant)
    for supplier_id, code in wanted.items():
        if code and taken.filter(supplier=supplier_id, supplier_code=code).exists():
            raise InvalidInput.at("suppliers", f"The supplier's number {code} stands for another product.")
        SupplierItem.objects.update_or_create(
            supplier_id=supplier_id, variant=variant, defaults={"supplier_code": code}
        )
    offers.exclude(supplier__in=wanted).delete()
    return True


def _picture(variant: Variant) -> dict[str, Any]:
    names = (*PLAIN, "gtin", "gtin14", "product_type_id", "parent_id")
    # As JSON, for Python holds 1, 1.0 and true to be equal.
    return {name: getattr(variant, name) for name in names} | {
        "attributes": json.dumps(variant.attributes, sort_keys=True)
    }
