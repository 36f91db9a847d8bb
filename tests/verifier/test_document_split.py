from hypothesis import given
from hypothesis import strategies as st

from verifier.document_split import is_validation, split_position


def test_the_position_is_the_first_32_bits_of_the_digest() -> None:
    assert split_position("abc") == 0xBA7816BF / 2**32


@given(text=st.text(), low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_larger_share_keeps_every_document_of_a_smaller_one(text: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert 0 <= split_position(text) < 1
    assert is_validation(text, val_fraction=high) or not is_validation(text, val_fraction=low)


def test_about_the_share_asked_for_is_for_validation() -> None:
    chosen = sum(is_validation(f"document {number}", val_fraction=0.1) for number in range(5000))
    assert 430 < chosen < 570
