"""ACES: applications of parts as neutral records, walked through in bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from catalog import aces, autocare
from catalog.records import Record, Replaced
from partners import files
from tests.catalog import autocare_files as made

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = made.SAMPLES / "ironridge_brakes_aces_4_2.xml"


def one(*args, header=made.ACES_HEADER, version="4.2", names=None, **given) -> Record:
    content = made.aces(made.app(*args, **given), header=header, version=version)
    [record] = aces.read(io.BytesIO(content), names=names).records
    return record


def test_the_sample_says_which_part_fits_which_vehicle():
    book = aces.read(SAMPLE)
    assert (book.count, book.skipped) == (3, {})
    assert book.replaces == Replaced(kinds=("fitment",), brands=("ZZIR",))
    assert book.about["company"] == "Ironridge Auto Parts"
    assert book.about["approvedFor"] == "US CA"
    assert (book.about["version"], book.about["vcdbVersionDate"]) == ("4.2", "2026-08-28")
    rotor, alternator, filter_ = book.records
    assert rotor == Record(
        kind="fitment",
        place="line 17, App 1",
        key=(
            "BRK-4417", "ZZIR", "Position=22", "SubModel=20", "baseVehicleId=5911", "mfrLabel=Performance Rotor",
            "partTypeId=1896", "Note=288mm front rotor",
        ),
        values={
            "appId": "1", "partNumber": "BRK-4417", "brandAaiaId": "ZZIR", "baseVehicleId": "5911",
            "acesIds": {"SubModel": "20", "Position": "22"}, "partTypeId": "1896", "quantity": 2,
            "mfrLabel": "Performance Rotor", "qualifiers": [{"text": "288mm front rotor"}],
        },
    )  # fmt: skip
    assert alternator.values == {
        "appId": "2", "partNumber": "ALT-0932R", "brandAaiaId": "ZZIR", "yearFrom": 2004, "yearTo": 2008,
        "acesIds": {"Make": "54", "Model": "688", "EngineBase": "143"}, "partTypeId": "1684", "quantity": 1,
        "qualifiers": [
            {"id": "12073", "text": "with 1.75in Driveshaft Diameter", "params": [{"value": "1.75", "uom": "in"}]}
        ],
    }  # fmt: skip
    assert filter_.values == {
        "appId": "3", "partNumber": "FLT-88001", "brandAaiaId": "ZZIR", "isValidated": False, "baseVehicleId": "5911",
        "partTypeId": "6192", "quantity": 1,
    }  # fmt: skip
    assert [record.fault for record in (rotor, alternator, filter_)] == ["", "", ""]


def test_values_can_be_kept_as_json():
    for record in aces.read(SAMPLE).records:
        assert json.loads(json.dumps(record.values)) == record.values


@pytest.mark.parametrize("version", ["3.0", "3.0.1", "3.1", "3.2", "4.0", "4.1"])
def test_versions_before_are_read_alike(version):
    assert one(version=version).values == one().values


def test_make_and_model_by_name_are_kept_and_so_are_attributes_we_do_not_know_of():
    vehicle = '<Years from="2004" to="2008"/><Make id="54">Ford</Make><Model id="688">F-150</Model>'
    rest = '<EngineBase id="143">V6 2.4L</EngineBase><FutureThing id="9"/><FuelType>Gas</FuelType>'
    values = one(vehicle, rest).values
    assert (values["make"], values["model"], values["engine"]) == ("Ford", "F-150", "V6 2.4L")
    assert values["acesIds"] == {"Make": "54", "Model": "688", "EngineBase": "143", "FutureThing": "9"}
    names = {"Make": "Ford", "Model": "F-150", "EngineBase": "V6 2.4L", "FuelType": "Gas"}
    assert values["acesNames"] == names


def test_equipment_is_a_vehicle_too():
    vehicle = '<Mfr id="3"/><EquipmentModel id="7"/><VehicleType id="2"/>'
    years = '<ProductionYears ProductionStart="2010" ProductionEnd="2015"/>'
    record = one(vehicle, years)
    assert (record.fault, record.values["yearFrom"], record.values["yearTo"]) == ("", 2010, 2015)
    assert record.values["acesIds"] == {"Mfr": "3", "EquipmentModel": "7", "VehicleType": "2"}
    assert one('<EquipmentBase id="7"/>').fault == ""


def test_the_brand_of_the_part_goes_before_the_headers():
    part = '<Part BrandAAIAID="ZZPM" SubBrandAAIAID="ZZPX">P 1</Part>'
    values = one(part=part).values
    assert (values["partNumber"], values["brandAaiaId"], values["subBrandAaiaId"]) == ("P 1", "ZZPM", "ZZPX")


def test_an_update_replaces_nothing_and_takes_away_what_it_names():
    header = made.ACES_HEADER.replace("FULL", "update")
    added, dropped = made.app(rest="<SubModel id='2'/>"), made.app(rest="<SubModel id='2'/>", action="D", id="2")
    book = aces.read(io.BytesIO(made.aces(added, dropped, header=header)))
    assert book.replaces is None
    first, second = book.records
    assert (first.is_drop, second.is_drop) == (False, True)
    assert first.key == second.key


def test_a_full_file_whose_header_names_no_brand_replaces_those_its_parts_name():
    header = made.ACES_HEADER.replace("<BrandAAIAID>BKLR</BrandAAIAID>", "")
    apps = [made.app(part=f'<Part BrandAAIAID="{brand}">A</Part>', id=brand[-1]) for brand in ("ZZB2", "ZZA1")]
    book = aces.read(io.BytesIO(made.aces(*apps, header=header)))
    assert book.replaces == Replaced(kinds=("fitment",), brands=("ZZA1", "ZZB2"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"rest": "<Note>left</Note>"}),
        ({"rest": "<Note>left</Note>"}, {"rest": "<Note>right</Note>"}),
        ({}, {"rest": '<Position id="22"/>'}),
        ({}, {"rest": '<EngineBase id="1"/>'}),
        ({"rest": '<EngineBase id="1"/>'}, {"rest": '<EngineVIN id="1"/>'}),
        ({}, {"rest": '<Qual id="1"><text>a</text></Qual>'}),
        (
            {"rest": '<Qual id="1"><param value="1"/><text>a</text></Qual>'},
            {"rest": '<Qual id="1"><param value="2"/><text>a</text></Qual>'},
        ),
        ({}, {"vehicle": '<BaseVehicle id="5912"/>'}),
        ({}, {"part": "<Part>BRK-2</Part>"}),
    ],
)
def test_applications_that_differ_have_keys_that_differ(first, second):
    assert one(**first).key != one(**second).key
    assert one(**first).key == one(**first, id="99").key


def test_the_name_beside_an_id_does_not_change_what_an_application_is():
    plain = one('<Years from="2004" to="2008"/><Make id="54"/>', '<EngineBase id="1"/>')
    named = one('<Years from="2004" to="2008"/><Make id="54">Ford</Make>', '<EngineBase id="1">V6</EngineBase>')
    assert plain.key == named.key


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"vehicle": ""}, "it names no vehicle"),
        ({"vehicle": '<Years from="2004" to="2008"/>'}, "it names no vehicle"),
        ({"vehicle": '<Make id="54"/>'}, "it names no vehicle"),
        ({"vehicle": '<Years from="2008" to="2004"/><Make id="54"/>'}, "Years end in 2004, before they begin in 2008"),
        (
            {"vehicle": '<Years from="1800" to="2004"/><Make id="54"/>'},
            "Years from '1800' is no whole number from 1896 to 2200",
        ),
        ({"vehicle": '<Years from="2004"/><Make id="54"/>'}, "Years to '' is no whole number"),
        ({"vehicle": '<BaseVehicle id="x"/>'}, "the id 'x' of <BaseVehicle> is no whole number"),
        ({"vehicle": "<BaseVehicle/>"}, "<BaseVehicle> has neither an id nor a name"),
        ({"rest": '<SubModel id="1"/><SubModel id="2"/>'}, "<SubModel> is there twice"),
        ({"rest": "<Qual><text>a</text></Qual>"}, "the id '' of <Qual> is no whole number"),
        ({"rest": f"<Note>{'x' * 2_001}</Note>"}, "Note is longer than 2,000 characters"),
        ({"rest": "<Qty>2</Qty>"}, "<Qty> is there twice"),
        ({"part": ""}, "<Part> is missing"),
        ({"part": "<Part> </Part>"}, "Part is missing"),
        ({"part": f"<Part>{'x' * 65}</Part>"}, "Part is longer than 64 characters"),
        ({"part": '<Part BrandAAIAID="TOOLONG">A</Part>'}, "BrandAAIAID is longer than 4"),
        ({"id": "x"}, "the App's id 'x' is no whole number"),
        ({"action": "X"}, "the action 'X' is neither A nor D"),
    ],
)
def test_an_application_that_cannot_be_taken_says_why_and_leaves_the_others(given, fault):
    content = made.aces(made.app(**given), made.app(id="2"))
    refused, taken = aces.read(io.BytesIO(content)).records
    assert fault in refused.fault
    assert refused.place.startswith("line 3, App ")
    assert (taken.fault, taken.place) == ("", "line 4, App 2")


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "AR", "1e3", "9" * 30, "", "²"])
def test_a_quantity_that_is_none_is_refused_by_name(quantity):
    content = made.aces(made.app().replace("<Qty>1<", f"<Qty>{quantity}<"))
    [record] = aces.read(io.BytesIO(content)).records
    assert record.fault.startswith(f"Qty {quantity[:40]!r} is no whole number from 1 to 1000")


def test_what_is_cleaned_is_told():
    record = one(rest="<Note>left \n  side\x7f</Note>")
    assert (record.values["qualifiers"], record.notes) == (
        [{"text": "left side"}],
        ("Note: control characters were left out",),
    )
    content = made.aces(made.app().replace("<Qty>1<", "<Qty> 2.0 <"))
    [record] = aces.read(io.BytesIO(content)).records
    assert (record.values["quantity"], record.notes) == (2, ("Qty: 2.0 was read as 2",))


def test_assets_are_counted_and_passed_over_and_are_no_applications():
    asset = '<Asset action="A" id="1"><BaseVehicle id="1"/><AssetName>a</AssetName></Asset>'
    files_ = "<DigitalAsset><DigitalFileInformation/><DigitalFileInformation/></DigitalAsset>"
    book = aces.read(io.BytesIO(made.aces(made.app(), asset, files_, count=1)))
    assert book.skipped == {"Asset": 1, "DigitalFileInformation": 2}
    assert len(list(book.records)) == 1


def test_numbers_are_named_by_the_table_of_the_caller_a_batch_at_a_time():
    asked = []

    def names(table, ids):
        asked.append((table, sorted(ids)))
        return {
            "BaseVehicle": {"5911": {"make": "Audi", "model": "A4", "yearFrom": 2004, "yearTo": 2004}},
            "Position": {"22": {"position": "Front"}},
        }.get(table, {})

    apps = [made.app(rest='<Position id="22">VORN</Position>'), made.app('<BaseVehicle id="1"/>', id="2")]
    known, unknown = aces.read(io.BytesIO(made.aces(*apps)), names=names).records
    assert asked == [("BaseVehicle", ["1", "5911"]), ("PartType", ["1896"]), ("Position", ["22"])]
    assert (known.values["make"], known.values["yearTo"], known.values["position"]) == ("Audi", 2004, "Front")
    assert "make" not in unknown.values
    assert unknown.values["baseVehicleId"] == "1"


def test_names_may_stand_in_the_namespace_of_the_association_whatever_the_prefix():
    plain = made.aces(made.app()).decode()
    prefixed = plain.replace("</", "</p:").replace("<", "<p:").replace("<p:/p:", "</p:")
    prefixed = prefixed.replace("<p:ACES ", '<p:ACES xmlns:p="http://www.autocare.org" ')
    [record] = aces.read(io.BytesIO(prefixed.encode())).records
    assert record.values == one().values


def test_what_is_foreign_is_passed_over():
    root = 'ACES xmlns:x="urn:x" x:version="9"'
    content = made.aces(made.app(rest='<x:Note id="1">no</x:Note>'), "<x:App/>", root=root, count=1)
    [record] = aces.read(io.BytesIO(content)).records
    assert record.values == one().values


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encodings_senders_use_are_read(encoding):
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>' + made.aces(made.app(rest="<Note>Größe</Note>")).decode()
    [record] = aces.read(io.BytesIO(text.encode(encoding))).records
    assert record.values["qualifiers"] == [{"text": "Größe"}]


def test_a_packed_file_is_told_by_its_first_bytes(tmp_path):
    content = SAMPLE.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("catalog/a.xml", content)
        archive.writestr("__MACOSX/catalog/._a.xml", b"x")
    expected = list(aces.read(SAMPLE).records)
    for file in (gzip.compress(content), packed.getvalue()):
        assert list(aces.read(made.write(tmp_path / "a.xml", file)).records) == expected


def test_a_file_that_changes_between_the_walks_is_refused(tmp_path):
    path = made.write(tmp_path / "a.xml", made.aces(made.app()))
    book = aces.read(path)
    made.write(path, made.aces(made.app(), made.app(id="2")))
    with pytest.raises(files.Unreadable, match="changed while it was read"):
        list(book.records)


HOLDING = """
import sys
from pathlib import Path
from catalog import aces, autocare

def held_at_most():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])

before = held_at_most()
book = aces.read(Path(sys.argv[1]), names=lambda table, ids: {})
held = [record for record, number in zip(book.records, range(10_000))] if sys.argv[2] == "some together" else []
count = len(held) or sum(1 for record in book.records if not record.fault)
print(count, held_at_most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="says nowhere how much memory a process held")
def test_memory_stays_bounded_however_long_the_file_is(tmp_path):
    """Twenty megabytes are ample for a chunk and a batch of records; two thirds of the records held are more."""
    path = made.write(tmp_path / "large.xml", made.large_aces(5_000_000))
    counts, kilobytes = {}, {}
    for how in ("one by one", "some together"):
        run = [sys.executable, "-c", HOLDING, str(path), how]
        counts[how], kilobytes[how] = map(int, subprocess.check_output(run, cwd=ROOT, text=True).split())
    assert counts["one by one"] > 10_000
    assert counts["some together"] == 10_000
    assert kilobytes["one by one"] < 20_000 < kilobytes["some together"]


def test_ids_need_no_order_and_one_there_twice_is_found_however_far_apart(monkeypatch):
    monkeypatch.setattr(autocare, "RUN", 8)
    apps = [made.app(id=str(number)) for number in range(100, 0, -1)]
    assert aces.read(io.BytesIO(made.aces(*apps))).count == 100
    with pytest.raises(files.Unreadable, match=r"Line 103: this App has the id of the App in line 13\."):
        aces.read(io.BytesIO(made.aces(*apps, made.app(id="90"))))
