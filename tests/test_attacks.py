"""Every attack is refused with its own code, quickly and in little memory."""

import re
import time
import tracemalloc
from pathlib import Path
from types import ModuleType

import pytest

import artifact
from attacks.catalogue import attacks

MEMORY_BYTES = 6 * 1024 * 1024
SECONDS = 1.0


@pytest.mark.parametrize(("name", "attack"), attacks().items(), ids=attacks())
def test_attack(name: str, attack: ModuleType) -> None:
    data = attack.build()
    start = time.process_time()
    with pytest.raises(artifact.ArtifactError) as caught:
        artifact.read(data)
    seconds = time.process_time() - start
    assert caught.value.code == attack.EXPECTED
    assert seconds < SECONDS

    tracemalloc.start()
    with pytest.raises(artifact.ArtifactError):
        artifact.read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_BYTES


def test_the_table_lists_every_attack_with_its_code() -> None:
    text = (Path(__file__).parents[1] / "attacks" / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| `([a-z-]+)` \|$", text, re.MULTILINE))
    assert rows == {name: attack.EXPECTED for name, attack in attacks().items()}
