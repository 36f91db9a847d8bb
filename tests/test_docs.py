"""The pages keep up with the code: every code and cap is named, and what can be run from a page is run."""

import re
from pathlib import Path

import numpy as np
import pytest

import artifact
from artifact.format import limits
from artifact.format.errors import ERRORS
from tests.vectors import make

ROOT = Path(__file__).parents[1]
FORMAT = (ROOT / "docs" / "format.md").read_text()
CAPS = {name: value for name, value in vars(limits).items() if name.isupper()}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_code_stands_in_the_format_page(error: type[artifact.ArtifactError]) -> None:
    assert f"`{error.code}`" in FORMAT


@pytest.mark.parametrize("name", CAPS)
def test_every_cap_stands_in_the_format_page(name: str) -> None:
    assert re.search(rf"(?<![\d,]){CAPS[name]:,}(?![\d,]*\d)", FORMAT), f"{name} = {CAPS[name]:,}"


def test_every_rule_that_code_cites_exists_and_none_is_twice() -> None:
    defined = re.findall(r"^- \*\*(F-\d+)\*\*", FORMAT, re.MULTILINE)
    assert len(defined) == len(set(defined))
    cited = {
        rule
        for folder in ("artifact", "verifier", "trainer", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for rule in re.findall(r"\bF-\d+\b", path.read_text())
    }
    assert sorted(cited - set(defined)) == []


def test_the_reader_on_the_format_page_reads_every_accepted_vector() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", FORMAT, re.DOTALL)
    assert len([line for line in source.splitlines() if line.strip()]) <= 23
    names: dict[str, object] = {}
    exec(compile(source, "docs/format.md", "exec"), names)
    paths = sorted(make.FOLDER.glob("ok-*.vector"))
    for path in paths:
        data = make.parse(path.read_bytes())[1]
        found = artifact.read(data)
        manifest, values = names["read"](data)  # type: ignore[operator]
        assert manifest == found.manifest.model_dump(mode="json", exclude_none=True)
        ours = found.parameters()
        assert set(values) == set(ours)
        for name, (numbers, shape) in values.items():
            assert np.array_equal(np.array(numbers, np.float64).astype(np.float32).reshape(shape), ours[name])
    assert paths
