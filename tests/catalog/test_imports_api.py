"""/imports: partners plan, start and take back; staff do the same in the admin."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from catalog import tasks
from catalog.models import CatalogImport, Variant
from catalog.operations import plan_work, plans, products
from tests import make
from tests.conftest import api_of

ITEMS = [{"productId": "SAUCE", "name": "Hot sauce"}, {"productId": "NEW", "name": "New"}, {"productId": "BAD"}]


@pytest.fixture
def sauce(supplier):
    return make.make_variant(sku="SAUCE", name="Sauce", suppliers=[supplier])


@pytest.fixture
def client_of_supplier(supplier):
    return api_of(supplier)


def sent(client, items=ITEMS, **more):
    return client.post("/imports", {"kind": "catalog", "items": items} | more)


def test_an_import_is_planned_started_applied_and_taken_back(client_of_supplier, sauce):
    answer = sent(client_of_supplier)
    body = answer.json()
    assert (answer.status_code, body["status"], body["state"]) == (201, "created", "planned")
    assert (body["new"], body["changed"], body["refused"]) == (1, 1, 1)
    assert body["rejects"][0]["row"] == 3
    assert body["rejects"][0]["reasons"] == [{"field": "name", "detail": "is missing"}]
    assert Variant.objects.count() == 1
    path = answer["Location"].removeprefix("/api/v1")
    started = client_of_supplier.post(f"{path}/start", {"planHash": body["planHash"]})
    assert (started.status_code, started.json()["status"]) == (202, "running")
    assert tasks.work_on_imports() == 1
    assert client_of_supplier.get(path).json()["status"] == "applied"
    assert dict(Variant.objects.values_list("sku", "name")) == {"SAUCE": "Hot sauce", "NEW": "New"}
    assert client_of_supplier.post(f"{path}/undo", {}).json()["status"] == "undone"
    assert dict(Variant.objects.values_list("sku", "name")) == {"SAUCE": "Sauce"}
    rows = client_of_supplier.get(f"{path}/rows?outcome=changed").json()["items"]
    assert rows[0]["changes"] == [{"field": "name", "before": "Sauce", "after": "Hot sauce"}]


def test_what_moved_since_is_not_overwritten(client_of_supplier, sauce):
    path = f"/imports/{sent(client_of_supplier).json()['importId']}"
    products.revise(variant=sauce, fields={"brand": "Ice"}, actor=make.TESTER)
    client_of_supplier.post(f"{path}/start", {})
    tasks.work_on_imports()
    body = client_of_supplier.get(path).json()
    assert (body["status"], body["state"]) == ("failed", "outdated")
    assert "SAUCE changed since" in body["reason"]
    assert Variant.objects.get().name == "Sauce"


def test_nothing_of_a_product_that_is_not_theirs_is_guessed_by_planning(sauce):
    """Right or wrong, a guess is answered the same; its own supplier sees that nothing would change."""
    make.make_variant(
        sku="ROTOR", name="Front rotor", warranty_months=24, suppliers=[sauce.supplier_items.get().supplier]
    )
    guesses = [
        {"productId": "ROTOR", "name": "Front rotor"},
        {"productId": "ROTOR", "name": "Rear rotor"},
        {"productId": "ROTOR", "warrantyMonths": 24},
        {"productId": "ROTOR", "attributes": {"position": "front"}},
    ]
    stranger = api_of(make.make_partner(code="SUP-9", kind="supplier"))
    told = [sent(stranger, [guess]).json() for guess in guesses]
    assert {(body["refused"], body["unchanged"]) for body in told} == {(1, 0)}
    assert len({str(body["rejects"][0]["reasons"]) for body in told}) == 1
    assert sent(api_of(sauce.supplier_items.get().supplier), guesses[:1]).json()["unchanged"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "stock", "items": []}, 422, "invalid_input"),
        ({"kind": "prices", "items": []}, 422, "invalid_input"),
        ({"kind": "catalog"}, 422, "invalid_input"),
        ({"kind": "catalog", "items": [{}] * 1001}, 422, "invalid_input"),
        ({"kind": "catalog", "file": "x"}, 422, "invalid_input"),
    ],
)
def test_what_cannot_be_taken_in_is_refused(client_of_supplier, body, status, code):
    answer = client_of_supplier.post("/imports", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert CatalogImport.objects.count() == 0


def test_another_plan_than_was_seen_is_not_started(client_of_supplier, sauce):
    path = f"/imports/{sent(client_of_supplier).json()['importId']}"
    answer = client_of_supplier.post(f"{path}/start", {"planHash": "another"})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_differs")
    assert CatalogImport.objects.get().state == "planned"


def test_who_may_not_write_products_may_not_by_the_thousand(supplier):
    client = api_of(supplier, "imports:write imports:read catalog:read")
    answer = sent(client)
    assert (answer.status_code, answer.json()["requiredScope"]) == (403, "catalog:write")
    assert CatalogImport.objects.count() == 0


def test_a_file_is_planned_in_a_moment_whatever_it_is_written_in(client_of_supplier, sauce):
    text = "productId;name\r\nSAUCE;Soßé\r\nNEW;“New”\r\n".encode("cp1252")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\ncatalog\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="spring.csv"\r\n\r\n' + text + b"\r\n--b--\r\n"
    )
    answer = client_of_supplier.client.generic(
        "POST", "/api/v1/imports", body, content_type="multipart/form-data; boundary=b",
        headers={"Authorization": f"Bearer {client_of_supplier.token}", "Idempotency-Key": "one"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["state"]) == (201, "planning"), answer.content
    tasks.work_on_imports()
    plan = CatalogImport.objects.get()
    assert (plan.state, plan.new_count, plan.changed_count, plan.file_content) == ("planned", 1, 1, None)
    assert "Windows-1252" in plan.notes[0]
    assert plan.rows.get(sku="SAUCE").after == {"name": "Soßé"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"productId,name\n", "There are no rows"),
        ("a.xlsx", b"this is none", "no workbook"),
        ("a.csv", "productId,name\nSAUCE,Ü\n".encode("utf-16"), ""),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_says_why(sauce, name, content, reason):
    plan = plan_work.open_file(name=name, content=content, title="", actor=make.TESTER, origin="file")
    tasks.work_on_imports()
    plan.refresh_from_db()
    assert reason in plan.reason
    assert plan.state == ("refused" if reason else "planned")


def test_the_command_plans_applies_and_takes_back(sauce, tmp_path, capsys):
    path = tmp_path / "spring.csv"
    path.write_text("productId,name\nSAUCE,Hot sauce\nNEW,New\n")
    call_command("load_catalog", str(path), plan=True)
    plan = CatalogImport.objects.get()
    assert f"{plan.number} is planned: new 1, changed 1, unchanged 0, refused 0" in capsys.readouterr().out
    assert Variant.objects.count() == 1
    call_command("load_catalog", apply=plan.number)
    assert Variant.objects.count() == 2
    call_command("load_catalog", undo=plan.number)
    assert dict(Variant.objects.values_list("sku", "name")) == {"SAUCE": "Sauce"}


def test_staff_upload_look_apply_and_undo(client, staff, sauce):
    client.force_login(staff)
    file = SimpleUploadedFile("spring.csv", b"productId,name,status\nSAUCE,Hot sauce,discontinued\nBAD,,\n")
    page = client.post(reverse("admin:catalog_catalogimport_upload"), {"file": file, "title": "Spring"})
    plan = CatalogImport.objects.get()
    shown = reverse("admin:catalog_catalogimport_change", args=[plan.pk])
    assert page["Location"] == shown
    assert "waits for a worker" in client.get(shown).text
    make.make_level(variant=sauce, warehouse=make.make_warehouse(), on_hand=40)
    tasks.work_on_imports()
    text = client.get(f"{shown}?rows=changed").text
    assert all(words in text for words in ("Hot sauce", "<del>Sauce</del>", "40 on hand", "Apply")), text
    assert "is missing" in client.get(f"{shown}?rows=refused").text
    assert "Spring" in client.get(reverse("admin:catalog_catalogimport_changelist")).text
    plans.apply(plan=plan, actor=make.TESTER)
    assert "Undo" in client.get(shown).text
    plans.undo(plan=plan, actor=make.TESTER)
    assert "As it was" in client.get(f"{shown}?rows=changed").text
