"""Lists of known vehicles: taken in as each source spells them, likenesses suggested, ACES numbers named."""

from __future__ import annotations

import gzip
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import Fitment, Vehicle, VehicleAlias
from catalog.operations import fitments, vehicles
from catalog.operations.fitments import Fits
from tests import make

SAMPLES = Path(__file__).parent / "samples"


def load(*paths: Path, **options: str) -> tuple[str, str, int]:
    out, err = StringIO(), StringIO()
    try:
        call_command("load_vehicles", *map(str, paths), stdout=out, stderr=err, **options)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(str(end.code))
    return out.getvalue(), err.getvalue(), 0


def write(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_both_lists_are_read_and_loading_them_twice_changes_nothing(db):
    first, _, code = load(SAMPLES / "epa_vehicles.csv", SAMPLES / "us_car_models.csv")
    assert (first.splitlines()[0], code) == ("epa_vehicles.csv: created 10, changed 0, unchanged 6", 0)
    engines = Vehicle.objects.filter(source="epa_vehicles", model="F150 Pickup 2WD", year=2004).values_list(
        "engine", flat=True
    )
    assert sorted(engines) == ["4.2L 6-cyl", "4.6L 8-cyl", "5.4L 8-cyl"]
    assert Vehicle.objects.get(model="Leaf").engine == "Electric"
    assert Vehicle.objects.filter(make="Nissan", model="Altima", year=2004).values_list("body", "engine").get() == (
        "Sedan",
        "",
    )
    again, _, _ = load(SAMPLES / "epa_vehicles.csv", SAMPLES / "us_car_models.csv")
    assert [line.split(": ")[1].split(",")[0] for line in again.splitlines()[:2]] == ["created 0", "created 0"]


def test_each_source_keeps_its_own_spelling(db, tmp_path):
    load(write(tmp_path, "year,make,model\n2025,Volkswagen,ID.Buzz\n", "a.csv"))
    load(write(tmp_path, "year,make,model\n2025,VOLKSWAGEN,ID. Buzz\n", "b.csv.gz"))
    assert set(Vehicle.objects.values_list("source", "model")) == {("a", "ID.Buzz"), ("b", "ID. Buzz")}
    assert Vehicle.objects.values("make_key", "model_key").distinct().count() == 1


def test_bad_rows_are_listed_and_the_good_ones_taken(db, tmp_path):
    text = "make,model,year,cyl,displ\nFord,Focus,2005,4,2.0\nFord,,2005,4,2\n--,x,2005,,\nFord,Focus,20005,4,2\n"
    said, refused, code = load(write(tmp_path, text))
    assert (said.splitlines()[0], code) == ("list.csv: created 1, changed 0, unchanged 0", 1)
    assert [line.split(": ", 1)[1] for line in refused.splitlines()] == [
        "row 3: model: holds no letter and no digit",
        "row 4: make: holds no letter and no digit",
        "row 5: year: '20005' is not a whole number from 0 to 2,200",
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "There is no file"),
        ("empty.csv", b"", "must name the columns"),
        ("other.csv", b"a,b\n1,2\n", "must name the columns make, model and year"),
        ("broken.csv.gz", b"\x1f\x8b\x08\x00broken", "cannot be unpacked"),
        ("plain.csv.gz", b"make,model,year\n", "cannot be unpacked"),
        ("short.csv.gz", gzip.compress(b"make,model,year\n" * 9_000)[:-9], "cannot be unpacked"),
        ("latin.csv", "make,model,year\nCitroën,C4,2005\n".encode("latin-1"), "not UTF-8"),
        ("wide.csv", b"make,model,year\n" + b"x" * 30_000 + b",y,2005\n", "no CSV"),
    ],
)
def test_what_is_no_list_is_refused_whole(db, tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        load(path)
    assert Vehicle.objects.count() == 0


def test_what_unpacks_without_end_is_refused(db, tmp_path, monkeypatch):
    monkeypatch.setattr("catalog.vehicle_files.UNPACKED_BYTES_MAX", 10_000)
    with pytest.raises(CommandError, match="unpacks to more than"):
        load(write(tmp_path, "make,model,year\n" + "Ford,Focus,2005\n" * 2_000, "bomb.csv.gz"))
    assert Vehicle.objects.count() == 0


def test_a_longer_name_is_suggested_to_mean_a_model_it_begins_with(db):
    Fitment.objects.create(variant=make.make_variant(), make="FORD", model="F-150", year_from=2004, year_to=2008)
    said, _, _ = load(SAMPLES / "epa_vehicles.csv", SAMPLES / "us_car_models.csv")
    assert "aliases suggested 7" in said
    aliases = set(VehicleAlias.objects.values_list("make", "model", "means", "status"))
    assert ("Ford", "F150 Pickup 2WD", "F-150", "suggested") in aliases
    assert ("Audi", "A4 (2005.5)", "A4", "suggested") in aliases
    refused = VehicleAlias.objects.get(model="F150 Pickup 2WD")
    vehicles.refuse_alias(alias=refused, actor=make.TESTER, at=timezone.now())
    assert vehicles.suggest_aliases(actor=make.TESTER) == 0, "what was refused is not suggested again"
    refused.refresh_from_db()
    assert refused.status == "refused"


def test_a_list_with_base_vehicles_names_the_fitments_that_came_by_number(db, tmp_path):
    rotor = make.make_variant(sku="ROTOR")
    by_number = Fits(variant_id=rotor.pk, base_vehicle_id="5911")
    fitments.put_many(fitments=[by_number], actor=make.TESTER)
    path = write(tmp_path, "baseVehicleId,make,model,year\n5911,Ford,Focus,2005\n")
    assert "fitments named 1" in load(path)[0]
    assert str(Fitment.objects.get()) == "Ford Focus 2005–2005"
    assert "fitments named 0" in load(path)[0]
    assert fitments.put_many(fitments=[by_number], actor=make.TESTER).of_each == ["unchanged"], "it comes with its name"
