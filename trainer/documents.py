"""Text files to documents: what a person has on disk, read in a fixed order, with every fault named by its place.

`.jsonl`: one document a line, the string under the key "text". `.txt`: one document a file, or one a paragraph block
with `TextUnit.BLANK_LINE`. A folder stands for every such file below it, in the order of their paths. Documents are
yielded one at a time, so a corpus may be larger than memory; white space around a document goes, and an empty one is
skipped.
"""

import json
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from verifier.data_errors import DataError
from verifier.progress import Progress, silent

SUFFIXES = (".jsonl", ".txt")
BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
BYTE_ORDER_MARK = "\ufeff"


class TextUnit(StrEnum):
    """What one document of a `.txt` file is."""

    FILE = "file"
    BLANK_LINE = "blank-line"


class NoDocuments(DataError):
    """There is nothing to read, or too little to split."""

    code = "no-documents"


class BadDocument(DataError):
    """A document is not UTF-8, not JSON, or has no text."""

    code = "bad-document"


def find_texts(inputs: Sequence[Path]) -> tuple[Path, ...]:
    """The text files that `inputs` name, folders searched through.

    Raises:
        NoDocuments: an input is missing, no text file, or a folder without any.
    """
    return tuple(path for source in inputs for path in _texts_of(source))


def documents(paths: Sequence[Path], *, unit: TextUnit, progress: Progress = silent) -> Iterator[str]:
    """The documents of the text files `paths` in order.

    Args:
        paths: what `find_texts` found.
        unit: what a document of a `.txt` file is.
        progress: told bytes read.

    Raises:
        BadDocument: naming file, line and byte.
        OSError: a file cannot be read.
    """
    sizes_bytes = [path.stat().st_size for path in paths]
    total_bytes = sum(sizes_bytes)
    before_bytes = 0
    for path, size_bytes in zip(paths, sizes_bytes, strict=True):
        texts = _lines(path) if path.suffix == ".jsonl" else _blocks(path, unit)
        for text, read_bytes in texts:
            if text.strip():
                yield text.strip()
            progress(before_bytes + read_bytes, total_bytes)
        before_bytes += size_bytes


def _texts_of(source: Path) -> list[Path]:
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    else:
        found = [source] if source.suffix in SUFFIXES and source.is_file() else []
    if not found:
        got = "a folder without any" if source.is_dir() else "another file" if source.exists() else "nothing there"
        raise NoDocuments(str(source), expected=f"a {' or '.join(SUFFIXES)} file, or a folder of them", got=got)
    return found


def _blocks(path: Path, unit: TextUnit) -> Iterator[tuple[str, int]]:
    raw = path.read_bytes()
    text = _decoded(raw, where=str(path)).removeprefix(BYTE_ORDER_MARK)
    for block in [text] if unit is TextUnit.FILE else BLANK_LINES.split(text):
        yield block, len(raw)


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """The text of each line of a .jsonl file, and the bytes read with it."""
    read_bytes = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}: line {number}"
            text = _decoded(line, where=where, before_bytes=read_bytes)
            read_bytes += len(line)
            if text.strip():
                yield _text_of(text, where), read_bytes


def _decoded(raw: bytes, *, where: str, before_bytes: int = 0) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        offset, value = before_bytes + error.start, raw[error.start]
        raise BadDocument(where, expected="UTF-8 text", got=f"byte 0x{value:02x} at offset {offset:,}") from None


def _text_of(line: str, where: str) -> str:
    """The string under "text" of one JSON line."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadDocument(where, expected="a JSON object", got=f"{error.msg} at column {error.colno}") from None
    except RecursionError:
        raise BadDocument(where, expected="a JSON object", got="brackets nested too deeply") from None
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise BadDocument(where, expected='a JSON object with a string under the key "text"', got="another value")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadDocument(where, expected="Unicode text", got="half of a surrogate pair")
    return text
