import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.verifier import forge
from tests.verifier.entries import SET_NAME, register, write_set
from verifier import demo_corpus, valset
from verifier.data_errors import BadShardLength, NoByteFallback, TooFewTokens
from verifier.errors import ValsetBroken
from verifier.shards import read_shard, write_shard
from verifier.valset import BadRegistration, open_valset, read_registration, valset_sha256
from verifier.valset_registry import (
    DEMO_NAME,
    DEMO_SHA256,
    BadValsetName,
    Registry,
    UnknownValset,
    ValsetExists,
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    register(tmp_path)
    return Registry(folder=tmp_path / "valsets")


def test_a_set_is_known_by_its_shards_and_its_tokenizer() -> None:
    first, second, pieces = "ab" * 32, "cd" * 32, "ef" * 32
    text = f'{{"pieces_sha256":"{pieces}","shards":["{first}","{second}"]}}'
    assert valset_sha256([first, second], pieces_sha256=pieces) == hashlib.sha256(text.encode()).hexdigest()
    assert valset_sha256([second, first], pieces_sha256=pieces) != valset_sha256([first, second], pieces_sha256=pieces)


def test_registering_measures_the_stream(registry: Registry) -> None:
    found = registry.named(SET_NAME)
    tokens = read_shard(registry.folder_of(found) / found.shards[0].file, vocab_size=260)
    assert (found.documents, found.distinct_documents, found.tokens) == (24, 24, len(tokens))
    assert found.bytes == int((tokens >= 4).sum()), "one token a byte, after four pieces without bytes"
    assert found.targets == (len(tokens) - 1) // 1024 * 1024
    assert found.target_bytes == int((tokens[1 : found.targets + 1] >= 4).sum())
    assert registry.with_digest(found.sha256) == found == registry.registrations()[0]


def test_document_digests_lie_beside_the_registration(registry: Registry) -> None:
    found = registry.named(SET_NAME)
    folder = registry.folder_of(found)
    lines = (folder / valset.DOCUMENTS_FILE).read_text().splitlines()
    tokens = read_shard(folder / found.shards[0].file, vocab_size=260)
    first = tokens[: int(np.flatnonzero(tokens == 1)[1])]
    assert lines[0] == hashlib.sha256(first.astype("<u2").tobytes()).hexdigest()
    assert len(lines) == found.documents
    assert hashlib.sha256((folder / valset.DOCUMENTS_FILE).read_bytes()).hexdigest() == found.documents_sha256


def test_several_shards_are_one_stream_in_the_order_given(tmp_path: Path) -> None:
    write_set(tmp_path / "source")
    tokens = read_shard(tmp_path / "source" / "val.bin", vocab_size=260)
    for name, part in (("b.bin", tokens[:3000]), ("a.bin", tokens[3000:])):
        write_shard(tmp_path / name, np.array(part))
    registry = Registry(folder=tmp_path / "valsets")
    found = registry.add("two", [tmp_path / "b.bin", tmp_path / "a.bin"], tmp_path / "source" / "bytes.model")
    opened = open_valset(registry.folder_of(found))
    valset.check(opened)
    assert np.array_equal(opened.tokens, tokens)
    assert [shard.tokens for shard in found.shards] == [3000, len(tokens) - 3000]


def test_a_set_whose_scored_targets_have_no_text_is_not_registered(tmp_path: Path) -> None:
    write_set(tmp_path / "source")
    write_shard(tmp_path / "bos.bin", np.array([1] * 1100 + [50], dtype=np.uint16))
    registry = Registry(folder=tmp_path / "valsets")
    with pytest.raises(TooFewTokens, match="bos: expected at least 1 byte of text among the scored targets"):
        registry.add("bos", [tmp_path / "bos.bin"], tmp_path / "source" / "bytes.model")
    assert registry.registrations() == []


def damage_shard(folder: Path) -> None:
    data = bytearray((folder / "val_000000.bin").read_bytes())
    data[-2] ^= 1
    (folder / "val_000000.bin").write_bytes(data)


def cut_shard(folder: Path) -> None:
    (folder / "val_000000.bin").write_bytes((folder / "val_000000.bin").read_bytes()[:-2])


def other_tokenizer(folder: Path) -> None:
    pieces = [*forge.ROLES, *forge.BYTES[:-1], forge.piece("<0xFF>", score=-1.0, kind=forge.BYTE)]
    (folder / "tokenizer.model").write_bytes(forge.model(*pieces))


def lose_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.model").unlink()


def edit_totals(folder: Path) -> None:
    fields = json.loads((folder / "valset.json").read_text())
    (folder / "valset.json").write_text(json.dumps(fields | {"target_bytes": fields["target_bytes"] + 1}))


def claim_to_be_official(folder: Path) -> None:
    fields = json.loads((folder / "valset.json").read_text())
    (folder / "valset.json").write_text(json.dumps(fields | {"official": "fineweb-sp1024"}))


def drop_registration_field(folder: Path) -> None:
    fields = json.loads((folder / "valset.json").read_text())
    del fields["targets"]
    (folder / "valset.json").write_text(json.dumps(fields))


DAMAGES = {
    damage_shard: "shard digests",
    cut_shard: "bad-shard-length",
    other_tokenizer: "tokenizer digest",
    lose_tokenizer: "can't read a file",
    edit_totals: "target bytes: registered 5,",
    claim_to_be_official: "official set: registered fineweb-sp1024",
    drop_registration_field: "bad-registration",
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_set_that_is_not_what_was_registered_is_broken(damage: object, says: str, registry: Registry) -> None:
    folder = registry.folder_of(registry.named(SET_NAME))
    damage(folder)  # type: ignore[operator]
    with pytest.raises(ValsetBroken, match=says.replace(",", "")) as caught:
        valset.check(open_valset(folder))
    assert str(folder.parent) not in str(caught.value), "a message shows no path"


def test_a_broken_registration_names_its_field(registry: Registry) -> None:
    folder = registry.folder_of(registry.named(SET_NAME))
    drop_registration_field(folder)
    with pytest.raises(BadRegistration, match=r"tiny\.targets"):
        read_registration(folder)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a b", "x" * 65, "-x", "naïve", "a\n"])
def test_a_name_that_is_no_folder_name_is_refused(name: str, registry: Registry) -> None:
    with pytest.raises(BadValsetName):
        registry.add(name, [], Path())


def test_a_taken_name_and_a_set_under_a_second_name_are_refused(registry: Registry, tmp_path: Path) -> None:
    shards, tokenizer = [tmp_path / "source" / "val.bin"], tmp_path / "source" / "bytes.model"
    for name in (SET_NAME, DEMO_NAME, "again"):
        with pytest.raises(ValsetExists):
            registry.add(name, shards, tokenizer)
    assert [path.name for path in registry.folder.iterdir()] == [SET_NAME]


def test_a_set_that_cannot_be_measured_leaves_nothing_behind(tmp_path: Path) -> None:
    write_set(tmp_path / "source")
    (tmp_path / "cut.bin").write_bytes((tmp_path / "source" / "val.bin").read_bytes()[:-1])
    registry = Registry(folder=tmp_path / "valsets")
    with pytest.raises(BadShardLength):
        registry.add("mine", [tmp_path / "cut.bin"], tmp_path / "source" / "bytes.model")
    assert list(registry.folder.iterdir()) == []


def test_a_tokenizer_without_byte_fallback_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_set(tmp_path / "source")
    (tmp_path / "no_bytes.model").write_bytes(forge.model(*forge.ROLES, forge.piece("a")))
    with pytest.raises(NoByteFallback, match="unknown characters lose their bytes"):
        Registry(folder=tmp_path / "valsets").add(
            "mine", [tmp_path / "source" / "val.bin"], tmp_path / "no_bytes.model"
        )


def test_unknown_sets_are_refused_with_the_next_step(registry: Registry) -> None:
    with pytest.raises(UnknownValset, match=r"tiny.*seedgolf valset add"):
        registry.named("tin")
    with pytest.raises(UnknownValset, match="seedgolf valset add"):
        registry.with_digest("ab" * 32)


def test_the_built_in_set_registers_itself(tmp_path: Path) -> None:
    registry = Registry(folder=tmp_path)
    assert registry.registrations() == []
    found = registry.with_digest(DEMO_SHA256)
    assert (found.name, found.documents, found.tokens, found.bytes) == (DEMO_NAME, 28, 134_666, 318_863)
    assert [shard.sha256 for shard in found.shards] == [demo_corpus.VAL_SHA256]
    assert registry.named(DEMO_NAME) == found
    valset.check(open_valset(registry.folder_of(found)))


REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (REAL / "fineweb_sample_val.bin").is_file(), reason="no real data beside the repository")
def test_a_sample_of_an_official_set_is_not_the_official_set(tmp_path: Path) -> None:
    registry = Registry(folder=tmp_path)
    found = registry.add("sample", [REAL / "fineweb_sample_val.bin"], REAL / "fineweb_1024_bpe.model")
    assert (found.targets, found.official) == (199_680, None)
