"""/fitments and /vehicles: which part fits which vehicle."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import F
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import fitting
from catalog.fitting import Asked, Place
from catalog.models import Fitment, Variant
from catalog.operations.fitments import YEAR_MAX, YEAR_MIN
from partners.api.doors import Door
from partners.api.pagination import BadPage, make_cursor, read_cursor, read_limit

WORDS: dict[str, tuple[int, str]] = {
    "make": (60, "The make; case, accents, spaces and punctuation do not count."),
    "model": (100, "The model, compared likewise; what staff confirmed to be another name of it counts, too."),
    "engine": (60, "The engine; what fits every engine counts, too."),
    "submodel": (60, "The submodel or trim; what fits every one counts, too."),
    "position": (60, "Where on the vehicle: Front, Rear …"),
    "baseVehicleId": (20, "ACES base vehicle, as the parts' maker wrote it."),
}
YEAR = OpenApiParameter(
    "year", {"type": "integer", "minimum": YEAR_MIN, "maximum": YEAR_MAX}, description="Model year."
)


def parameters(*names: str) -> list[OpenApiParameter]:
    found = [OpenApiParameter(name, str, description=WORDS[name][1]) for name in names if name in WORDS]
    return [*found, YEAR] if "year" in names else found


def read_vehicle(query: Any, *names: str) -> Asked:
    """The vehicle of a query string. Raises BadPage naming the parameter."""
    words = {}
    for name in set(names) & set(WORDS):
        value = query.get(name, "").strip()
        if len(value) > WORDS[name][0]:
            raise BadPage(f"{name}: at most {WORDS[name][0]} characters.")
        if "\x00" in value:
            raise BadPage(f"{name}: the character NUL cannot be used.")
        words["base_vehicle_id" if name == "baseVehicleId" else name] = value
    year = query.get("year", "").strip() if "year" in names else ""
    if year and not (year.isascii() and year.isdigit() and YEAR_MIN <= int(year[:5]) <= YEAR_MAX):
        raise BadPage(f"year: a year from {YEAR_MIN} to {YEAR_MAX}.")
    return Asked(**words, year=int(year) if year else None)


class QualifierFields(serializers.Serializer[Any]):
    text = serializers.CharField(required=False, help_text="In words.")
    id = serializers.CharField(required=False, help_text="Its number in the qualifier table (ACES Qdb).")


class FitmentSerializer(serializers.Serializer[Any]):
    """A part fits the model years from `yearFrom` to `yearTo`, both included; what is empty does not narrow it."""

    productId = serializers.CharField(source="sku", help_text="The part.")
    make = serializers.CharField(help_text="Empty where only `baseVehicleId` is known.")
    model = serializers.CharField(help_text="As the fitment's source spells it.")
    submodel = serializers.CharField(help_text="Empty: every submodel.")
    yearFrom = serializers.IntegerField(source="year_from", allow_null=True, help_text="The first model year.")
    yearTo = serializers.IntegerField(source="year_to", allow_null=True, help_text="The last model year, included.")
    engine = serializers.CharField(help_text="Empty: every engine.")
    qualifiers = QualifierFields(many=True, help_text="What narrows it further; all of them must hold.")
    position = serializers.CharField(help_text="Where on the vehicle; empty: not said.")
    quantity = serializers.IntegerField(help_text="Pieces one vehicle takes.")
    note = serializers.CharField(help_text="For people.")
    baseVehicleId = serializers.CharField(source="base_vehicle_id", help_text="ACES base vehicle, where one was given.")
    partTypeId = serializers.CharField(source="part_type_id", help_text="ACES part type, where one was given.")
    brandAaiaId = serializers.CharField(source="brand_aaia_id", help_text="ACES brand, where one was given.")


class FitmentDoor(Door):
    queryset = Fitment.objects.none()
    serializer_class = FitmentSerializer
    required_scopes: ClassVar = {"GET": "catalog:read"}

    def visible(self) -> Any:
        """The products whose fitments the caller may see; None: all."""
        mine = Variant.objects.for_partner(self.partner)
        return None if self.partner.assortment == self.partner.Assortment.ALL else mine


class Fitments(FitmentDoor):
    @extend_schema(
        operation_id="listFitments",
        parameters=parameters("make", "model", "year", "engine", "submodel", "position", "baseVehicleId"),
    )
    def get(self, request: Request) -> Response:
        """Parts that fit a vehicle, by make, model and last year of the fitment."""
        query = request.query_params
        asked = read_vehicle(query, *WORDS, "year")
        limit = read_limit(query.get("limit"))
        after = read_place(query.get("cursor"))
        rows = fitting.fitments(asked=asked, visible=self.visible(), limit=limit + 1, after=after)
        place = write_place(rows[limit - 1].place) if len(rows) > limit else None
        return Response({"items": FitmentSerializer(rows[:limit], many=True).data, "nextCursor": place})


class ProductFitments(FitmentDoor):
    @extend_schema(operation_id="listProductFitments")
    def get(self, request: Request, sku: str) -> Response:
        """The vehicles a part fits."""
        variant = get_object_or_404(Variant.objects.for_partner(self.partner), sku=sku)
        return self.listed(Fitment.objects.filter(variant=variant).annotate(sku=F("variant__sku")))


def write_place(place: Place) -> str:
    return make_cursor("|".join(map(str, place)))  # no key holds punctuation


def read_place(cursor: str | None) -> Place | None:
    """The place a cursor stands for. Raises BadPage for what is none of ours."""
    text = read_cursor(cursor)
    if text is None:
        return None
    parts = text.split("|") if isinstance(text, str) else []
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts[2:]):
        raise BadPage("cursor: take it from nextCursor of the page before.")
    return parts[0], parts[1], min(int(parts[2]), YEAR_MAX), int(parts[3])


class Vehicles(FitmentDoor):
    """One step of a cascading choice, of vehicles the caller has parts for: in any order, each leads to a part."""

    pagination_class = None

    def chosen(self, *names: str) -> dict[str, Any]:
        return {"asked": read_vehicle(self.request.query_params, *names), "visible": self.visible()}


def _answer(name: str, kind: type[serializers.Field], says: str) -> Any:
    return inline_serializer(name, {"items": serializers.ListField(child=kind(), help_text=says)})


class Makes(Vehicles):
    @extend_schema(
        operation_id="listMakes", parameters=parameters("year"),
        responses=_answer("Makes", serializers.CharField, "Makes by name."),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The makes there are parts for."""
        return Response({"items": fitting.makes(**self.chosen("year"))})


class Models(Vehicles):
    @extend_schema(
        operation_id="listModels", parameters=parameters("make", "year"),
        responses=_answer("Models", serializers.CharField, "Models by name."),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The models there are parts for."""
        return Response({"items": fitting.models(**self.chosen("make", "year"))})


class Years(Vehicles):
    @extend_schema(
        operation_id="listYears", parameters=parameters("make", "model"),
        responses=_answer("Years", serializers.IntegerField, "Model years, newest first."),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The model years there are parts for, newest first."""
        return Response({"items": fitting.years(**self.chosen("make", "model"))})


class Engines(Vehicles):
    @extend_schema(
        operation_id="listEngines", parameters=parameters("make", "model", "year"),
        responses=_answer("Engines", serializers.CharField, "Engines by name."),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The engines parts are made for; none before make and model are chosen. A part may fit every engine."""
        chosen = self.chosen("make", "model", "year")
        is_chosen = chosen["asked"].make and chosen["asked"].model
        return Response({"items": fitting.engines(**chosen) if is_chosen else []})
