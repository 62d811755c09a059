"""What each row of products would do, found out without doing it: by the rules of `products`, a chunk at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from catalog import effects, gtins
from catalog.models import CatalogImport, CatalogImportRow, ProductType, SupplierItem, Variant
from catalog.operations import axes, offers, plan_checks, plan_lists, products, types
from catalog.operations.identifiers import normalise_gtin
from catalog.operations.imports import SKU, digest_of
from catalog.operations.offers import Source
from catalog.operations.plan_reading import Known, Planned, PlannedFile, findable, look_up
from partners import files, loading
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput, Problem

STATE = (*products.PLAIN, "gtin", "gtin14", "product_type_id", "axes", "axis_values", "schema_version")


class Products:
    """Plans rows of products; remembers what the rows before said of each, and which of them may be parents."""

    def __init__(self, *, actor: Actor, supplier: Partner | None) -> None:
        self.supplier = supplier
        self.file = PlannedFile(actor=actor, supplier=supplier)
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.contradicted: set[str] = set()
        self.gathering: dict[str, tuple[str, ...]] = {}
        """Products of rows before that are not sold themselves, and their axes."""
        self.used_types: set[str] = set()
        self.types = {row.code: row for row in ProductType.objects.all()}

    @property
    def report(self) -> loading.Report:
        return self.file.report

    @property
    def ground(self) -> dict[str, Any]:
        """The rules all this was planned by; whoever applies compares them."""
        return {"types": {code: self.rule(code) for code in sorted(self.used_types)}}

    def rule(self, code: str) -> list[Any]:
        kind = self.types.get(code)
        return [self.file.schemas.version_of(code), kind.requires_batch if kind else False]

    def finish(self, plan: CatalogImport) -> None:
        """Refuse what clashes among all rows."""
        plan_checks.refuse_what_clashes(plan_id=plan.pk, contradicted=self.contradicted)

    def take(self, rows: Sequence[files.Row]) -> list[Planned]:
        """Plan a chunk. As many queries as its products need to be known, and some for each row with packs or numbers."""
        named = [(row, self.file.named(row.values)) for row in rows]
        skus = {str(values.get("productId") or "").strip()[:64] for _, values in named}
        above = {str(values.get("parentId") or "").strip()[:64] for _, values in named} - {""}
        known = look_up(skus={findable(sku) for sku in skus}, parents={findable(sku) for sku in above},
                        supplier=self.supplier)  # fmt: skip
        self.file.known = known
        planned = [self.plan(row, values, known) for row, values in named]
        self._tell_effects(planned)
        return planned

    def plan(self, row: files.Row, values: dict[str, Any], known: Known) -> Planned:
        planned = Planned(number=row.number, said=row.values)
        try:
            if row.fault:
                raise InvalidInput.at(self.file.record, row.fault)
            planned.sku = self._sku(values)
            if not self._is_repeated(planned):
                _Row(self, planned, known).settle(values)
        except Problem as problem:
            planned.refuse(problem)
        planned.reasons += [_noted(note, row.number) for note in self.report.notes]
        self.report.notes.clear()
        return planned

    def _sku(self, values: dict[str, Any]) -> str:
        sku = loading.text(values, "productId", 64)
        if not SKU.fullmatch(sku):
            raise InvalidInput.at("productId", f"{sku!r}: letters, digits and . _ + - only")
        return sku

    def _is_repeated(self, planned: Planned) -> bool:
        """Whether a row before said the same. Where it said something else, neither counts: who knows which is right."""
        said = digest_of(planned.said)
        number, digest = self.seen.setdefault(planned.sku, (planned.number, said))
        if number == planned.number:
            return False
        if digest != said:
            self.contradicted.add(planned.sku)
            raise InvalidInput.at("productId", f"row {number} says something else of the same product")
        planned.reasons = [("productId", f"row {number} says the same")]
        return True

    def _tell_effects(self, rows: Sequence[Planned]) -> None:
        felt = {row.variant_id: row for row in rows if row.variant_id and effects.FELT & row.after.keys()}
        for variant_id, counts in effects.on([pk for pk in felt if pk is not None]).items():
            felt[variant_id].effects = counts


class _Row:
    """One product on its way from what it is to what a row says."""

    def __init__(self, plan: Products, planned: Planned, known: Known) -> None:
        self.plan, self.planned, self.known = plan, planned, known
        found = known.variants.get(planned.sku)
        self.is_new = found is None
        self.variant = found or Variant(sku=planned.sku, product_type_id="general")
        self.parent_sku = self.variant.parent.sku if self.variant.parent else ""

    def settle(self, values: dict[str, Any]) -> None:
        """Find out what becomes of the product. Raises the Problem that `products` would."""
        variant, planned, supplier = self.variant, self.planned, self.plan.supplier
        if variant.pk in self.known.unseen:
            # Before anything is compared: whether a guess is right is nobody's who may not see it.
            raise products.KeptByTheHouse(f"{variant.sku} is not supplied by you.", productId=variant.sku)
        if self.is_new:
            loading.text(values, "name", 250)
        fields = self.plan.file.fields(values, None if self.is_new else variant, planned.number)
        before = self._picture()
        self._set(fields)
        after = self._picture()
        changed = {name for name, value in after.items() if self.is_new or not _alike(value, before[name])}
        self._hold_to_type(changed)
        after["schema_version"] = variant.schema_version
        if after["schema_version"] != before["schema_version"]:
            changed.add("schema_version")
        if self.is_new:
            planned.outcome = CatalogImportRow.Outcome.NEW
            if supplier is not None and not fields.get("sources"):
                fields["sources"] = [Source(supplier=supplier)]
        else:
            planned.variant_id, planned.base_version = variant.pk, variant.version
            planned.before = {name: _kept(before[name]) for name in changed}
        planned.after = {name: _kept(after[name]) for name in changed}
        is_own = self._lists(fields) if {"packs", "identifiers", "notes"} & fields.keys() else False
        is_shared = bool(planned.after.keys() - {"sources"})
        if "sources" in fields and planned.is_plain:
            self._offers(fields["sources"])
        self._ask_whose(is_shared=is_shared, is_own=is_own or "sources" in fields)
        if not self.is_new and planned.after:
            planned.outcome = CatalogImportRow.Outcome.CHANGED
        if planned.outcome != CatalogImportRow.Outcome.UNCHANGED and not variant.gtin14 and not self.parent_sku:
            self.plan.gathering[planned.sku] = tuple(variant.axes)

    def _picture(self) -> dict[str, Any]:
        return {name: getattr(self.variant, name) for name in STATE} | {"parent_sku": self.parent_sku}

    def _set(self, fields: dict[str, Any]) -> None:
        variant = self.variant
        for name in products.PLAIN:
            if name in fields:
                setattr(variant, name, fields[name])
        if "attributes" in fields:
            products.check_attributes(attributes=fields["attributes"])
        if "gtin" in fields:
            self._set_gtin(fields["gtin"])
        if "product_type" in fields:
            if self.plan.supplier is not None and fields["product_type"] not in self.plan.types:
                raise types.unknown(fields["product_type"])
            variant.product_type_id = fields["product_type"]
        under = self.parent_sku
        if "parent_sku" in fields:
            self._go_under(fields["parent_sku"])
        self._place(fields, is_moved=self.parent_sku != under)
        if variant.is_parent and variant.gtin14:
            raise InvalidInput.at("gtin", "A parent is never sold itself and has no GTIN.")

    def _set_gtin(self, gtin: str) -> None:
        gtin14 = normalise_gtin(gtin)
        if self.plan.supplier is not None and gtins.is_restricted(gtin14) and gtin14 != self.variant.gtin14:
            raise InvalidInput.at(
                "gtin", f"{gtin14} is of restricted circulation; send it under identifiers, with your partnerId."
            )
        self.variant.gtin14, self.variant.gtin = gtin14, gtins.NOISE.sub("", gtin)

    def _go_under(self, sku: str) -> None:
        if sku == self.parent_sku:
            return
        parent = self.known.parents.get(sku)
        is_planned = sku in self.plan.gathering
        if self.plan.supplier is not None and not is_planned:
            if parent is None or parent.pk in self.known.not_its_own:
                raise InvalidInput.at("parentId", f"{sku} is no product of yours alone.")
        elif parent is None and not is_planned:
            raise InvalidInput.at("parentId", f"There is no product {sku}; a parent's row comes before its variants'.")
        if self.variant.is_parent:
            raise InvalidInput.at("parentId", "A parent gathers variants and has no parent itself.")
        is_sold = parent is not None and (parent.parent_id or parent.gtin14 or parent.pk in self.known.sold)
        if sku == self.planned.sku or (is_sold and not is_planned):
            raise InvalidInput.at("parentId", f"{sku} is sold itself; a parent only gathers its variants.")
        self.parent_sku = sku
        self.planned.parent_version = parent.version if parent is not None else None

    def _place(self, fields: dict[str, Any], *, is_moved: bool) -> None:
        """As `axes.place`, with the parent as it will be."""
        if "axes" in fields:
            if fields["axes"] and self.parent_sku:
                raise InvalidInput.at("axes", "A variant has axisValues; the axes are its parent's.")
            axes.set_axes(variant=self.variant, axes=fields["axes"] or [])
        values = fields.get("axis_values") or {}
        if not self.parent_sku:
            if values:
                raise InvalidInput.at("axisValues", "Only a variant under a parent stands along axes; name parentId.")
            self.variant.axis_values = {}
        elif is_moved or values:
            self.variant.axis_values = axes.checked(values=values, parent=self._parent())
        elif "axis_values" in fields:
            self.variant.axis_values = {}

    def _parent(self) -> Variant:
        if self.parent_sku in self.plan.gathering:
            return Variant(sku=self.parent_sku, axes=list(self.plan.gathering[self.parent_sku]))
        parent = self.known.parents.get(self.parent_sku) or self.variant.parent
        if parent is None:
            raise InvalidInput.at("parentId", f"There is no product {self.parent_sku}.")
        self.planned.parent_version = parent.version
        return parent

    def _hold_to_type(self, changed: set[str]) -> None:
        """As `types.check`; a type not seen before takes anything, and is registered when the plan is applied."""
        variant, schemas = self.variant, self.plan.file.schemas
        code, is_parent = str(variant.product_type_id), variant.is_parent or bool(variant.axes)
        if changed & {"attributes", "product_type_id", "tracking"}:
            self.plan.used_types.add(code)
        if changed & {"attributes", "product_type_id"}:
            if wrong := schemas.errors_of(code, variant.attributes, is_parent=is_parent):
                raise InvalidInput.of([(error.field, error.detail) for error in wrong])
            variant.schema_version = schemas.version_of(code)
        kind = self.plan.types.get(code)
        is_by_batch = variant.tracking == Variant.Tracking.BATCH or is_parent
        if changed & {"tracking", "product_type_id"} and kind is not None and kind.requires_batch and not is_by_batch:
            raise InvalidInput.at("tracking", f"Products of the type {kind.name} are tracked by batch; send batch.")

    def _lists(self, fields: dict[str, Any]) -> bool:
        """Packs and further numbers are tried out in earnest and taken back; whether a number of its own changed."""
        tried = plan_lists.try_out(
            variant=self.variant, is_new=self.is_new, frees_gtin=bool(self.planned.before.get("gtin14")),
            fields=fields, supplier=self.plan.supplier,
        )  # fmt: skip
        self.planned.is_plain = not tried.after
        self.planned.after |= tried.after
        self.planned.before |= {} if self.is_new else tried.before
        return tried.is_own

    def _offers(self, sources: Sequence[Source]) -> None:
        there = dict(self.known.offers.get(self.variant.pk or 0, {}))
        names = {pk: name for name, pk in self.known.packs.get(self.variant.pk or 0, {}).items()}
        if len(sources) > offers.SUPPLIERS_MAX:
            raise InvalidInput.at("suppliers", f"A product has at most {offers.SUPPLIERS_MAX} suppliers.")
        before = [plan_lists.offer(item=item, pack_names=names) for item in there.values()]
        packs = self.known.packs.get(self.variant.pk or 0, {})
        changed = offers.said(variant=self.variant, sources=sources, there=there, packs=packs)
        if changed:
            all_of_them: dict[int, SupplierItem] = there | {item.supplier_id: item for item in changed}
            self.planned.after["sources"] = [
                plan_lists.offer(item=item, pack_names=names) for item in all_of_them.values()
            ]
            if not self.is_new:
                self.planned.before["sources"] = before

    def _ask_whose(self, *, is_shared: bool, is_own: bool) -> None:
        """A supplier's word counts for what it alone supplies, and for its own offer."""
        supplier, variant = self.plan.supplier, self.variant
        if supplier is None or self.is_new:
            return
        if is_shared and variant.pk in self.known.not_its_own:
            raise products.KeptByTheHouse(
                f"Of {variant.sku} you may change your own offer only.", productId=variant.sku
            )
        if is_own and supplier.pk not in self.known.offers.get(variant.pk, {}):
            raise products.KeptByTheHouse(f"{variant.sku} is not supplied by you.", productId=variant.sku)


def _alike(one: Any, other: Any) -> bool:
    """As JSON, for Python holds 1, 1.0 and true to be equal."""
    if isinstance(one, dict | list):
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    return bool(one == other)


def _noted(note: str, number: int) -> tuple[str, str]:
    field, _, sentence = note.removeprefix(f"row {number}: ").partition(": ")
    return field, sentence


def _kept(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | dict | list) else str(value)
