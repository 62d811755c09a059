"""Types of products learn what their products are like, and hold products to it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from django.db import transaction

from catalog import queries, schema_check
from catalog.models import ProductType, ProductTypeSchema, Variant
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, InvalidInput


class SchemaMovedOn(Conflict):
    """Somebody else has saved a version meanwhile. Data: version, the newest."""

    code = "schema_moved_on"
    title = "There is a newer version of the schema"
    remedy = "Read the newest version and make your change to that."


def named(*, code: str, supplier: Partner | None = None) -> ProductType:
    """The type that is called so, whatever the capitals; the house registers one not seen before.

    Two who register it at once get the same one. Raises InvalidInput at `productType` where a `supplier` names one
    that nobody registered.
    """
    if supplier is None:
        return ProductType.objects.get_or_create(
            code__iexact=code, defaults={"code": code, "name": code.replace("-", " ").capitalize()}
        )[0]
    known = ProductType.objects.filter(code__iexact=code).first()
    if known is None:
        raise unknown(code)
    return known


def unknown(code: str) -> InvalidInput:
    """What a supplier is told of a type that is not there."""
    return InvalidInput.at("productType", f"There is no type {code}; /productTypes has those the house registered.")


@transaction.atomic
def revise_schema(
    *, product_type: ProductType, schema: Mapping[str, Any], based_on: int, actor: Actor, note: str = ""
) -> ProductTypeSchema:
    """Say anew what the attributes of a type's products are like: a version on top of the one it was made from.

    `based_on` is that version, 0 for none. Products stay as they are and keep the version they were found right
    by; the next change of a product's attributes is held to the newest. Saying what is so already adds nothing.
    Locks the type. Raises InvalidInput at `schema` and SchemaMovedOn (data: version).
    """
    schema_check.check(schema)
    ProductType.objects.select_for_update(no_key=True).get(pk=product_type.pk)
    newest = ProductTypeSchema.objects.filter(product_type=product_type).order_by("-version").first()
    if newest is not None and newest.schema == schema and newest.version >= based_on:
        return newest
    version = newest.version if newest else 0
    if version != based_on:
        raise SchemaMovedOn(f"Version {version} is the newest; look at it first.", version=version)
    return ProductTypeSchema.objects.create(
        product_type=product_type, version=version + 1, schema=schema, note=note, actor=actor.label
    )


def check(*, variant: Variant, changed: Set[str]) -> None:
    """Hold a product about to be saved to its type, as far as what `changed` (its columns) is concerned.

    Attributes are held to the newest schema, and the product notes its version. Where the type demands
    batches, tracking is by batch; what gathers variants is never stocked and may stay untracked.
    Raises InvalidInput naming each attribute, or `tracking`. At most two queries.
    """
    is_parent = variant.is_parent or bool(variant.axes)
    if changed & {"attributes", "product_type_id"}:
        code = str(variant.product_type_id)
        known = queries.newest_schemas([code])
        if wrong := known.errors_of(code, variant.attributes, is_parent=is_parent):
            raise InvalidInput.of([(error.field, error.detail) for error in wrong])
        variant.schema_version = known.version_of(code)
    if changed & {"tracking", "product_type_id"} and variant.tracking != Variant.Tracking.BATCH and not is_parent:
        kind = variant.product_type
        if kind.requires_batch:
            raise InvalidInput.at("tracking", f"Products of the type {kind.name} are tracked by batch; send batch.")
