"""Tables of a pydantic model's fields: type, default, and what its source says about each."""

import ast
import inspect
import re
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

COLUMNS = ("field", "type", "default", "meaning")
WORDS = {int: "integer", float: "real", str: "text", bool: "true or false", type(None): "nothing"}
ATTRIBUTE = re.compile(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def sections(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """`model` and every model below it, each once, with the path at which it first stands."""
    seen: set[type[BaseModel]] = set()
    waiting = [("", model)]
    while waiting:
        path, current = waiting.pop(0)
        if current not in seen:
            seen.add(current)
            yield path, current
            for name, field in current.model_fields.items():
                waiting += [(f"{path}.{name}".lstrip("."), inner) for inner in _models(field.annotation)]


def table(model: type[BaseModel], *, with_default: bool) -> str:
    """The fields as a Markdown table."""
    notes = _notes(model)
    columns = [name for name in COLUMNS if (name != "default" or with_default) and (name != "meaning" or notes)]
    rows = [columns, ["---"] * len(columns)]
    for name, field in model.model_fields.items():
        cells = [f"`{name}`", _type(field.annotation), _default(field.default), notes.get(name, "")]
        rows.append([cell for cell, column in zip(cells, COLUMNS, strict=True) if column in columns])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def first_paragraph(thing: Any) -> str:
    """What the docstring says first."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models(argument)]


def _type(annotation: Any) -> str:
    """A type as people read it; a model stands under its own heading."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{word.value}`" for word in annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is typing.Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_type(argument) for argument in arguments))
    return WORDS.get(annotation, "section")


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "–"
    if isinstance(value, BaseModel):
        return "see below"
    return "none" if value in {"", ()} else f"`{value}`"


def _notes(model: type[BaseModel]) -> dict[str, str]:
    """What the source says about fields: the docstring's `Attributes`, and the string under a field."""
    notes = {}
    for names, note in ATTRIBUTE.findall((inspect.getdoc(model) or "").partition("Attributes:")[2]):
        notes.update(dict.fromkeys(names.split(", "), " ".join(note.split())))
    (tree,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(tree, ast.ClassDef)
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(note))):
                notes[name] = " ".join(note.split())
            case _:
                pass
    return notes
