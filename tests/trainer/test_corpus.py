import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainer.corpus import FolderNotEmpty, Recipe, prepare
from trainer.corpus_files import BadCorpusFolder, CorpusFiles, find_corpus
from trainer.corpus_info import measure
from trainer.documents import BadDocument, NoDocuments, TextUnit
from trainer.tokenizer_training import BadVocabSize
from verifier.data_errors import NoByteFallback
from verifier.document_split import is_validation
from verifier.shards import read_shard, split_documents
from verifier.tokenizer import load_tokenizer

WORDS = ("river", "harbour", "mountain", "bridge", "lantern")
DOCUMENTS = [f"Nr. {n}: the {WORDS[n % 5]} by the {WORDS[n // 5 % 5]},  日本 № {n * 7919}." for n in range(200)]
SMALL = Recipe(vocab_size=300)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS), encoding="utf-8")
    return path


def texts(files: CorpusFiles, shards: tuple[Path, ...]) -> list[str]:
    tokenizer = load_tokenizer(files.tokenizer)
    streams = [read_shard(path, vocab_size=tokenizer.vocab_size) for path in shards]
    return tokenizer.decode([document for stream in streams for document in split_documents(stream, bos_id=1)])


def test_every_document_lands_whole_on_the_side_of_its_digest(source: Path, tmp_path: Path) -> None:
    files = prepare([source], tmp_path / "out", SMALL)
    normalised = {text: " ".join(text.split()).replace("№", "No") for text in DOCUMENTS}
    expected = {
        side: [normalised[t] for t in DOCUMENTS if is_validation(t, val_fraction=0.1) is side] for side in (True, False)
    }
    assert texts(files, files.val) == expected[True]
    assert texts(files, files.train) == expected[False]
    assert load_tokenizer(files.tokenizer).vocab_size == 300
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "tokenizer.model",
        "train_000000.bin",
        "val_000000.bin",
    ]


def test_the_same_input_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    first, second = (prepare([source], tmp_path / name, SMALL) for name in ("one", "two"))
    for one, two in zip((*first.train, *first.val), (*second.train, *second.val), strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert load_tokenizer(first.tokenizer).pieces_sha256 == load_tokenizer(second.tokenizer).pieces_sha256


def test_a_given_tokenizer_is_used_as_it_is(source: Path, tmp_path: Path) -> None:
    first = prepare([source], tmp_path / "one", SMALL)
    second = prepare([source], tmp_path / "two", Recipe(tokenizer=first.tokenizer, vocab_size=9999, val_fraction=0.5))
    assert load_tokenizer(second.tokenizer).pieces_sha256 == load_tokenizer(first.tokenizer).pieces_sha256
    assert sorted(texts(second, (*second.val, *second.train))) == sorted(texts(first, (*first.val, *first.train)))


def test_shards_are_closed_before_they_grow_too_long_and_hold_whole_documents(source: Path, tmp_path: Path) -> None:
    files = prepare([source], tmp_path / "out", replace(SMALL, shard_tokens=1000))
    streams = [read_shard(path, vocab_size=300) for path in files.train]
    assert len(streams) > 3
    assert all(len(stream) <= 1000 and stream[0] == 1 for stream in streams)
    whole = prepare([source], tmp_path / "whole", SMALL)
    assert np.array_equal(np.concatenate(streams), read_shard(whole.train[0], vocab_size=300))


def test_a_document_longer_than_a_shard_has_its_own(source: Path, tmp_path: Path) -> None:
    files = prepare([source], tmp_path / "out", replace(SMALL, shard_tokens=1))
    assert len(files.train) + len(files.val) == len(DOCUMENTS)


@pytest.mark.parametrize("val_fraction", [1e-9, 1 - 1e-9])
def test_neither_side_is_empty_whatever_the_share(source: Path, tmp_path: Path, val_fraction: float) -> None:
    files = prepare([source], tmp_path / "out", replace(SMALL, val_fraction=val_fraction))
    smaller = min((files.train, files.val), key=lambda shards: len(texts(files, shards)))
    assert len(texts(files, smaller)) == 1


def test_the_measured_totals_are_those_of_the_text(source: Path, tmp_path: Path) -> None:
    files = prepare([source], tmp_path / "out", SMALL)
    for decode in (False, True):
        found = measure(files.tokenizer, (*files.train, *files.val), decode=decode)
        assert sum(shard.documents for shard in found.shards) == len(DOCUMENTS)
        everything = texts(files, (*files.train, *files.val))
        assert sum(shard.bytes for shard in found.shards) == sum(len(text.encode()) for text in everything)


def test_stages_are_told_in_the_order_of_the_work(source: Path, tmp_path: Path) -> None:
    names: list[str] = []
    told: list[tuple[int, int]] = []

    def stage(name: str) -> object:
        names.append(name)
        return lambda *at: told.append(at)

    prepare([source], tmp_path / "out", SMALL, stage=stage)  # type: ignore[arg-type]
    assert names == ["reading", "training the tokenizer", "encoding"]
    assert told[-1] == (source.stat().st_size,) * 2


def test_a_folder_in_use_is_left_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(FolderNotEmpty, match="a new or empty folder"):
        prepare([source], out, SMALL)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert prepare([source], out, SMALL).tokenizer.parent == out


@pytest.mark.parametrize(
    ("name", "content", "fault", "words"),
    [
        ("bad.jsonl", "nonsense", BadDocument, "line 1: expected a JSON object"),
        ("one.txt", "a single document", NoDocuments, "at least two different documents.*got one; .*blank-line"),
        ("empty.txt", " \n ", NoDocuments, "at least two different documents.*got none"),
        ("twice.jsonl", '{"text": "a"}\n{"text": " a "}\n', NoDocuments, "got one"),
        ("few.jsonl", '{"text": "a b"}\n{"text": "b a"}\n', BadVocabSize, "at most"),
    ],
)
def test_a_corpus_that_cannot_be_made_leaves_no_folder(
    tmp_path: Path, name: str, content: str, fault: type[ValueError], words: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(fault, match=words):
        prepare([tmp_path / name], tmp_path / "out", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_documents_that_normalise_to_nothing_are_left_out(source: Path, tmp_path: Path) -> None:
    more = tmp_path / "nothing.jsonl"
    more.write_text("".join(json.dumps({"text": "\x01" * n}) + "\n" for n in range(1, 40)), encoding="utf-8")
    files = prepare([source, more], tmp_path / "out", SMALL)
    assert "" not in texts(files, (*files.train, *files.val))


def test_one_text_file_is_split_at_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"
    path.write_text("\n\n".join(DOCUMENTS), encoding="utf-8")
    files = prepare([path], tmp_path / "out", replace(SMALL, unit=TextUnit.BLANK_LINE))
    assert len(texts(files, files.val)) + len(texts(files, files.train)) == len(DOCUMENTS)


def test_a_tokenizer_without_byte_fallback_is_refused_before_anything_is_made(source: Path, tmp_path: Path) -> None:
    from tests.verifier.forge import ROLES, model, piece

    (tmp_path / "bad.model").write_bytes(model(*ROLES, piece("a")))
    with pytest.raises(NoByteFallback):
        prepare([source], tmp_path / "out", Recipe(tokenizer=tmp_path / "bad.model"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("val_fraction", [0.0, 1.0, -1.0])
def test_a_share_outside_0_to_1_is_the_callers_mistake(source: Path, tmp_path: Path, val_fraction: float) -> None:
    with pytest.raises(ValueError, match="0 < f < 1"):
        prepare([source], tmp_path / "out", replace(SMALL, val_fraction=val_fraction))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("tokenizer.model", r"one tokenizer \(\*\.model\), got 0; make the folder with"),
        ("train_000000.bin", "train shards"),
        ("val_000000.bin", "val shards"),
    ],
)
def test_a_folder_that_is_no_corpus_says_what_is_missing(tmp_path: Path, missing: str, words: str) -> None:
    for name in {"tokenizer.model", "train_000000.bin", "val_000000.bin"} - {missing}:
        (tmp_path / name).touch()
    with pytest.raises(BadCorpusFolder, match=words):
        find_corpus(tmp_path)


def test_a_folder_with_two_tokenizers_is_refused(tmp_path: Path) -> None:
    for name in ("a.model", "b.model", "train.bin", "val.bin"):
        (tmp_path / name).touch()
    with pytest.raises(BadCorpusFolder, match="got 2"):
        find_corpus(tmp_path)
