"""Migrations that change much at once."""

from __future__ import annotations

from django.db import models
from django.db.migrations import AddConstraint, AddField, CreateModel, RunPython, RunSQL
from django.db.migrations.state import ProjectState

from partners.together import Together, together


def parts():
    """A table, a column of it, a rule over the column, and two of a kind that nothing hangs on."""
    shelf = CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True))])
    column = AddField("shelf", "rows", models.IntegerField(default=1))
    rule = AddConstraint("shelf", models.CheckConstraint(condition=models.Q(rows__gte=1), name="shelf_has_rows"))
    return shelf, column, rule, RunSQL("SELECT 1", "SELECT 1"), RunPython(RunPython.noop, RunPython.noop)


def runs(*operations):
    return [one.operations if isinstance(one, Together) else [one] for one in together(operations)]


def test_operations_stand_together_unless_one_needs_the_state_between():
    shelf, column, rule, sql, code = parts()
    assert runs(sql, shelf, sql, shelf) == [[sql, shelf, sql, shelf]]
    assert runs(shelf, column) == [[shelf], [column]], "it would be created with the column"
    assert runs(column, rule) == [[column], [rule]], "backwards the rule goes while its column is there"
    assert runs(rule, column, shelf) == [[rule, column, shelf]]
    assert runs(column, code, column) == [[column], [code], [column]]


def test_the_state_after_them_all_is_the_same_as_one_after_the_other():
    shelf, column, rule, *_ = parts()
    plain, joined = ProjectState(), ProjectState()
    assert joined.apps.get_models() == []
    for operation in (shelf, column, rule):
        operation.state_forwards("stock", plain)
    for operation in together([shelf, rule, column]):
        operation.state_forwards("stock", joined)
    assert plain == joined
    assert [field.name for field in joined.apps.get_model("stock", "Shelf")._meta.fields] == ["id", "rows"]


def test_together_is_undone_only_where_each_of_them_is():
    _, column, _, sql, _ = parts()
    assert Together([column, sql]).reversible
    assert not Together([column, RunSQL("SELECT 1")]).reversible
