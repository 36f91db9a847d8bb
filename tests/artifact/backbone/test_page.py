"""docs/backbone.md keeps up with the code: its vectors, its table, its rules, its codes, and what can be run is run."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifact.backbone import BackboneError, Distribution, errors, reference
from artifact.backbone.distributions import MAX_EXPONENT
from tests.artifact.backbone.vectors import KNOWN_ANSWERS, VECTORS, Vector

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "backbone.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ERRORS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BackboneError)]
ROWS = {row[0]: row for row in (re.split(r" \| ", line.strip("| ")) for line in PAGE.splitlines()) if len(row) == 10}


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_vectors_of_the_page_are_those_of_the_suite(vector: Vector) -> None:
    assert [field.replace("`", "") for field in ROWS[str(vector.number)]] == [
        str(vector.number),
        str(vector.seed),
        vector.name,
        vector.distribution,
        f"{vector.shape[0]}x{vector.shape[1]}",
        str(vector.exponent),
        " ".join(f"{word:08x}" for word in vector.stream),
        ", ".join(map(str, vector.first_codes)),
        vector.float32_sha256,
        vector.codes_sha256,
    ]


def test_the_page_has_no_vector_that_is_not_tested() -> None:
    assert {number for number in ROWS if number.isdigit()} == {str(vector.number) for vector in VECTORS}


def test_the_known_answers_stand_in_the_page() -> None:
    for answer in KNOWN_ANSWERS:
        row = " | ".join(f"`{' '.join(f'{word:08x}' for word in words)}`" for words in answer)
        assert f"| {row} |" in PAGE


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    (rule,) = re.findall(r"^- \*\*B-8\*\*.*?^- \*\*B-9\*\*", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^ {6}([ \d]+)$", rule, re.MULTILINE)
    assert tuple(int(h) for row in rows for h in row.split()) == reference.H


def test_the_implementation_in_the_page_makes_the_vectors() -> None:
    (block,) = (block for block in BLOCKS if "def philox" in block)
    page: dict[str, Any] = {}
    exec(block, page)
    for counter, key, words in KNOWN_ANSWERS:
        assert page["philox"](counter, key) == words
    for vector in VECTORS:
        if vector.distribution in (Distribution.G8, Distribution.RAD):
            result = page[vector.distribution](vector.seed, vector.name, *vector.shape)
            assert sha256(np.array(result, "<i2").tobytes()).hexdigest() == vector.codes_sha256


def test_the_calls_in_the_page_run() -> None:
    namespace: dict[str, Any] = {}
    for block in BLOCKS:
        if "import" in block and "def philox" not in block:
            exec(block, namespace)
    assert namespace["exponent"] == 9


def test_every_rule_that_code_cites_exists_and_none_is_twice() -> None:
    defined = re.findall(r"^- \*\*(B-\d+)\*\*", PAGE, re.MULTILINE)
    assert defined == [f"B-{i + 1}" for i in range(len(defined))]
    sources = [*(ROOT / "artifact").rglob("*.py"), *(ROOT / "tests" / "artifact" / "backbone").rglob("*.py")]
    cited = {rule for path in sources for rule in re.findall(r"\bB-\d+\b", path.read_text())}
    assert sorted(cited - set(defined)) == []


@pytest.mark.parametrize("error", [error for error in ERRORS if error is not BackboneError], ids=lambda e: e.code)
def test_every_error_stands_in_the_page(error: type[BackboneError]) -> None:
    assert f"| `{error.code}` | {error.__name__} |" in PAGE


def test_every_distribution_and_the_bound_of_the_exponent_stand_in_the_page() -> None:
    for distribution in Distribution:
        assert f"`{re.sub(r'tern[1-7]', 'ternM', distribution)}`" in PAGE
    assert f"exponent is outside 0 to {MAX_EXPONENT}" in PAGE
