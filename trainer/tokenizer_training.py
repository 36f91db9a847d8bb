"""Train a tokenizer with the challenge's SentencePiece settings, so that its shards and byte tables mean the same.

BPE with byte fallback, digits split, nmt_nfkc normalisation, no dummy prefix, pad/bos/eos/unk = 0/1/2/3. The same texts
in the same order give the same pieces; the model file's other bytes may differ between SentencePiece versions.
"""

import io
import re
from collections.abc import Iterable

from sentencepiece import SentencePieceTrainer

from verifier.data_errors import DataError
from verifier.shards import TOKEN_VALUES

MIN_VOCAB_SIZE = 4 + 256 + 1  # roles, bytes, one piece
CHARACTER_COVERAGE = 0.999  # the challenge's; rarer characters are spelled in bytes
QUIET = 2  # SentencePiece's log level: errors only
UNLIMITED_BYTES = 1 << 30  # the most it takes


class BadVocabSize(DataError):
    """The vocabulary asked for is impossible, or too large or too small for this text."""

    code = "bad-vocab-size"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> bytes:
    """Train a tokenizer of `vocab_size` pieces on `texts`, each one document.

    Returns:
        The serialized SentencePiece model.

    Raises:
        BadVocabSize: the size is out of range, or the text cannot fill or does not fit it.
    """
    if not MIN_VOCAB_SIZE <= vocab_size <= TOKEN_VALUES:
        raise BadVocabSize(
            "vocabulary size", expected=f"{MIN_VOCAB_SIZE} to {TOKEN_VALUES} (tokens are uint16)", got=str(vocab_size)
        )
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=CHARACTER_COVERAGE,
            max_sentence_length=UNLIMITED_BYTES,  # a longer document would be left out silently
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="nmt_nfkc",
            add_dummy_prefix=False,
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            minloglevel=QUIET,
        )
    except RuntimeError as error:
        raise BadVocabSize(
            "tokenizer training", expected=_expected(str(error)), got=f"--vocab-size {vocab_size}"
        ) from error
    return model.getvalue()


def _expected(refusal: str) -> str:
    """What the library wanted, read out of its message."""
    if most := re.search(r"<= (\d+)\.", refusal):
        return f"at most {most[1]} pieces for so little text"
    if least := re.search(r"required_chars\. \d+ vs (\d+)", refusal):
        return f"at least {least[1]} pieces, one for every common character"
    return "text to train on"
