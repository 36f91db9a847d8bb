"""Streams: Random123's known answers, any offset of a 64-bit counter, signs, permutations, names and seeds."""

import numpy as np
import pytest

from artifact.backbone import InvalidNameError, InvalidSeedError, reference
from artifact.backbone.lookup import Lookup
from artifact.backbone.stream import CHUNK_BLOCKS, Stream, open_stream, permutation, short_streams, signs
from tests.artifact.backbone.engines import EVERY_LOOKUP, LOOKUPS
from tests.artifact.backbone.vectors import KNOWN_ANSWERS

IDENTITY = np.arange(256, dtype=np.uint8)
SIGNS = np.array([1, -1], np.int8)
STREAM = open_stream(2**64 - 1, "layers.0.mlp.up.weight", "w")
EXPECTED = reference.stream(2**64 - 1, "layers.0.mlp.up.weight", "w")
OFFSETS = [0, 1, CHUNK_BLOCKS - 3, 2**32 - 3, 5 * 2**32 - 1, 2**63 - 2, 2**64 - 80]
COUNTS = [1, 15, 16, 17, 127, 128, 129, 500]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_random123_known_answers_hold_for_the_reference(
    counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    assert reference.philox(*counter, *key) == words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
@EVERY_LOOKUP
def test_random123_known_answers_hold(
    lookup: Lookup, counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    out = np.zeros(16, np.uint8)
    stream = Stream(k0=key[0], k1=key[1], c2=counter[2], c3=counter[3])
    lookup(stream, IDENTITY, out, first_block=counter[1] << 32 | counter[0])
    assert tuple(out.view("<u4").tolist()) == words


@pytest.mark.parametrize("first_block", OFFSETS)
@EVERY_LOOKUP
def test_any_stretch_of_a_stream_is_that_of_the_reference(lookup: Lookup, first_block: int) -> None:
    for count in COUNTS:
        out = np.zeros(count, np.uint8)
        lookup(STREAM, IDENTITY, out, first_block=first_block)
        assert out.tolist() == [reference.byte(EXPECTED, 16 * first_block + i) for i in range(count)]
        bits = np.zeros(count, np.int8)
        lookup(STREAM, SIGNS, bits, first_block=first_block)
        assert bits.tolist() == [reference.sign(EXPECTED, 128 * first_block + i) for i in range(count)]


@pytest.mark.parametrize("first_block", [0, 2**32 - 2 * CHUNK_BLOCKS - 7])
@EVERY_LOOKUP
def test_long_stretches_have_no_seams(lookup: Lookup, first_block: int) -> None:
    count = 16 * (3 * CHUNK_BLOCKS) + 5
    whole = np.zeros(count, np.uint8)
    lookup(STREAM, IDENTITY, whole, first_block=first_block)
    bits = np.zeros(8 * count, np.int8)
    lookup(STREAM, SIGNS, bits, first_block=first_block)
    assert np.array_equal(bits < 0, np.unpackbits(whole, bitorder="little").view(bool))
    for block in (511, 512, CHUNK_BLOCKS - 1, CHUNK_BLOCKS, 2 * CHUNK_BLOCKS + 6, 2 * CHUNK_BLOCKS + 7):
        expected = [reference.byte(EXPECTED, 16 * (first_block + block) + i) for i in range(16)]
        assert whole[16 * block : 16 * block + 16].tolist() == expected, block


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int16, np.float16, np.float32])
@EVERY_LOOKUP
def test_tables_of_any_type_are_looked_up(lookup: Lookup, dtype: type[np.generic]) -> None:
    for size in (2, 256):
        table, out = np.arange(size).astype(dtype), np.zeros(333, dtype)
        lookup(STREAM, table, out, first_block=9)
        expected = [reference.byte(EXPECTED, 144 + i) for i in range(333)]
        if size == 2:
            expected = [(1 - reference.sign(EXPECTED, 9 * 128 + i)) // 2 for i in range(333)]
        assert out.tolist() == table[expected].tolist()


def test_first_stream_bytes_of_vector_1() -> None:
    out = np.zeros(16, np.uint8)
    LOOKUPS["numpy"](open_stream(0, "layers.0.attn.q.weight", "w"), IDENTITY, out)
    assert out.tolist() == [133, 59, 36, 0, 24, 169, 199, 13, 157, 77, 102, 242, 108, 197, 212, 182]


def test_permutation_and_signs_of_vector_12() -> None:
    streams = short_streams(7, "layers.1.attn.k.weight", {"p1": 4 * 768, "s0": 1})
    order = permutation(streams["p1"])
    assert order[:8].tolist() == [501, 692, 310, 198, 429, 333, 550, 455]
    assert np.array_equal(np.sort(order), np.arange(768))
    assert signs(streams["s0"], 8).tolist() == [-1, 1, 1, -1, 1, -1, -1, 1]


def test_short_streams_made_together_are_those_of_the_reference() -> None:
    lengths = {"s0": 1, "p1": 4 * 33, "s1": 16, "s2": 17}
    for label, data in short_streams(3, "a", lengths).items():
        stream = reference.stream(3, "a", label)
        assert data.tolist() == [reference.byte(stream, i) for i in range(lengths[label])]
        assert signs(data, len(data) * 8).tolist() == [reference.sign(stream, i) for i in range(len(data) * 8)]
    assert permutation(short_streams(3, "a", lengths)["p1"]).tolist() == reference.perm(
        reference.stream(3, "a", "p1"), 33
    )


def test_equal_words_are_sorted_by_position() -> None:
    words = np.array([7, 3, 7, 3, 0xFFFFFFFF, 3], "<u4")
    assert permutation(words.view(np.uint8)).tolist() == [1, 3, 5, 0, 2, 4]


def test_signs_do_not_wrap_as_one_minus_twice_an_unsigned_byte_would() -> None:
    result = signs(np.array([0b00000001], np.uint8), 8)
    assert result.dtype == np.int8
    assert result.tolist() == [-1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("other", [(1, "a", "w"), (0, "b", "w"), (0, "a", "s0"), (0, "aw", ""), (256, "a", "w")])
def test_streams_differ_by_seed_name_and_label(other: tuple[int, str, str]) -> None:
    assert open_stream(*other) != open_stream(0, "a", "w")


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "1", None, np.int64(1)])
def test_seeds_outside_64_bits_are_refused(seed: object) -> None:
    with pytest.raises(InvalidSeedError, match=r"^seed: expected an integer in \[0, 2\^64\), got "):
        open_stream(seed, "a", "w")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "é", "a\u200b", "\ud800", b"a", None])
def test_names_that_are_empty_or_not_ascii_are_refused(name: object) -> None:
    with pytest.raises(InvalidNameError, match=r"^stream name: expected a non-empty ASCII string, got ") as caught:
        open_stream(0, name, "w")  # type: ignore[arg-type]
    assert str(caught.value).isascii()
