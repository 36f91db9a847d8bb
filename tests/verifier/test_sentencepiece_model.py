import contextlib
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.forge import CONTROL, USER_DEFINED, demo, field, piece
from verifier.data_errors import BadTokenizer
from verifier.sentencepiece_model import Piece, PieceType, parse_pieces, pieces_sha256

MODEL = piece("<s>", kind=CONTROL) + piece("▁a", -1.5) + piece("née", 2.0, USER_DEFINED) + field(2, b"trainer settings")


def test_pieces_are_read_with_the_bits_of_their_scores() -> None:
    assert parse_pieces(MODEL) == (
        Piece(text="<s>", score_bits=0, type=PieceType.CONTROL),
        Piece(text="▁a", score_bits=0xBFC00000, type=PieceType.NORMAL),
        Piece(text="née", score_bits=0x40000000, type=PieceType.USER_DEFINED),
    )


def test_absent_fields_have_the_defaults_of_the_schema() -> None:
    assert parse_pieces(field(1, b"")) == (Piece(text="", score_bits=0, type=PieceType.NORMAL),)


def test_the_digest_is_over_the_documented_bytes() -> None:
    hashed = b"seedgolf/pieces/1\0"
    hashed += bytes.fromhex("03000000") + b"<s>" + bytes.fromhex("00000000 03")
    hashed += bytes.fromhex("04000000") + "▁a".encode() + bytes.fromhex("0000c0bf 01")
    hashed += bytes.fromhex("04000000") + "née".encode() + bytes.fromhex("00000040 04")
    assert pieces_sha256(parse_pieces(MODEL)) == hashlib.sha256(hashed).hexdigest()


def test_settings_of_the_trainer_do_not_change_the_digest() -> None:
    other = MODEL + field(2, b"other settings") + field(99, 5)
    assert pieces_sha256(parse_pieces(other)) == pieces_sha256(parse_pieces(MODEL))


@pytest.mark.parametrize(
    "changed",
    [
        piece("<s>", kind=CONTROL) + piece("▁b", -1.5),
        piece("<s>", kind=CONTROL) + piece("▁a", -1.5000001),
        piece("<s>", kind=CONTROL) + piece("▁a", -1.5, USER_DEFINED),
        piece("▁a", -1.5) + piece("<s>", kind=CONTROL),
        piece("<s>", kind=CONTROL) + piece("▁a", -1.5) + piece(""),
    ],
    ids=["text", "score", "type", "order", "one more"],
)
def test_every_part_of_a_piece_is_in_the_digest(changed: bytes) -> None:
    good = piece("<s>", kind=CONTROL) + piece("▁a", -1.5)
    assert pieces_sha256(parse_pieces(changed)) != pieces_sha256(parse_pieces(good))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty", b""),
        ("no pieces", field(2, b"x")),
        ("cut", MODEL[:-1]),
        ("endless varint", b"\x80" * 11),
        ("piece as a number", field(1, 5)),
        ("text as a number", field(1, field(1, 5))),
        ("score of eight bytes", field(1, b"\x11" + bytes(8))),
        ("type as text", field(1, field(3, b"x"))),
        ("type outside the enum", field(1, field(3, 7))),
        ("group wire type", b"\x0b"),
        ("not UTF-8", field(1, field(1, b"\xff"))),
    ],
)
def test_other_bytes_are_no_tokenizer(name: str, data: bytes) -> None:
    with pytest.raises(BadTokenizer):
        parse_pieces(data)


@given(data=st.binary(max_size=200) | st.builds(lambda cut, tail: MODEL[:cut] + tail, st.integers(0, 60), st.binary()))
def test_any_bytes_give_pieces_or_a_bad_tokenizer(data: bytes) -> None:
    with contextlib.suppress(BadTokenizer):
        assert all(isinstance(found, Piece) for found in parse_pieces(data))


def test_the_library_reads_the_same_pieces() -> None:
    tokenizer, _ = demo()
    library = tokenizer.processor
    assert library.vocab_size() == len(tokenizer.pieces)
    for number, found in enumerate(tokenizer.pieces):
        assert library.id_to_piece(number) == found.text
        assert np.float32(library.get_score(number)).view(np.uint32) == found.score_bits
        assert library.is_control(number) == (found.type is PieceType.CONTROL)
        assert library.is_byte(number) == (found.type is PieceType.BYTE)
        assert library.is_unknown(number) == (found.type is PieceType.UNKNOWN)
