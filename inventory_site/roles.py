"""What each role of staff may do in the admin. Quantities move by operations only, whatever the role."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission

# role → the models it may change; everything of ours may be viewed by all three.
CHANGES: dict[str, tuple[str, ...]] = {
    "Warehouse": (
        "warehouse",
        "location",
        "batch",
        "level",
        "transfer",
        "count",
        "recall",
        "reason",
        "order",
        "fulfilmentrequest",
        "pickwave",
        "package",
        "ssccseries",
        "shipment",
        "return",
        "warrantyclaim",
        "feedback",
        "stockimport",
        "receipt",
        "advanceshipnotice",
        "carrierservice",
        "transittime",
        "shippingcalendar",
        "workinghours",
        "calendarday",
        "pickup",
        "sendingcost",
    ),
    "Merchandising": (
        "variant",
        "catalogimport",
        "producttype",
        "fitment",
        "equivalent",
        "interchangegroup",
        "interchangemember",
        "vehiclealias",
        "supplieritem",
        "pack",
        "identifier",
        "pricelist",
        "price",
        "kitcomponent",
        "partner",
        "webhook",
        "webhookdelivery",
        "promiserule",
        "routingpolicy",
        "ownergrant",
        "purchaseorder",
        "supplierterms",
        "landedcharge",
        "costingrule",
        "revaluation",
    ),
    "Auditor": (),
}
# What goes beyond adding and changing.
MORE: dict[str, tuple[str, ...]] = {"Merchandising": ("accept_over_delivery",)}
APPS = ("partners", "catalog", "stock", "orders")
# What auditors and superusers alone may look at: who tried to come in, and as whom.
FOR_AUDITORS = ("view_authenticationattempt",)


def ensure_roles() -> None:
    """Make the groups, or bring them back to what is written here; run again it changes nothing."""
    for role, models in CHANGES.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = Permission.objects.filter(content_type__app_label__in=APPS, codename__startswith="view_")
        if role != "Auditor":
            wanted = wanted.exclude(codename__in=FOR_AUDITORS)
        changing = Permission.objects.filter(
            content_type__app_label__in=APPS,
            codename__in=[*(f"{verb}_{model}" for verb in ("add", "change") for model in models), *MORE.get(role, ())],
        )
        group.permissions.set(wanted | changing)
