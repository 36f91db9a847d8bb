import json
from pathlib import Path

import pytest

from tests.trainer.published import FOLDER, FolderHub, export
from trainer.fetch import MANIFEST, FetchError, fetch
from verifier.data_errors import BadShardMagic, DataError, NoByteFallback


@pytest.fixture
def hub() -> FolderHub:
    return FolderHub(export())


def test_tokenizer_validation_and_the_first_training_shards_come_into_one_folder(
    hub: FolderHub, tmp_path: Path
) -> None:
    files = fetch("sp1024", tmp_path / "out", hub, train_shards=2)
    assert [path.name for path in files.train] == ["fineweb_train_000000.bin", "fineweb_train_000001.bin"]
    assert [path.name for path in files.val] == ["fineweb_val_000000.bin", "fineweb_val_000001.bin"]
    assert files.val[1].read_bytes() == hub.files[f"{FOLDER}/fineweb_val_000001.bin"]
    assert files.tokenizer.name == "fineweb_1024_bpe.model"
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_second_fetch_sends_only_what_is_missing_or_wrong(hub: FolderHub, tmp_path: Path) -> None:
    files = fetch("sp1024", tmp_path, hub, train_shards=3)
    files.train[0].unlink()
    files.train[1].write_bytes(files.train[1].read_bytes()[:-1])
    damaged = bytearray(files.val[0].read_bytes())
    damaged[-1] ^= 1
    files.val[0].write_bytes(damaged)
    hub.sent.clear()
    assert fetch("sp1024", tmp_path, hub, train_shards=3) == files
    names = ["fineweb_val_000000.bin", "fineweb_train_000000.bin", "fineweb_train_000001.bin"]
    assert hub.sent == [MANIFEST, *(f"{FOLDER}/{name}" for name in names)]
    assert files.val[0].read_bytes() == hub.files[f"{FOLDER}/fineweb_val_000000.bin"]


def test_progress_is_told_bytes_and_ends_at_their_total(hub: FolderHub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch("sp1024", tmp_path, hub, train_shards=1, progress=lambda *at: told.append(at))
    total = sum(len(hub.files[path]) for path in hub.sent if path.endswith(".bin"))
    assert {whole for _, whole in told} == {total}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)
    assert told[0][0] < total // 3


def change_manifest(hub: FolderHub, data: bytes) -> None:
    hub.files[MANIFEST] = data
    hub.stated[MANIFEST] = (len(data), "")


@pytest.mark.parametrize(
    ("variant", "train_shards", "fault", "words"),
    [
        ("sp512", 1, FetchError, "--variant sp512: expected one of byte260, sp1024, sp4096, got no such export"),
        ("byte260", 1, FetchError, "expected an export with a SentencePiece tokenizer"),
        ("sp4096", 1, NoByteFallback, "0 byte pieces"),
        ("sp1024", 0, FetchError, "--train-shards: expected 1 to 3, got 0"),
        ("sp1024", 4, FetchError, "--train-shards: expected 1 to 3, got 4"),
    ],
)
def test_what_is_not_published_is_refused_before_a_shard_is_fetched(
    hub: FolderHub, tmp_path: Path, variant: str, train_shards: int, fault: type[DataError], words: str
) -> None:
    with pytest.raises(fault, match=words):
        fetch(variant, tmp_path, hub, train_shards=train_shards)
    assert not [path for path in hub.sent if path.endswith(".bin")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>", "the file: Invalid JSON"),
        (b"{}", "datasets: Field required"),
        (b'{"datasets": [{"name": "x", "tokenizer_name": "y", "stats": {}}], "tokenizers": []}', "stats.files_train"),
    ],
)
def test_a_manifest_of_another_shape_is_named(hub: FolderHub, tmp_path: Path, data: bytes, words: str) -> None:
    change_manifest(hub, data)
    with pytest.raises(FetchError, match=f"datasets/manifest.json: expected a manifest of exports, got .*{words}"):
        fetch("sp1024", tmp_path, hub, train_shards=1)


def test_a_manifest_cannot_point_outside_the_export(hub: FolderHub, tmp_path: Path) -> None:
    manifest = json.loads(hub.files[MANIFEST])
    manifest["tokenizers"][0]["model_path"] = "../../secret.model"
    change_manifest(hub, json.dumps(manifest).encode())
    with pytest.raises(FetchError, match="expected an export with a SentencePiece tokenizer"):
        fetch("sp1024", tmp_path, hub, train_shards=1)


@pytest.mark.parametrize(
    ("stated", "words"),
    [((1031, None), "expected 1,031 bytes, got 1,032"), ((1032, "0" * 64), "expected SHA-256 0{64}, got [0-9a-f]{64}")],
)
def test_a_file_that_is_not_what_the_hub_states_is_not_kept(
    hub: FolderHub, tmp_path: Path, stated: tuple[int, str | None], words: str
) -> None:
    path = f"{FOLDER}/fineweb_val_000000.bin"
    hub.stated[path] = (stated[0], stated[1] or hub.stated[path][1])
    with pytest.raises(FetchError, match=f"{words}; run the same command again"):
        fetch("sp1024", tmp_path, hub, train_shards=1)
    assert not list(tmp_path.rglob("*.bin"))


def test_a_file_that_is_no_shard_is_not_kept(tmp_path: Path) -> None:
    files = export()
    files[f"{FOLDER}/fineweb_val_000000.bin"] = b"\0" * 2000
    with pytest.raises(BadShardMagic):
        fetch("sp1024", tmp_path, FolderHub(files), train_shards=1)
    assert not list(tmp_path.glob("*.bin"))
