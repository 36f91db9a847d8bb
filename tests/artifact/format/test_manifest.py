"""What a manifest may say: every field has one type, and whatever is accepted is written back byte for byte."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from artifact.format import canonical, errors, manifest
from tests.forge import LEARNED, Json, good_claims, good_manifest, good_training, plain_json

PAYLOAD = {"codec": "zlib", "inflated_bytes": 1000, "sha256": "ab" * 32}
OTHER_VALUES: tuple[Any, ...] = (True, False, 0, 1, 8, 0.5, "1", [])

Path = tuple[str | int, ...]


def full_manifest() -> Json:
    """Every field of the format once."""
    made = good_manifest() | {"training": good_training(), "claims": good_claims(), "author": "a", "license": "l"}
    made["linears"]["overrides"] = [{"layers": [0], "roles": ["mlp.up"], "linear": dict(LEARNED)}]
    return made | {"payload": dict(PAYLOAD)}


def places(value: object, at: Path = ()) -> Iterator[Path]:
    """The path of every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in inner:
        yield (*at, step)
        yield from places(child, (*at, step))


def replaced(made: Json, at: Path, value: object) -> Json:
    """A copy of `made` with another value at one path."""
    copied = copy.deepcopy(made)
    parent: Any = copied
    for step in at[:-1]:
        parent = parent[step]
    parent[at[-1]] = value
    return copied


def test_a_manifest_that_is_accepted_is_written_back_byte_for_byte_whatever_stands_in_a_field() -> None:
    made, num_accepted, num_refused = full_manifest(), 0, 0
    for at in places(made):
        for value in OTHER_VALUES:
            raw = plain_json(replaced(made, at, value))
            try:
                declared = manifest.parse(raw)
            except errors.ArtifactError:
                num_refused += 1
                continue
            assert declared.to_bytes() == raw, at
            num_accepted += 1
    assert num_accepted > 50
    assert num_refused > 500


def test_a_version_of_true_is_no_version_of_1() -> None:
    raw = canonical.dumps(full_manifest() | {"version": True})
    with pytest.raises(errors.InvalidValue) as caught:
        manifest.parse(raw)
    assert caught.value.where == f"manifest, offset {raw.index(b'true}')}"


ODD_NAMES: tuple[Path, ...] = (
    ("seed",),
    ("backbone", "second_seed"),
    ("codes",),
    ("quantization", "float"),
    ("quantization", "control", "float"),
    ("quantization", "learned", "codes"),
)


@pytest.mark.parametrize("at", ODD_NAMES, ids=lambda at: ".".join(map(str, at)))
def test_an_unknown_field_is_named_in_full_even_if_it_is_called_a_seed_or_codes(at: Path) -> None:
    with pytest.raises(errors.UnknownField) as caught:
        manifest.parse(plain_json(replaced(full_manifest(), at, "7")))
    assert caught.value.where == ".".join(map(str, at))
