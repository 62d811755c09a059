"""Migrations that change much at once, without working out the whole project's models after each step.

Django renders every model related to the one an operation changed, once for each operation; here nearly every model
is related to nearly every other, so that a hundred operations take seconds. Operations that need no state between
them are told of one before and one after them all, which is rendered once. What the database is told stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddConstraint, AddIndex, CreateModel, RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class Together(Operation):
    """Several operations between two states, none of which needs to see the others' half-way work."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations

    @property
    def reversible(self) -> bool:  # type: ignore[override]
        return all(operation.reversible for operation in self.operations)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.__dict__.pop("apps", None)  # rendered anew when next asked for
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for operation in self.operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for operation in reversed(self.operations):
            operation.database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return "; ".join(operation.describe() for operation in self.operations)


def together(operations: Iterable[Operation]) -> list[Operation]:
    """The same operations in the same order, as many of them together as may be; both ways.

    A model is created as it is afterwards, so what changes it later in its migration stands apart from its creation.
    A constraint or index is taken back from the model as it was before, so it stands apart from the fields before it.
    And Python that is run sees the models of its own moment: it stands alone.
    """
    runs: list[list[Operation]] = []
    reached = 0
    for operation in operations:
        is_code = isinstance(operation, RunPython) or (bool(runs) and isinstance(runs[-1][0], RunPython))
        stage = reached if isinstance(operation, RunSQL) else _stage(operation)
        if not runs or is_code or stage < reached:
            runs.append([])
        runs[-1].append(operation)
        reached = stage
    return [run[0] if len(run) == 1 else Together(run) for run in runs]


def _stage(operation: Operation) -> int:
    """Nothing of a later stage may stand before it among operations that run together."""
    if isinstance(operation, AddConstraint | AddIndex):
        return 0
    return 2 if isinstance(operation, CreateModel) else 1
