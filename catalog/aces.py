"""ACES, the Auto Care standard for which part fits which vehicle, version 4.2 and those before it from 3.0.

Written after the public structure of the standard: a Header, one App for each application of a part, a Footer that
counts them (Asset and DigitalAsset are counted and passed over). The numbers in it point into licensed tables
(VCdb vehicles, PCdb part types and positions, Qdb qualifiers): they are kept as they are, and named where the
caller can name them.

An App becomes a Record of kind "fitment"; its key is everything by which two applications of a part differ, so
that an App with action D names the one it takes away. Its values, each there only where the App says it:

  partNumber, brandAaiaId, subBrandAaiaId   the part, and its brand (of the Part, or else of the Header)
  baseVehicleId, partTypeId                 the vehicle and what sort of part it is, by number
  acesIds {tag: id}, acesNames {tag: text}  every other number: Make, SubModel, EngineBase, Position ...; their text
  make, model, submodel, engine, position, partType   the same by name
  yearFrom, yearTo                          model years, both inclusive
  qualifiers [{id, text, params[]}, {text}] conditions: Quals, then Notes
  quantity, mfrLabel, displayOrder, appId, reference (the App's ref), isValidated (False where validate="no")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import batched
from typing import Any, Protocol

from catalog import autocare
from catalog.autocare import Envelope, Source
from catalog.records import Book, Record, Replaced
from catalog.wording import Unusable, Wording
from partners import xml
from partners.files import Unreadable
from partners.xml import Element

VERSIONS = {"3.0", "3.0.1", "3.1", "3.2", "4.0", "4.1", "4.2"}
SUBMISSIONS = {"FULL", "UPDATE"}
# The standard has no namespace of its own; some senders give it their association's.
NAMESPACES = ("", "http://www.autocare.org", "http://www.aftermarket.org")
YEAR_MIN, YEAR_MAX = 1896, 2200  # the standard's own first model year
QUANTITY_MAX = 1_000
ID_DIGITS_MAX = 18
PART_MAX, LABEL_MAX, NOTE_MAX = 64, 250, 2_000
BATCH = 1_000  # Apps whose numbers are named at a time

# What an App says in other ways; every other tag has an id, and we need not know it.
OTHER = {
    "Years", "ProductionYears", "Qual", "Note", "Qty", "MfrLabel", "Part", "DisplayOrder", "AssetName",
    "AssetItemOrder", "AssetItemRef",
}  # fmt: skip
BY_ITSELF = {"BaseVehicle": "baseVehicleId", "PartType": "partTypeId"}  # the others are among the acesIds
NAMED = {
    "Make": "make", "Model": "model", "SubModel": "submodel", "EngineBase": "engine", "Position": "position",
    "PartType": "partType",
}  # fmt: skip
KEY = ("subBrandAaiaId", "baseVehicleId", "partTypeId", "yearFrom", "yearTo", "mfrLabel")


class Names(Protocol):
    """What the numbers of licensed tables mean, where the caller has them.

    For a table by its tag ("BaseVehicle", "Make", "EngineBase", "Position" ...) and some of its ids, the values
    each stands for, e.g. `{"5911": {"make": "Audi", "model": "A4", "yearFrom": 2004, "yearTo": 2004}}`; ids it does
    not know are left out. What the table says goes before what the file calls it.
    """

    def __call__(self, table: str, ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]: ...


def read(source: Source, *, names: Names | None = None) -> Book:
    """A file of applications as a Book. It is walked twice: to prove it whole, then to give its records.

    A FULL file replaces every fitment of its brand (the Header's, or else those its parts name); an UPDATE adds and
    takes away. Raises files.Unreadable with line and reason, before any record is given, for what no sender could
    have meant: see `autocare.survey`; an id that two Apps share; a version not read here (5.0, 2.0).
    An App that cannot be taken is a record with a fault.
    """
    envelope = autocare.survey(source, FORM)
    if envelope.twins:
        twin = envelope.twins[0]
        raise Unreadable(f"Line {twin.line}: this App has the id of the App in line {twin.first_line}.")
    return Book(
        records=_named(_records(source, envelope), names),
        replaces=_replaced(envelope),
        about=autocare.facts(envelope.header) | {"version": envelope.root.attributes["version"]},
        count=envelope.count,
        skipped=dict(envelope.skipped),
    )


def _check(element: Element) -> None:
    if element.name == "ACES":
        version = element.attributes.get("version", "")
        if version not in VERSIONS:
            raise Unreadable(f"Line {element.line}: ACES {version[:20] or 'without a version'} is not read; send 4.2.")
    elif element.name == "Header":
        autocare.submission_type(element, known=SUBMISSIONS)


def _identity(app: Element) -> int | None:
    text = app.attributes.get("id", "").strip()
    return int(text) if _is_id(text) else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX and text.strip("0") != ""


def _brand_of(app: Element) -> str:
    part = app.child("Part")
    return part.attributes.get("BrandAAIAID", "") if part else ""


FORM = autocare.Form(
    shape=xml.Shape(root="ACES", namespaces=NAMESPACES, skipped={"Asset", "DigitalFileInformation"}),
    record="App",
    trailer="Footer",
    counter="RecordCount",
    proving={"Part"},
    identity=_identity,
    brand=_brand_of,
    check=_check,
)


def _replaced(envelope: Envelope) -> Replaced | None:
    if autocare.submission_type(envelope.header, known=SUBMISSIONS) != "FULL":
        return None
    brand = envelope.header.said("BrandAAIAID")
    brands = (brand,) if brand else tuple(sorted(envelope.brands))
    if not brands:
        raise Unreadable(
            f"Line {envelope.header.line}: a FULL file must name the brand it is of (BrandAAIAID); whose fitments it"
            " replaces cannot be told."
        )
    return Replaced(kinds=("fitment",), brands=brands)


def _records(source: Source, envelope: Envelope) -> Iterator[Record]:
    header = envelope.header
    brands = header.said("BrandAAIAID"), header.said("SubBrandAAIAID")
    return (_record(app, brands) for app in autocare.records(source, FORM, envelope))


def _record(app: Element, brands: tuple[str, str]) -> Record:
    wording, values, fault = Wording(), dict[str, Any](), ""
    app_id = Wording().text(app.attributes.get("id", "")[:40], "id", 40)
    try:
        _fill(values, app, brands, wording)
    except Unusable as unusable:
        fault = str(unusable)
    return Record(
        kind="fitment",
        place=f"line {app.line}, App {app_id or 'without an id'}",
        line=app.line,
        key=_key(values),
        values=values,
        is_drop=app.attributes.get("action") == "D",
        notes=tuple(wording.notes),
        fault=fault,
    )


def _fill(values: dict[str, Any], app: Element, brands: tuple[str, str], wording: Wording) -> None:
    """Read an App into `values`; raises Unusable where it cannot be taken, with what was read before in them."""
    _fill_part(values, app, brands, wording)
    action = app.attributes.get("action", "")
    if action not in {"A", "D"}:
        raise Unusable(f"the action {action[:20]!r} is neither A nor D")
    if not _is_id(values["appId"]):
        raise Unusable(f"the App's id {values['appId']!r} is no whole number")
    seen: set[str] = set()
    for element in app.children:
        name = element.name
        if name in seen and name not in {"Qual", "Note"}:
            raise Unusable(f"<{name}> is there twice")
        seen.add(name)
        if name not in OTHER:
            _fill_coded(values, element, wording)
    _fill_years(values, app, wording)
    _fill_rest(values, app, wording)
    if not _names_a_vehicle(seen):
        raise Unusable("it names no vehicle: neither a BaseVehicle, nor Years and Make, nor equipment")
    for name in ("Qty", "PartType"):
        if name not in seen:
            raise Unusable(f"<{name}> is missing")


def _names_a_vehicle(seen: set[str]) -> bool:
    return (
        bool({"BaseVehicle", "EquipmentBase"} & seen) or {"Years", "Make"} <= seen or {"Mfr", "EquipmentModel"} <= seen
    )


def _fill_part(values: dict[str, Any], app: Element, brands: tuple[str, str], wording: Wording) -> None:
    values["appId"] = wording.text(app.attributes.get("id", ""), "the App's id", 40)
    part = app.child("Part")
    if part is None:
        raise Unusable("<Part> is missing")
    values["partNumber"] = wording.text(part.text, "Part", PART_MAX, is_required=True)
    own = part.attributes.get("BrandAAIAID", ""), part.attributes.get("SubBrandAAIAID", "")
    brand, sub_brand = own if own[0] else brands
    if brand:
        values["brandAaiaId"] = wording.text(brand, "BrandAAIAID", 4)
    if sub_brand:
        values["subBrandAaiaId"] = wording.text(sub_brand, "SubBrandAAIAID", 4)
    if reference := wording.text(app.attributes.get("ref", ""), "ref", LABEL_MAX):
        values["reference"] = reference
    if app.attributes.get("validate") == "no":
        values["isValidated"] = False


def _coded(element: Element, wording: Wording) -> tuple[str, str]:
    """The id and the name of something coded; either may be all there is."""
    code = element.attributes.get("id", "").strip()
    name = wording.text(element.text, element.name, LABEL_MAX) if element.text else ""
    if code and not _is_id(code):
        raise Unusable(f"the id {code[:40]!r} of <{element.name}> is no whole number")
    if not code and not name:
        raise Unusable(f"<{element.name}> has neither an id nor a name")
    return code, name


def _fill_coded(values: dict[str, Any], element: Element, wording: Wording) -> None:
    code, name = _coded(element, wording)
    tag = element.name
    if code and tag in BY_ITSELF:
        values[BY_ITSELF[tag]] = code
    elif code:
        values.setdefault("acesIds", {})[tag] = code
    if name:
        values.setdefault("acesNames", {})[tag] = name
        if tag in NAMED:
            values[NAMED[tag]] = name


def _fill_years(values: dict[str, Any], app: Element, wording: Wording) -> None:
    for tag, ends in (("Years", ("from", "to")), ("ProductionYears", ("ProductionStart", "ProductionEnd"))):
        if (years := app.child(tag)) is not None:
            first, last = (
                wording.whole(years.attributes.get(end, ""), f"{tag} {end}", least=YEAR_MIN, most=YEAR_MAX)
                for end in ends
            )
            if last < first:
                raise Unusable(f"{tag} end in {last}, before they begin in {first}")
            values["yearFrom"], values["yearTo"] = first, last


def _fill_rest(values: dict[str, Any], app: Element, wording: Wording) -> None:
    qualifiers: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for element in app.children:
        match element.name:
            case "Qual":
                qualifiers.append(_qualifier(element, wording))
            case "Note":
                if note := wording.text(element.text, "Note", NOTE_MAX):
                    notes.append({"text": note})
            case "Qty":
                values["quantity"] = wording.whole(element.text, "Qty", least=1, most=QUANTITY_MAX)
            case "MfrLabel":
                if label := wording.text(element.text, "MfrLabel", LABEL_MAX):
                    values["mfrLabel"] = label
            case "DisplayOrder":
                values["displayOrder"] = wording.whole(element.text, "DisplayOrder", least=1, most=10**9)
    if qualifiers or notes:
        values["qualifiers"] = qualifiers + notes


def _qualifier(element: Element, wording: Wording) -> dict[str, Any]:
    """A Qdb qualifier: its number, its sentence, and the measures filled into it."""
    code = element.attributes.get("id", "").strip()
    if not _is_id(code):
        raise Unusable(f"the id {code[:40]!r} of <Qual> is no whole number")
    qualifier: dict[str, Any] = {"id": code}
    if text := wording.text(element.said("text"), "Qual text", NOTE_MAX):
        qualifier["text"] = text
    if params := [
        {
            name: wording.text(param.attributes[attribute], f"Qual {name}", LABEL_MAX)
            for attribute, name in (("value", "value"), ("uom", "uom"), ("altvalue", "altValue"), ("altuom", "altUom"))
            if attribute in param.attributes
        }
        for param in element.all("param")
    ]:
        qualifier["params"] = params
    return qualifier


def _key(values: dict[str, Any]) -> tuple[str, ...]:
    """The part, its brand, and everything by which two applications of one part differ."""
    said = {name: str(values[name]) for name in KEY if name in values}
    said |= values.get("acesNames", {}) | values.get("acesIds", {})
    for tag, name in BY_ITSELF.items():
        if name in said:
            said.pop(tag, None)
    rest = [f"{name}={text}" for name, text in sorted(said.items())]
    rest += sorted(map(_qualified, values.get("qualifiers", ())))
    return values.get("partNumber", ""), values.get("brandAaiaId", ""), *rest


def _qualified(qualifier: dict[str, Any]) -> str:
    if "id" not in qualifier:
        return f"Note={qualifier['text']}"
    measures = (f"{param.get('value', '')}{param.get('uom', '')}" for param in qualifier.get("params", ()))
    return " ".join([f"Qual={qualifier['id']}", *measures])


def _named(records: Iterable[Record], names: Names | None) -> Iterator[Record]:
    """Records with the names of their numbers, asked for a batch at a time and a table at a time."""
    if names is None:
        yield from records
        return
    for batch in batched(records, BATCH):
        wanted: dict[str, set[str]] = defaultdict(set)
        for record in batch:
            for table, code in _codes(record.values):
                wanted[table].add(code)
        found = {table: names(table, codes) for table, codes in wanted.items()}
        for record in batch:
            told: dict[str, Any] = {}
            for table, code in _codes(record.values):
                told |= found[table].get(code, {})
            yield replace(record, values=record.values | told) if told else record


def _codes(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table, name in BY_ITSELF.items():
        if name in values:
            yield table, values[name]
    yield from values.get("acesIds", {}).items()
