"""Finds the attacks: every module of this package that has `EXPECTED` and `build`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

NOT_ATTACKS: Final = {"__init__", "__main__", "catalogue"}


def attacks() -> "dict[str, ModuleType]":
    """Name -> module with `EXPECTED: str` and `build() -> bytes`."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_ATTACKS)
    return {name: import_module(f"attacks.{name}") for name in names}
