"""Everything that can be wrong with a person's data: one class and one stable code per rule.

    DataError                      data-error: the data's fault, safe to show to whoever gave it
      BadShardLength               bad-shard-length
      BadShardMagic                bad-shard-magic
      UnsupportedShardVersion      unsupported-shard-version
      TokenOutOfVocabulary         token-out-of-vocabulary
      TooFewTokens                 too-few-tokens
      BadTokenizer                 bad-tokenizer
      NoByteFallback               no-byte-fallback
      ByteCountMismatch            byte-count-mismatch
      NonFiniteNats                non-finite-nats
      DemoCorpusMismatch           demo-corpus-mismatch

The trainer adds its own beside their owners (documents, fetch). A message says where, what was expected and what came.
"""

from typing import ClassVar


class DataError(ValueError):
    """A fault of the data: `code` is stable; `where`, `expected`, `got` and `next_step` are for people."""

    code: ClassVar[str] = "data-error"

    def __init__(self, where: str, *, expected: str, got: str, next_step: str = "") -> None:
        super().__init__(f"{where}: expected {expected}, got {got}" + (f"; {next_step}" if next_step else ""))
        self.where = where
        self.expected = expected
        self.got = got
        self.next_step = next_step


class BadShardLength(DataError):
    """The file's size is not what its header's token count implies, or there is no header or no token."""

    code = "bad-shard-length"


class BadShardMagic(DataError):
    """The first header word is not the shard magic."""

    code = "bad-shard-magic"


class UnsupportedShardVersion(DataError):
    """The second header word is a version that this reader does not know."""

    code = "unsupported-shard-version"


class TokenOutOfVocabulary(DataError):
    """A token is at or above the vocabulary size: these shards belong to another tokenizer."""

    code = "token-out-of-vocabulary"


class TooFewTokens(DataError):
    """The stream is too short for what was asked of it."""

    code = "too-few-tokens"


class BadTokenizer(DataError):
    """The file is no SentencePiece model, or not one with the roles a shard needs."""

    code = "bad-tokenizer"


class NoByteFallback(DataError):
    """The tokenizer has no byte pieces, so unknown characters vanish and its byte table undercounts."""

    code = "no-byte-fallback"


class ByteCountMismatch(DataError):
    """The byte table and the decoded text of a document disagree."""

    code = "byte-count-mismatch"


class NonFiniteNats(DataError):
    """A model gave NaN or infinity as the nats of a target."""

    code = "non-finite-nats"


class DemoCorpusMismatch(DataError):
    """The installed corpus package is missing, or its documents or tokens are not the registered ones."""

    code = "demo-corpus-mismatch"
