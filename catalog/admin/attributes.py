"""A product's attributes as fields of a form: what each takes is read from the schema of its type.

The fields take whatever is typed; the schema alone judges it, and its words are said at the field. What is not
touched stays as it is kept, to the digit, even where the schema would not take it any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from catalog.schemas import FieldError, Schemas, Validator, readings, understood

PREFIX = "attr"
# Hidden beside the fields: the type and version they were made from, which is how they are read again.
OF = "attributes_of"
TEXT_MAX = 5_000
LINE_MAX = 120
NUMBERS = frozenset({"number", "integer"})
ITEM = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)
LIMITS = {
    "minimum": "from {}", "maximum": "to {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
}  # fmt: skip


def kind_of(validator: Validator, name: str) -> str | None:
    """Which field an attribute is typed into; none where the schema leaves open what it is."""
    kinds = validator.types(name) - {"null"}
    if kinds == {"array"}:
        return "choices" if "enum" in validator.rule_of_items(name) else "list"
    if "array" in kinds or "object" in kinds:
        return None
    if "enum" in validator.rule(name):
        return "choice"
    if kinds == {"boolean"}:
        return "yesno"
    if kinds and kinds <= NUMBERS:
        return "number"
    return "text" if kinds == {"string"} else None


def text_of(value: Any) -> str:
    """A single value as it is typed."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(kind: str, value: Any) -> Any:
    """What a field shows of the value that is kept: text, or the texts that are chosen."""
    if kind == "choices":
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [text_of(one) for one in values]
    if kind == "list" and isinstance(value, list):
        return "\n".join(map(text_of, value))
    return text_of(value)


class AttributesForm(forms.Form):
    """The declared attributes of one type. `there` are those that are kept; `of` names type and version."""

    use_required_attribute = False

    def __init__(self, validator: Validator, *, of: str, there: Mapping[str, Any], data: Any = None) -> None:
        super().__init__(data, prefix=PREFIX)
        self.validator, self.of, self.there = validator, of, there
        self.needed = {name for name in validator.properties if validator.is_needed(name)}
        self.kinds = {name: kind for name in validator.properties if (kind := kind_of(validator, name))}
        for place, (name, kind) in enumerate(self.kinds.items()):
            self.fields[name] = self.field(name, kind, place)

    def field(self, name: str, kind: str, place: int) -> forms.Field:
        rule, there = self.validator.rule(name), shown(kind, self.there.get(name))
        common: dict[str, Any] = {
            "label": str(rule.get("title") or name), "required": False, "initial": there, "help_text": self.hint(name, kind),
        }  # fmt: skip
        attrs = {"id": f"id_attribute_{place}", "autocomplete": "off"}
        field: forms.Field
        if kind == "choices":
            # What is kept and no choice any more is shown, and stays until it is taken away.
            texts = list(dict.fromkeys([*map(text_of, self.validator.rule_of_items(name)["enum"]), *there]))
            field = forms.MultipleChoiceField(
                choices=[(text, text) for text in texts],
                widget=UnfoldAdminCheckboxSelectMultipleWidget(attrs={"id": attrs["id"]}), **common,
            )  # fmt: skip
        elif kind in {"choice", "yesno"}:
            field = forms.ChoiceField(
                choices=self.choices(rule, kind, there), widget=UnfoldAdminSelectWidget(attrs=attrs), **common
            )
        else:
            field = forms.CharField(max_length=TEXT_MAX, widget=self.widget(rule, kind, there, attrs), **common)
        return field

    def choices(self, rule: Mapping[str, Any], kind: str, there: str) -> list[tuple[str, str]]:
        known = [("true", "Yes"), ("false", "No")]
        if kind == "choice":
            known = [(text, text) for text in map(text_of, rule["enum"]) if text]
        gone = [(there, there)] if there and there not in dict(known) else []
        return [("", "–"), *known, *gone]

    def widget(self, rule: Mapping[str, Any], kind: str, there: str, attrs: dict[str, Any]) -> forms.Widget:
        if kind == "list" or len(there) > LINE_MAX or "\n" in there:
            return UnfoldAdminTextareaWidget(attrs=attrs | {"rows": 3})
        if kind == "number":
            attrs["inputmode"] = "decimal"
        if rule.get("format") == "date":
            attrs["placeholder"] = "2027-01-31"
        return UnfoldAdminTextInputWidget(attrs=attrs)

    def hint(self, name: str, kind: str) -> str:
        """The schema's own words and the plainest of its limits. Help is shown as HTML, so they are escaped."""
        rule = self.validator.rule(name)
        said = [str(rule["description"])] if rule.get("description") else []
        limits = [words.format(rule[limit]) for limit, words in LIMITS.items() if limit in rule]
        if limits:
            said.append(" ".join(limits).capitalize() + ".")
        if kind == "list":
            said.append("One a line.")
        return escape(" ".join(said))

    def attributes(self) -> dict[str, Any]:
        """The declared attributes as they were typed; an empty field says that there is none."""
        found = {}
        for name, kind in self.kinds.items():
            typed = self.cleaned_data.get(name)
            typed = typed.replace("\r\n", "\n") if isinstance(typed, str) else typed
            if self.is_untouched(name, kind, typed):
                if name in self.there:
                    found[name] = self.there[name]
            elif typed:
                found[name] = self.meant(name, kind, typed)
        return found

    def is_untouched(self, name: str, kind: str, typed: Any) -> bool:
        there = shown(kind, self.there.get(name))
        if kind == "choices":
            return set(typed or ()) == set(there)
        return bool((typed or "") == there.strip())

    def meant(self, name: str, kind: str, typed: Any) -> Any:
        kinds = self.validator.kinds(name)
        if kind in {"choice", "choices"}:
            rule = self.validator.rule(name) if kind == "choice" else self.validator.rule_of_items(name)
            there = self.there.get(name)
            known = {text_of(one): one for one in [*(there if isinstance(there, list) else [there]), *rule["enum"]]}
            return known[typed] if kind == "choice" else [known[one] for one in typed]
        if kind == "yesno":
            return {"true": True, "false": False}.get(typed, typed)
        if kind == "list":
            lines = [line.strip() for line in typed.splitlines() if line.strip()]
            return [next(iter(readings(line, kinds)), line) for line in lines]
        return next(iter(readings(typed, kinds)), typed) if kind == "number" else typed

    def say(self, error: FieldError) -> bool:
        """Say what the schema refuses at its field; no where it has none here."""
        name, words = error.name, error.detail
        if item := ITEM.fullmatch(name):
            name, words = item[1], f"Number {int(item[2]) + 1}: {words}"
        if name not in self.fields:
            return False
        self.add_error(name, words)
        return True


class AttributesWidget(forms.Widget):
    """The typed fields, and below them what else there is as JSON."""

    def __init__(self, others: forms.Widget, typed: AttributesForm) -> None:
        super().__init__(others.attrs)
        self.others, self.typed = others, typed

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        others = self.others.render(name, value, attrs, renderer)
        context = {"typed": self.typed, "others": others, "of": OF, "others_id": (attrs or {}).get("id", "")}
        return render_to_string("admin/catalog/attributes.html", context)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return self.others.value_from_datadict(data, files, name)

    def id_for_label(self, id_: str | None) -> str:
        """The label heads all of the fields and belongs to none."""
        return ""


def form_for(code: str, *, schemas: Schemas, there: Mapping[str, Any], data: Any = None) -> AttributesForm:
    """The fields of a type as its schema has them; a type without one has none."""
    newest, validator = schemas.newest.get(code, (0, understood({})))
    return AttributesForm(validator, of=f"{code}:{newest}", there=there, data=data)
