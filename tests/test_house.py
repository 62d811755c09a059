"""The guard of the plan: floors, rooms, doors and habits of the house, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from partners.api.doors import Door

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ["partners", "catalog", "stock", "orders", "inventory_site"]
# Inside a floor, from the ground: pure modules and models, reads, writes, doors.
ROOMS = {"models": 0, "queries": 1, "operations": 2, "tasks": 3, "edi": 3, "api": 3, "admin": 3, "management": 3}


def sources(*floors: str) -> list[Path]:
    files = [file for floor in floors for file in (ROOT / floor).rglob("*.py")]
    return [file for file in files if "migrations" not in file.parts]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: list[str]) -> int | None:
    return ROOMS.get(module[1]) if len(module) > 1 else None


@pytest.mark.parametrize("floor", FLOORS)
def test_code_calls_down_and_never_up(floor):
    above = FLOORS[FLOORS.index(floor) + 1 :]
    upward = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources(floor)
        for name in imports(file)
        if name.split(".")[0] in above
    ]
    assert upward == []


@pytest.mark.parametrize("floor", FLOORS[:-1])
def test_inside_a_floor_models_know_no_operations_and_operations_know_no_doors(floor):
    wrong = []
    for file in sources(floor):
        here = room_of([floor, file.relative_to(ROOT / floor).parts[0].removesuffix(".py")])
        for name in imports(file):
            parts = name.split(".")
            there = room_of(parts) if parts[0] == floor else None
            if here is not None and there is not None and there > here:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def operations() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for floor in FLOORS[:-1]:
        for file in (ROOT / floor / "operations").glob("*.py"):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    yield file, node


def test_operations_take_keywords_only():
    takes_positions = [
        f"{file.relative_to(ROOT)}: {function.name}"
        for file, function in operations()
        if len(function.args.args) > 1 or function.args.vararg
    ]
    assert takes_positions == []


def test_every_operation_says_what_it_means():
    atomic = [
        (file, function)
        for file, function in operations()
        if any("atomic" in ast.unparse(decorator) for decorator in function.decorator_list)
    ]
    assert len(atomic) > 10
    silent = [
        f"{file.relative_to(ROOT)}: {function.name}" for file, function in atomic if not ast.get_docstring(function)
    ]
    assert silent == []


def test_only_the_ledger_writes_levels_and_movements():
    writes = ("Level.objects.create", "Level.objects.filter", "Movement.objects.create", "UPDATE stock_level",
              "INSERT INTO stock_movement", "INSERT INTO stock_level", "Movement.objects.bulk_create")  # fmt: skip
    # What is made up for measuring goes only where there is no movement yet.
    allowed = {ROOT / "stock" / "ledger.py", ROOT / "stock" / "made_up.py", ROOT / "inventory_site" / "bench.py"}
    found = [
        f"{file.relative_to(ROOT)}: {write}"
        for file in sources(*FLOORS)
        if file not in allowed
        for write in writes
        if write in file.read_text()
        and (".filter" not in write or ").update(" in file.read_text().split(write)[1][:200])
    ]
    assert found == []


def test_no_signals_and_no_messages_sent_inside_operations():
    listening = [str(file) for file in sources(*FLOORS) if "@receiver" in file.read_text()]
    sending = [
        f"{file.relative_to(ROOT)}"
        for floor in FLOORS[:-1]
        for file in (ROOT / floor / "operations").glob("*.py")
        if ".delay(" in file.read_text() or ".apply_async(" in file.read_text()
    ]
    assert (listening, sending) == ([], [])


def views(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, type]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from views(entry, route)
        elif isinstance(entry, URLPattern) and hasattr(entry.callback, "view_class"):
            yield route, entry.callback.view_class


def test_every_method_of_every_api_view_names_its_scope():
    doors = [(route, view) for route, view in views() if route.startswith("api/v1/")]
    assert len(doors) > 15
    open_doors = [
        f"{method} {route}"
        for route, view in doors
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(view, method) and method in getattr(view, "http_method_names", [])
        if not issubclass(view, Door) or method.upper() not in view.required_scopes
    ]
    assert open_doors == []


def test_every_migration_can_be_taken_back():
    one_way = [
        str(file.relative_to(ROOT))
        for floor in FLOORS[:-1]
        for file in (ROOT / floor / "migrations").glob("0*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"migrations.RunSQL", "migrations.RunPython"}
        if len(node.args) + len(node.keywords) < 2
    ]
    assert one_way == []
