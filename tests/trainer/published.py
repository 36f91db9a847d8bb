"""A published export in small: what the hub's repository holds, as a dictionary of paths and bytes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.verifier.forge import ROLES, demo, model, piece
from trainer.fetch import FetchError, RemoteFile

FOLDER = "datasets/datasets/fineweb10B_sp1024"


def shard(*tokens: int) -> bytes:
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(tokens)
    return header.tobytes() + np.array(tokens, dtype="<u2").tobytes()


def export() -> dict[str, bytes]:
    def entry(name: str) -> dict[str, object]:
        stats = {"files_train": 3, "files_val": 2, "docs_total": 9}
        return {"name": f"fineweb10B_{name}", "tokenizer_name": f"{name}_bpe", "stats": stats, "kind": "sentencepiece"}

    manifest = {
        "version": 1,
        "datasets": [entry("sp1024"), entry("sp4096"), entry("byte260")],
        "tokenizers": [
            {"name": "sp1024_bpe", "model_path": "tokenizers/fineweb_1024_bpe.model"},
            {"name": "sp4096_bpe", "model_path": "tokenizers/fineweb_4096_bpe.model"},
            {"name": "byte260_bpe", "path": "tokenizers/bytes.json"},
        ],
    }
    files = {f"{FOLDER}/fineweb_train_{n:06d}.bin": shard(1, 260 + n, 270) for n in range(3)}
    files |= {f"{FOLDER}/fineweb_val_{n:06d}.bin": shard(1, 300 + n, 301, 302) for n in range(2)}
    tokenizer, _ = demo()
    files["datasets/tokenizers/fineweb_1024_bpe.model"] = tokenizer.processor.serialized_model_proto()
    files["datasets/tokenizers/fineweb_4096_bpe.model"] = model(*ROLES, piece("a"))
    files["datasets/manifest.json"] = json.dumps(manifest).encode()
    return files


class FolderHub:
    """A hub that answers from a dictionary, and remembers what it sent."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.stated = {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
        self.sent: list[str] = []

    def describe(self, path: str) -> RemoteFile:
        if path not in self.stated:
            raise FetchError(path, expected="a file of the repository", got="none")
        size_bytes, sha256 = self.stated[path]
        return RemoteFile(path=path, size_bytes=size_bytes, sha256=sha256)

    def download(self, path: str, folder: Path, received: Callable[[int], None]) -> Path:
        self.sent.append(path)
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        data = self.files[path]
        place.write_bytes(data)
        received(len(data) // 2)
        received(len(data) - len(data) // 2)
        return place
