"""Canonical JSON: the laws, and every boundary of its domain."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact.format import canonical
from artifact.format.errors import DuplicateKey, ManifestNotCanonical

TEXT = st.text().filter(lambda text: canonical.FORBIDDEN_TEXT.search(text) is None)
REALS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda x: (1e-4 <= abs(x) < 2**53) or (x == 0 and math.copysign(1, x) > 0)
)
LEAVES = st.one_of(st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), REALS, TEXT)
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXT, inner)), max_leaves=20
).filter(lambda value: depth(value) <= 8)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((depth(v) for v in inner), default=0) if isinstance(value, dict | list) else 0


@given(VALUES)
def test_loads_of_dumps_is_the_value(value: Any) -> None:
    assert canonical.loads(canonical.dumps(value)) == value


@given(VALUES)
def test_the_text_is_what_the_standard_library_reads_too(value: Any) -> None:
    assert json.loads(canonical.dumps(value)) == value


@given(VALUES)
def test_any_other_spelling_is_refused(value: Any) -> None:
    raw = canonical.dumps(value)
    for other in (raw + b" ", b" " + raw, json.dumps(value, indent=1).encode()):
        if other != raw:
            with pytest.raises(ManifestNotCanonical):
                canonical.loads(other)


@given(st.binary(max_size=64))
def test_any_bytes_give_a_value_or_an_artifact_error(raw: bytes) -> None:
    try:
        value = canonical.loads(raw)
    except (ManifestNotCanonical, DuplicateKey):
        return
    assert canonical.dumps(value) == raw


def test_keys_sort_by_utf16_code_units_as_rfc_8785_says() -> None:
    assert canonical.dumps({"\U0001f600": 1, "\ufb33": 2}) == '{"\U0001f600":1,"\ufb33":2}'.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (1.0, b"1"),
        (-2.5, b"-2.5"),
        (1e-4, b"0.0001"),
        (2.0**51 + 0.5, b"2251799813685248.5"),
        ("\u00e9", b'"\xc3\xa9"'),
    ],
)
def test_numbers_and_text_have_one_form(value: object, text: bytes) -> None:
    assert canonical.dumps(value) == text


@pytest.mark.parametrize(
    "value", [-0.0, 9.9e-5, 1e16, math.nan, math.inf, 2**53, -(2**53), None, b"x", "a\n", "\ud800"]
)
def test_values_outside_the_domain_have_no_form(value: object) -> None:
    with pytest.raises(ManifestNotCanonical):
        canonical.dumps({"key": [value]})


def test_the_path_of_a_fault_is_named() -> None:
    with pytest.raises(ManifestNotCanonical, match=r"manifest\.'a'\[1\]: expected 0 or a magnitude"):
        canonical.dumps({"a": [1, 1e300]})


def test_a_hostile_key_is_shown_escaped() -> None:
    with pytest.raises(ManifestNotCanonical) as caught:
        canonical.dumps({"\u202e" + "k" * 500: 1})
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 300


def test_nesting_is_counted_outside_strings_only() -> None:
    assert canonical.loads(b'"[[[[[[[[[[[["') == "[" * 12
    assert canonical.loads(b"[[[[[[[[1]]]]]]]]")
    with pytest.raises(ManifestNotCanonical, match="offset 8: expected nesting of at most 8"):
        canonical.loads(b"[[[[[[[[[1]]]]]]]]]")
    with pytest.raises(ManifestNotCanonical, match="nesting"):
        canonical.dumps([[[[[[[[[1]]]]]]]]])


def test_the_first_differing_offset_is_named() -> None:
    with pytest.raises(ManifestNotCanonical, match="offset 5: expected the canonical form"):
        canonical.loads(b'{"a":1.0}'.replace(b"1.0", b" 1"))
