"""The vector kit: every file gives its own verdict, and the kit covers every rule and every word."""

from collections import Counter
from enum import StrEnum
from pathlib import Path

import pytest

import artifact
from artifact.backbone import Distribution
from artifact.format.architecture import Adapter, Base, Gain, Mlp, Residual, Role
from artifact.format.errors import ERRORS
from artifact.format.manifest import EvalMode, FloatType, Group, ScoreType
from tests.vectors import make

VECTORS = sorted(make.FOLDER.glob("*.vector"))
ACCEPTED = [path for path in VECTORS if path.name.startswith("ok-")]


def load(path: Path) -> tuple[dict[str, str], bytes]:
    return make.parse(path.read_bytes())


def verdict(fields: dict[str, str], data: bytes) -> str:
    try:
        artifact.read(data, max_bytes=int(fields["max_bytes"]))
    except artifact.ArtifactError as error:
        return error.code
    return make.ACCEPTED


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    fields, data = load(path)
    assert verdict(fields, data) == fields["expect"]


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_an_accepted_vector_is_written_back_byte_for_byte(path: Path) -> None:
    _, data = load(path)
    assert artifact.write(artifact.read(data)) == data


def test_the_generator_still_makes_every_scenario_with_its_verdict() -> None:
    names = set()
    for scenario in make.scenarios():
        fields, data = make.parse(scenario.to_bytes())
        assert (scenario.name, verdict(fields, data)) == (scenario.name, scenario.expect)
        assert scenario.name not in names, "two scenarios of one name"
        names.add(scenario.name)
    assert names == {path.stem for path in VECTORS}, "run `make golden`"


def test_every_code_has_a_failing_vector() -> None:
    expected = Counter(load(path)[0]["expect"] for path in VECTORS)
    assert {error.code for error in ERRORS} | {make.ACCEPTED} == set(expected)


@pytest.mark.parametrize(
    "words", [Mlp, Residual, Role, Base, Gain, Adapter, Distribution, FloatType, Group, EvalMode, ScoreType]
)
def test_the_accepted_vectors_use_every_word(words: type[StrEnum]) -> None:
    text = "".join(artifact.read(load(path)[1]).manifest.to_bytes().decode() for path in ACCEPTED)
    assert [word.value for word in words if f'"{word.value}"' not in text] == []
