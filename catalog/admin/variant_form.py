"""A product as staff types it: what its type's schema refuses is said at the field, before anything is saved."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog import queries
from catalog.admin import attributes
from catalog.admin.attributes import AttributesForm, AttributesWidget
from catalog.admin.axes_fields import AxesField, AxisValuesField
from catalog.models import ProductType, ProductTypeSchema
from catalog.operations import identifiers, products
from catalog.schemas import Schemas, understood
from partners.admin import said
from partners.problems import Problem

# Sent by the page's script when another type was chosen: show its fields, and save nothing yet.
LOOK = "attributes_look"
CODE_MAX = ProductType._meta.get_field("code").max_length
VERSION_MAX = 2**31 - 1


class VariantForm(forms.ModelForm):
    """The product's own columns; its packs, parts and suppliers are rows of their own.

    The attributes its type declares are fields of their own, made from the newest schema; what else there is
    stays JSON. A page that sends no such fields sends all attributes as JSON.
    """

    typed: AttributesForm
    axes = AxesField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="What its variants differ in: shade, size."
    )
    axis_values = AxisValuesField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Of a variant, a line for each axis of its parent: shade: 355N",
    )

    class Media:
        js = ("catalog/attributes.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "attributes" not in self.fields:
            return
        code = self.code_of(self.initial.get("product_type")) or "general"
        there = self.instance.attributes or {}
        sent = self.data.get(attributes.OF, "") if self.is_bound else ""
        self.typed = self.typed_as_sent(sent, there) or attributes.form_for(
            code, schemas=queries.newest_schemas([code]), there=there
        )
        self.show(self.typed, self.initial.get("attributes", there))

    def code_of(self, chosen: Any) -> str:
        return str(getattr(chosen, "pk", chosen) or "")

    def typed_as_sent(self, sent: str, there: dict[str, Any]) -> AttributesForm | None:
        """The fields the page had: a version is kept for ever, so they are read as they were shown."""
        code, _, version = sent.rpartition(":")
        is_number = version.isascii() and version.isdigit() and len(version) <= len(str(VERSION_MAX))
        if not is_number or int(version) > VERSION_MAX or len(code) > (CODE_MAX or 0) or "\x00" in code:
            return None
        if not int(version):
            return AttributesForm(understood({}), of=sent, there=there, data=self.data)
        row = ProductTypeSchema.objects.filter(product_type=code, version=int(version)).first()
        return AttributesForm(understood(row.schema), of=sent, there=there, data=self.data) if row else None

    def show(self, typed: AttributesForm, kept: Any) -> None:
        field = self.fields["attributes"]
        others = field.widget.others if isinstance(field.widget, AttributesWidget) else field.widget
        field.widget = AttributesWidget(others, typed)
        self.initial["attributes"] = (
            {name: value for name, value in (kept or {}).items() if name not in typed.kinds}
            if isinstance(kept or {}, dict)
            else kept
        )
        if not typed.fields:
            field.help_text = "Any names and values; the type has no schema."

    def clean_gtin(self) -> str:
        gtin: str = self.cleaned_data["gtin"]
        try:
            identifiers.normalise_gtin(gtin)
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem
        return gtin

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "attributes" in self.fields and "attributes" not in self.errors:
            cleaned["attributes"] = cleaned.get("attributes") or {}
            if not isinstance(cleaned["attributes"], dict):
                self.add_error("attributes", "Write an object in { }.")
        if "attributes" in self.fields and "attributes" not in self.errors:
            self.join_attributes(cleaned)
        if "attributes" not in self.errors and {"attributes", "product_type"} & set(self.changed_data):
            self.check_attributes(cleaned)
        if self.data.get(LOOK):
            self.look(cleaned)
        return cleaned

    def join_attributes(self, cleaned: dict[str, Any]) -> None:
        """What was typed into the fields and what was written as JSON are the product's attributes together."""
        if not self.typed.is_bound:
            return
        if not self.typed.is_valid():
            self.add_error("attributes", "Look at the attributes that are marked.")
        elif twice := sorted(self.typed.kinds.keys() & cleaned["attributes"].keys()):
            self.add_error("attributes", f"Of these there are fields: {', '.join(twice)}; type them there.")
        else:
            cleaned["attributes"] |= self.typed.attributes()

    @cached_property
    def changed_data(self) -> list[str]:
        """The attributes are changed where all of them together are; first asked when they are joined."""
        names = [name for name in self.fields if name != "attributes" and self[name]._has_changed()]  # type: ignore[attr-defined]  # as the library asks
        if "attributes" not in self.fields:
            return names
        now = self.cleaned_data.get("attributes") if hasattr(self, "cleaned_data") else None
        is_same = as_json(now) == as_json(self.instance.attributes or {})
        return names if is_same else [*names, "attributes"]

    def check_attributes(self, cleaned: dict[str, Any]) -> None:
        try:
            products.check_attributes(attributes=cleaned["attributes"])
        except Problem as problem:
            self.add_error("attributes", said(problem))
            return
        if not (kind := cleaned.get("product_type")):
            return
        schemas = queries.newest_schemas([kind.pk])
        is_parent = self.instance.is_parent or bool(cleaned.get("axes"))
        found = schemas.errors_of(kind.pk, cleaned["attributes"], is_parent=is_parent)
        if not found:
            return
        all_of_them = cleaned["attributes"]
        if self.typed.is_bound:
            self.show_those_of(kind.pk, schemas, all_of_them)
        unsaid = [error for error in found if not (self.typed.is_bound and self.typed.say(error))]
        if len(unsaid) < len(found):
            self.add_error("attributes", "Look at the attributes that are marked.")
        for error in unsaid:
            self.add_error("attributes", f"{error.name}: {error.detail}")

    def look(self, cleaned: dict[str, Any]) -> None:
        """Nothing is saved: the page comes back with the fields of the type that was chosen."""
        if (kind := cleaned.get("product_type")) and "attributes" in cleaned:
            self.show_those_of(kind.pk, queries.newest_schemas([kind.pk]), cleaned["attributes"])
            self.add_error(None, f"These are the attributes of {kind.name}. Nothing was saved yet.")

    def show_those_of(self, code: str, schemas: Schemas, all_of_them: dict[str, Any]) -> None:
        """The fields of the type that is chosen now, filled with what was typed into the ones before."""
        newest = attributes.form_for(code, schemas=schemas, there=self.instance.attributes or {})
        if newest.of == self.typed.of:
            return
        filled = {
            newest.add_prefix(name): attributes.shown(kind, all_of_them.get(name))
            for name, kind in newest.kinds.items()
        }
        self.typed = attributes.form_for(code, schemas=schemas, there=self.instance.attributes or {}, data=filled)
        self.typed.is_valid()
        self.show(self.typed, all_of_them)
        sent = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
        sent[self.add_prefix("attributes")] = json.dumps(self.initial["attributes"], ensure_ascii=False)
        self.data = sent

    def as_fields(self) -> dict[str, Any]:
        """What was changed, as the operations name it."""
        fields = {name: self.cleaned_data[name] for name in self.changed_data if name in products.PLAIN}
        others = ("gtin", "axes", "axis_values")
        fields |= {name: self.cleaned_data[name] for name in others if name in self.changed_data}
        if "product_type" in self.changed_data:
            fields["product_type"] = self.cleaned_data["product_type"].pk
        if "parent" in self.changed_data:
            parent = self.cleaned_data["parent"]
            fields["parent_sku"] = parent.sku if parent else None
        return fields


def as_json(value: Any) -> str:
    """For comparison: Python holds 1, 1.0 and true to be equal."""
    return json.dumps(value, sort_keys=True)
