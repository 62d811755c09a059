"""Which refusals a door can answer, read from the source: what its method reaches, and what that raises.

The reading follows names (functions, methods of `self`, classes) through the floors and takes every reference for
a call, so that it names rather one refusal too many than one too few; what it cannot see, a door names itself in
`refusals`. It runs once, when the document is made, and never while a request is answered.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from partners.api import catalogue, errors
from partners.problems import Problem


def of_door(door: type, method: str) -> set[type[Problem]]:
    """What the method of the door and all it calls may raise, besides what every door answers."""
    found: set[type[Problem]] = set(getattr(door, "refusals", {}).get(method, ()))
    seen: set[Any] = set()
    waiting: list[Any] = [_Method(door, method.lower())]
    while waiting:
        thing = waiting.pop()
        if thing in seen:
            continue
        seen.add(thing)
        for named in thing.reached() if isinstance(thing, _Method) else _reached(thing):
            if isinstance(named, type) and issubclass(named, Problem):
                found.add(named)
            else:
                waiting.append(named)
    return {kind for kind in found if kind not in (Problem, errors.Refused)}


class _Method:
    """A method as found on a class: what it says of `self` is looked up there, not where it was written."""

    def __init__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Method) and (self.owner, self.name) == (other.owner, other.name)

    def __hash__(self) -> int:
        return hash((self.owner, self.name))

    def reached(self) -> Iterator[Any]:
        for place in self.owner.__mro__:
            written = place.__dict__.get(self.name)
            written = getattr(written, "fget", None) or getattr(written, "__func__", None) or written
            if isinstance(written, FunctionType):
                if not _is_ours(written.__module__):
                    return
                for node in _names(_tree(inspect.unwrap(written))):
                    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in OWN:
                        yield _Method(self.owner, node.attr)
                yield from _reached(inspect.unwrap(written))
                return


def _reached(thing: Any) -> Iterator[Any]:
    """What a function or class of ours refers to."""
    if isinstance(thing, type):
        for name, member in thing.__dict__.items():
            if isinstance(member, FunctionType):
                yield _Method(thing, name)
        return
    thing = inspect.unwrap(thing)
    for node in _names(_tree(thing)):
        named = _resolve(node, sys.modules[thing.__module__])
        if (isinstance(named, FunctionType) and _is_ours(named.__module__)) or (
            isinstance(named, type) and _is_ours(named.__module__) and _is_followed(named)
        ):
            yield named


def _is_followed(kind: type) -> bool:
    """Refusals, and classes that do work: not models and serializers, whose methods are called by frameworks."""
    return issubclass(kind, Problem) or not any(base.__module__.split(".")[0] in FRAMEWORKS for base in kind.__mro__)


# How a method says "mine".
OWN = {"self", "cls", "type(self)", "super()"}
FRAMEWORKS = {"django", "rest_framework", "django_filters"}


def _resolve(node: ast.expr, module: ModuleType) -> Any:
    if isinstance(node, ast.Name):
        return getattr(module, node.id, None)
    if isinstance(node, ast.Attribute):
        owner = _resolve(node.value, module)
        if isinstance(owner, ModuleType) or (isinstance(owner, type) and issubclass(owner, Problem)):
            return getattr(owner, node.attr, None)
    return None


def _names(tree: ast.AST) -> Iterator[ast.Name | ast.Attribute]:
    """Every name that is read, but for those of `except`: what is caught is not answered."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ExceptHandler):
            for statement in child.body:
                yield from _names(statement)
            continue
        if isinstance(child, ast.Name | ast.Attribute) and isinstance(child.ctx, ast.Load):
            yield child
        yield from _names(child)


@cache
def _tree(function: FunctionType) -> ast.AST:
    """The body alone: decorators and annotations name types that are not called."""
    written = _module_tree(function.__module__).get((function.__code__.co_name, function.__code__.co_firstlineno))
    return ast.Module(body=written.body if written else [], type_ignores=[])


@cache
def _module_tree(name: str) -> dict[tuple[str, int], ast.FunctionDef]:
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {
        (node.name, min([node.lineno, *(row.lineno for row in node.decorator_list)])): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


@cache
def _is_ours(module: str) -> bool:
    return module.split(".")[0] in {name for name, _ in catalogue.floors()}
