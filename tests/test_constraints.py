"""The pinned versions install on every Python that the project promises."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def test_constraints_pin_exact_versions() -> None:
    assert PINS
    assert all(re.fullmatch(r"==[\w.+]+", str(pin.specifier)) for pin in PINS)


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_pinned_version_takes_the_oldest_python_that_the_project_takes(pin: Requirement) -> None:
    """pymdown-extensions 13.1 wants 3.11.5; Debian 12, a plain server, has 3.11.2."""
    try:
        found = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError:
        pytest.skip("not installed here")
    assert Version(found.version).public == str(pin.specifier).removeprefix("==")
    takes = found.metadata["Requires-Python"] or ""
    assert SpecifierSet(takes).contains("3.11.0"), f"{pin} takes {takes}"
