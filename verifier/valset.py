"""A validation set: its shards, its tokenizer, its totals, and the digest that is its identity.

A `Registration` is what was measured when the set was registered; `load` opens the files again and refuses every
difference. Totals are counted here by the byte table alone, apart from the scoring loop that they are held against.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError

from artifact.format import canonical
from artifact.format.errors import shown, wanted
from verifier.bytes_table import PART_TOKENS, BytesTable, bytes_table, cross_check, stream_totals
from verifier.data_errors import DataError, TooFewTokens
from verifier.errors import ValsetBroken
from verifier.official_sets import recognise
from verifier.progress import Progress, silent
from verifier.report import Count, Sha256, ValsetRecord, Value
from verifier.shards import Tokens, file_sha256, read_stream, split_documents, token_count
from verifier.tokenizer import Tokenizer, load_tokenizer
from verifier.windows import usable_targets

REGISTRATION_FILE: Final = "valset.json"
TOKENIZER_FILE: Final = "tokenizer.model"
DOCUMENTS_FILE: Final = "documents.sha256"
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class BadRegistration(DataError):
    """A registration file is none of this version."""

    code = "bad-registration"


class ShardEntry(Value):
    """One shard, in the order of the stream; `file` lies beside the registration."""

    file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
    sha256: Sha256
    tokens: Count


class Registration(Value):
    """A set as it was measured when it was registered.

    Attributes:
        sha256: the set's identity, `valset_sha256` of its shards and tokenizer.
        bytes: bytes of text of the whole stream.
        targets: what a score is taken over, `usable_targets`; target_bytes are their bytes of text.
        distinct_documents: documents that differ in at least one token.
        documents_sha256: SHA-256 of the file with one document digest a line.
        official: the published set that this is.
    """

    schema_id: Literal["seedgolf-valset/1"] = "seedgolf-valset/1"
    name: Name
    sha256: Sha256
    shards: Annotated[tuple[ShardEntry, ...], Field(min_length=1)]
    tokenizer_name: str
    vocab_size: Count
    pieces_sha256: Sha256
    documents: Count
    distinct_documents: Count
    documents_sha256: Sha256
    tokens: Count
    bytes: Count
    targets: Count
    target_bytes: Count
    official: str | None = None

    def record(self) -> ValsetRecord:
        """What a report says of the set."""
        return ValsetRecord.model_validate(self.model_dump(include=set(ValsetRecord.model_fields)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationSet:
    """A registered set with its files open; `tokens` is the whole stream."""

    folder: Path
    registration: Registration
    tokenizer: Tokenizer = field(repr=False)
    table: BytesTable = field(repr=False)
    tokens: Tokens = field(repr=False)


def valset_sha256(shard_digests: Sequence[str], *, pieces_sha256: str) -> str:
    """The identity of a validation set: its shards in order, and the tokenizer that made them.

    SHA-256 over the canonical JSON of `{"pieces_sha256": ..., "shards": [...]}`, in hex.
    """
    declared = {"pieces_sha256": pieces_sha256, "shards": list(shard_digests)}
    return hashlib.sha256(canonical.dumps(declared)).hexdigest()


def measure(
    name: str, shards: Sequence[Path], tokenizer: Path, *, tokenizer_name: str, progress: Progress = silent
) -> tuple[Registration, list[str]]:
    """Measure a set from its files: every document is decoded once and compared with the byte table.

    Args:
        name: what it will be called.
        shards: in the order of the stream.
        tokenizer: the SentencePiece model that made them.
        tokenizer_name: for people.
        progress: told documents.

    Returns:
        The registration, and the SHA-256 of every document's tokens (uint16, little-endian, its BOS included).

    Raises:
        DataError: a file is no shard or no tokenizer, the byte table miscounts a document, or no text is scored.
        OSError: a file cannot be read.
    """
    pieces = load_tokenizer(tokenizer)
    table = bytes_table(pieces)
    tokens = read_stream(shards, vocab_size=pieces.vocab_size)
    entries = [ShardEntry(file=path.name, sha256=file_sha256(path), tokens=token_count(path)) for path in shards]
    totals = cross_check(table, pieces, tokens, where=name, progress=progress)
    documents = [_document_sha256(document) for document in split_documents(tokens, bos_id=pieces.bos_id)]
    targets = usable_targets(len(tokens))
    target_bytes = count_target_bytes(table, tokens, targets)
    if target_bytes == 0:
        raise TooFewTokens(
            name, expected="at least 1 byte of text among the scored targets", got="control tokens alone"
        )
    registration = Registration(
        name=name,
        sha256=valset_sha256([entry.sha256 for entry in entries], pieces_sha256=pieces.pieces_sha256),
        shards=tuple(entries),
        tokenizer_name=tokenizer_name,
        vocab_size=pieces.vocab_size,
        pieces_sha256=pieces.pieces_sha256,
        documents=totals.documents,
        distinct_documents=len(set(documents)),
        documents_sha256=hashlib.sha256(documents_text(documents)).hexdigest(),
        tokens=totals.tokens,
        bytes=totals.bytes,
        targets=targets,
        target_bytes=target_bytes,
        official=recognise(pieces_sha256=pieces.pieces_sha256, targets=targets, target_bytes=target_bytes),
    )
    return registration, documents


def _document_sha256(document: Tokens) -> str:
    return hashlib.sha256(document.astype("<u2").tobytes()).hexdigest()


def documents_text(digests: Sequence[str]) -> bytes:
    """The file of document digests, one a line."""
    return "".join(f"{digest}\n" for digest in digests).encode()


def count_target_bytes(table: BytesTable, tokens: Tokens, targets: int) -> int:
    """The bytes of text of the first `targets` targets."""
    total = 0
    for start in range(0, targets, PART_TOKENS):
        stop = min(start + PART_TOKENS, targets)
        total += int(table.target_bytes(tokens[start:stop], tokens[start + 1 : stop + 1]).sum())
    return total


def read_registration(folder: Path) -> Registration:
    """The registration that lies in `folder`.

    Raises:
        BadRegistration: it is none of this version.
        OSError: it cannot be read.
    """
    try:
        return Registration.model_validate_json((folder / REGISTRATION_FILE).read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([folder.name, *map(str, first["loc"])])
        raise BadRegistration(place, expected=wanted(first["msg"]), got=shown(first["input"])) from None


def registration_in(folder: Path) -> Registration:
    """The registration of a set that is to be used; like `read_registration`, but any fault is ours.

    Raises:
        ValsetBroken: it is missing, or none of this version.
    """
    with _broken_by(folder):
        return read_registration(folder)


def open_valset(folder: Path) -> ValidationSet:
    """Open a registered set; `check` holds it against its registration.

    Raises:
        ValsetBroken: a file is missing, or is no shard or tokenizer any more.
    """
    with _broken_by(folder):
        registration = read_registration(folder)
        tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
        tokens = read_stream([folder / shard.file for shard in registration.shards], vocab_size=tokenizer.vocab_size)
    table = bytes_table(tokenizer)
    return ValidationSet(folder=folder, registration=registration, tokenizer=tokenizer, table=table, tokens=tokens)


@contextmanager
def _broken_by(folder: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise ValsetBroken(f"validation set {folder.name}: {error.code}; register it again") from None
    except OSError as error:
        raise ValsetBroken(f"validation set {folder.name}: can't read a file ({error.strerror})") from None


def check(valset: ValidationSet) -> None:
    """Hold a set against its registration: digests of shards and tokenizer, documents, tokens, bytes, targets.

    Raises:
        ValsetBroken: naming the first difference.
    """
    registered, pieces = valset.registration, valset.tokenizer.pieces_sha256
    digests = [file_sha256(valset.folder / shard.file) for shard in registered.shards]
    totals = stream_totals(valset.table, valset.tokens, bos_id=valset.tokenizer.bos_id)
    targets = usable_targets(totals.tokens)
    target_bytes = count_target_bytes(valset.table, valset.tokens, targets)
    official = recognise(pieces_sha256=pieces, targets=targets, target_bytes=target_bytes)
    pairs: dict[str, tuple[object, object]] = {
        "shard digests": ([shard.sha256 for shard in registered.shards], digests),
        "tokenizer digest": (registered.pieces_sha256, pieces),
        "set digest": (registered.sha256, valset_sha256(digests, pieces_sha256=pieces)),
        "documents": (registered.documents, totals.documents),
        "tokens": (registered.tokens, totals.tokens),
        "bytes": (registered.bytes, totals.bytes),
        "targets": (registered.targets, targets),
        "target bytes": (registered.target_bytes, target_bytes),
        "official set": (registered.official, registered.official and official),  # may become official later
    }
    for what, (expected, got) in pairs.items():
        if expected != got:
            raise ValsetBroken(f"validation set {registered.name}: {what}: registered {expected}, found {got}")
