import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.forge import BYTES, CONTROL, ROLES, UNUSED, USER_DEFINED, demo, model, piece
from verifier.bytes_table import StreamTotals, bytes_table, cross_check, stream_totals
from verifier.data_errors import ByteCountMismatch, NoByteFallback
from verifier.shards import Tokens, read_shard, split_documents
from verifier.tokenizer import load_tokenizer, parse_tokenizer

REAL = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not (REAL / "fineweb_sample_val.bin").is_file(), reason="the FineWeb sample is not here")

PIECES = [
    *ROLES,
    *BYTES,
    piece("▁the"),
    piece("née"),
    piece("▁"),
    piece("a▁b"),
    piece("▁日本"),
    piece("▁gone", kind=UNUSED),
    piece("▁mark", kind=USER_DEFINED),
    piece("<c>", kind=CONTROL),
]
THE, NEE, SPACE, INNER, JAPAN, GONE, MARK, OTHER = range(260, 268)


def test_the_rule_of_the_challenge_case_by_case() -> None:
    table = bytes_table(parse_tokenizer(model(*PIECES)))
    cases = [
        ("after text", NEE, THE, 4),
        ("after BOS", 1, THE, 3),
        ("after unknown", 3, THE, 3),
        ("after unused", GONE, THE, 3),
        ("after another control piece", OTHER, THE, 3),
        ("after a byte", 4 + 0xC3, THE, 4),
        ("no leading space", THE, NEE, 4),
        ("the space alone", NEE, SPACE, 1),
        ("the space alone after BOS", 1, SPACE, 0),
        ("a space inside counts its three bytes", NEE, INNER, 5),
        ("three bytes a character", NEE, JAPAN, 7),
        ("user-defined is text", NEE, MARK, 5),
        ("a byte", THE, 4 + 0xC3, 1),
        ("BOS", THE, 1, 0),
        ("unknown", THE, 3, 0),
        ("unused", THE, GONE, 0),
    ]
    names, prev, target, expected = zip(*cases, strict=True)
    got = table.target_bytes(np.array(prev, dtype=np.uint16), np.array(target, dtype=np.uint16))
    assert dict(zip(names, got.tolist(), strict=True)) == dict(zip(names, expected, strict=True))
    assert got.dtype == np.int64


def test_the_table_cannot_be_changed() -> None:
    _, table = demo()
    with pytest.raises(ValueError, match="read-only"):
        table.piece_bytes[0] = 5


@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_the_table_counts_the_bytes_of_any_text(texts: list[str]) -> None:
    tokenizer, table = demo()
    encoded = tokenizer.encode(texts)
    totals = cross_check(table, tokenizer, np.concatenate(encoded))
    assert totals.bytes == sum(len(text.encode()) for text in tokenizer.decode(encoded))
    assert totals.documents == len(texts)


def test_the_visible_space_in_a_text_counts_as_the_space_it_is_read_as() -> None:
    tokenizer, table = demo()
    encoded = tokenizer.encode(["a\u2581b \u2581\u2581 c", "\u2581"])
    assert tokenizer.decode(encoded) == ["a b c", ""]
    assert cross_check(table, tokenizer, np.concatenate(encoded)).bytes == 5


def test_a_wrong_table_is_caught_with_the_document_named() -> None:
    tokenizer, table = demo()
    tokens = np.concatenate(tokenizer.encode(["12", "No.", "Yes."]))
    widths = table.piece_bytes.copy()
    widths[tokens[-2]] += 1
    wrong = dataclasses.replace(table, piece_bytes=widths)
    with pytest.raises(ByteCountMismatch, match="val: document 2: expected 4 bytes of text, got 5 by the table"):
        cross_check(wrong, tokenizer, tokens, where="val")


def test_a_stream_may_be_cut_inside_a_character_at_both_ends() -> None:
    tokenizer, table = demo()
    tokens = np.concatenate(tokenizer.encode(["日本 here", "and there 日本"]))
    assert tokens[1] == 4 + 0xE6
    cut = tokens[2:-1]
    totals = cross_check(table, tokenizer, cut)
    assert totals == StreamTotals(documents=2, tokens=len(cut), bytes=stream_totals(table, tokens, bos_id=1).bytes - 2)


def test_totals_do_not_depend_on_how_the_stream_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, table = demo()
    tokens = np.concatenate(tokenizer.encode(["One two three four", "Five six"] * 5))
    at_once = stream_totals(table, tokens, bos_id=1)
    monkeypatch.setattr("verifier.bytes_table.PART_TOKENS", 3)
    assert (
        stream_totals(table, tokens, bos_id=1) == at_once == StreamTotals(documents=10, tokens=len(tokens), bytes=130)
    )


def real_documents(split: str) -> list[dict[str, object]]:
    lines = (REAL / "fineweb_sample_docs.jsonl").read_text(encoding="utf-8").splitlines()
    return [document for document in map(json.loads, lines) if document["split"] == split]


@real
@pytest.mark.parametrize(("split", "bytes_expected"), [("val", 480_420), ("train", 2_023_890)])
def test_sp1024_counts_the_real_sample_exactly(split: str, bytes_expected: int) -> None:
    tokenizer = load_tokenizer(REAL / "fineweb_1024_bpe.model")
    tokens = read_shard(REAL / f"fineweb_sample_{split}.bin", vocab_size=tokenizer.vocab_size)
    documents = real_documents(split)
    totals = cross_check(bytes_table(tokenizer), tokenizer, tokens)
    assert totals == StreamTotals(documents=len(documents), tokens=len(tokens), bytes=bytes_expected)
    assert sum(len(str(document["text"]).encode()) for document in documents) == bytes_expected
    decoded = tokenizer.decode(split_documents(tokens, bos_id=tokenizer.bos_id))
    assert decoded == [document["text"] for document in documents]


@real
def test_sp8192_counts_the_real_sample_exactly() -> None:
    tokenizer = load_tokenizer(REAL / "fineweb_8192_bpe.model")
    texts = [str(document["text"]) for document in real_documents("val")]
    tokens: Tokens = np.concatenate(tokenizer.encode(texts))
    assert cross_check(bytes_table(tokenizer), tokenizer, tokens).bytes == 480_420


@real
def test_sp4096_is_refused() -> None:
    with pytest.raises(NoByteFallback):
        load_tokenizer(REAL / "fineweb_4096_bpe.model")
