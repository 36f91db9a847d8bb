"""Fetch the published FineWeb export of the challenge: its manifest names the shards and the tokenizer of a variant.

The hub is a Protocol of two questions, so that the logic is tried without the network; `trainer.hub` answers them with
huggingface_hub. Every file is compared with the size and the digest that the hub states before it takes its place. A
file that is already there and right is not fetched again: a fetch that broke off goes on with the file it was at.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.corpus_files import CorpusFiles, find_corpus
from verifier.data_errors import DataError
from verifier.progress import Progress, silent
from verifier.shards import file_sha256, token_count
from verifier.tokenizer import load_tokenizer

ROOT = "datasets"
DATASET_PREFIX = "fineweb10B_"
MANIFEST = f"{ROOT}/manifest.json"
SHARD_SUFFIX = ".bin"
DOWNLOADS = ".fetch"


class FetchError(DataError):
    """The hub cannot be reached, or does not hold what was asked for, or sent something else."""

    code = "fetch-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """What the hub says of a file; `sha256` is "" where it states none."""

    path: str
    size_bytes: int
    sha256: str


class Hub(Protocol):
    """Where the export is published."""

    def describe(self, path: str) -> RemoteFile:
        """Say what the file `path` of the repository is.

        Raises:
            FetchError: no connection, or no such file.
        """

    def download(self, path: str, folder: Path, received: Callable[[int], None]) -> Path:
        """Bring the file `path` below `folder`, telling the bytes as they come, and say where it lies.

        Raises:
            FetchError: it broke off.
        """


class Published(BaseModel):
    """Part of the published manifest; it is not ours, so what we do not need may be anything."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class ShardCounts(Published):
    """How many shards there are of each kind."""

    files_train: int = Field(ge=1)
    files_val: int = Field(ge=1)


class PublishedDataset(Published):
    """One tokenized export."""

    name: str
    tokenizer_name: str
    stats: ShardCounts


class PublishedTokenizer(Published):
    """One tokenizer; `model_path` is missing for those that are no SentencePiece model."""

    name: str
    model_path: str | None = None


class PublishedManifest(Published):
    """The export's table of contents."""

    datasets: tuple[PublishedDataset, ...]
    tokenizers: tuple[PublishedTokenizer, ...]


def fetch(variant: str, out: Path, hub: Hub, *, train_shards: int, progress: Progress = silent) -> CorpusFiles:
    """Bring the tokenizer, every validation shard and the first `train_shards` training shards of `variant` into `out`.

    Args:
        variant: the tokenizer family, `sp1024` say.
        out: the folder, made when missing; what is there and right is kept.
        hub: where the export is published.
        train_shards: how many training shards, 1 or more.
        progress: told bytes.

    Raises:
        FetchError: no connection, no such variant, or a file that is not what the hub states.
        DataError: the tokenizer has no byte fallback, or a shard is none.
        OSError: the folder cannot be written.
    """
    dataset, model_path = _published(hub, variant, out)
    model = hub.describe(model_path)
    _bring(hub, model, out, silent)
    load_tokenizer(_place(model, out))  # refuses a tokenizer that cannot be scored with before gigabytes are fetched
    remotes = [hub.describe(path) for path in _shard_paths(dataset, train_shards=train_shards)]
    total_bytes, done_bytes = sum(remote.size_bytes for remote in remotes), 0
    for remote in remotes:
        _bring(hub, remote, out, _shifted(progress, done_bytes, total_bytes))
        done_bytes += remote.size_bytes
        progress(done_bytes, total_bytes)
    shutil.rmtree(out / DOWNLOADS, ignore_errors=True)
    return find_corpus(out)


def _published(hub: Hub, variant: str, out: Path) -> tuple[PublishedDataset, str]:
    """The entry of `variant` in the published manifest, and the path of its tokenizer in the repository."""
    hub.describe(MANIFEST)  # without a network this says so at once, where a download would retry for long
    file = hub.download(MANIFEST, out / DOWNLOADS, _unheard)
    try:
        manifest = PublishedManifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise FetchError(MANIFEST, expected="a manifest of exports", got=f"{where}: {first['msg']}") from None
    datasets = {dataset.name.removeprefix(DATASET_PREFIX): dataset for dataset in manifest.datasets}
    if variant not in datasets:
        raise FetchError(f"--variant {variant}", expected=f"one of {', '.join(sorted(datasets))}", got="no such export")
    models = {tokenizer.name: tokenizer.model_path for tokenizer in manifest.tokenizers}
    model_path = models.get(datasets[variant].tokenizer_name)
    if model_path is None or ".." in model_path:
        raise FetchError(
            f"--variant {variant}", expected="an export with a SentencePiece tokenizer", got="another kind"
        )
    return datasets[variant], f"{ROOT}/{model_path}"


def _shard_paths(dataset: PublishedDataset, *, train_shards: int) -> list[str]:
    """All validation shards and the first training shards."""
    counts = dataset.stats
    if not 1 <= train_shards <= counts.files_train:
        raise FetchError("--train-shards", expected=f"1 to {counts.files_train}", got=str(train_shards))
    folder = f"{ROOT}/datasets/{dataset.name}"
    numbered = [("val", number) for number in range(counts.files_val)]
    numbered += [("train", number) for number in range(train_shards)]
    return [f"{folder}/fineweb_{split}_{number:06d}{SHARD_SUFFIX}" for split, number in numbered]


def _bring(hub: Hub, remote: RemoteFile, out: Path, progress: Progress) -> None:
    """Have the file in its place in `out`, checked."""
    place = _place(remote, out)
    if place.is_file() and _fault(place, remote) is None:
        return
    received_bytes = 0

    def received(count_bytes: int) -> None:
        nonlocal received_bytes
        received_bytes += count_bytes
        progress(min(received_bytes, remote.size_bytes), remote.size_bytes)

    file = hub.download(remote.path, out / DOWNLOADS, received)
    if fault := _fault(file, remote):
        file.unlink()
        raise FetchError(remote.path, expected=fault[0], got=fault[1], next_step="run the same command again")
    if place.suffix == SHARD_SUFFIX:
        token_count(file)
    file.replace(place)


def _fault(file: Path, remote: RemoteFile) -> tuple[str, str] | None:
    """What the hub states of a file and what it is instead, or None when it is right."""
    size_bytes = file.stat().st_size
    if size_bytes != remote.size_bytes:
        return f"{remote.size_bytes:,} bytes", f"{size_bytes:,}"
    if remote.sha256 and (digest := file_sha256(file)) != remote.sha256:
        return f"SHA-256 {remote.sha256}", digest
    return None


def _place(remote: RemoteFile, out: Path) -> Path:
    return out / PurePosixPath(remote.path).name


def _shifted(progress: Progress, done_bytes: int, total_bytes: int) -> Progress:
    """The listener of one file among others."""

    def listen(done: int, total: int, /) -> None:  # noqa: ARG001 - the signature of Progress
        progress(done_bytes + done, total_bytes)

    return listen


def _unheard(count_bytes: int) -> None:
    """Nobody listens to the manifest's few bytes."""
