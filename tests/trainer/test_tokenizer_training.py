import pytest

from trainer.tokenizer_training import BadVocabSize, train_tokenizer
from verifier.sentencepiece_model import PieceType
from verifier.tokenizer import parse_tokenizer

TEXTS = [f"The {word} of {number} was ｆｕｌｌ of {word}s." for number in range(40) for word in ("river", "harbour")]


def test_a_trained_tokenizer_has_the_challenges_settings() -> None:
    tokenizer = parse_tokenizer(train_tokenizer(TEXTS, vocab_size=300))
    assert tokenizer.vocab_size == 300
    assert [piece.text for piece in tokenizer.pieces[:4]] == ["<pad>", "<s>", "</s>", "<unk>"]
    assert tokenizer.bos_id == 1
    assert [piece.text for piece in tokenizer.pieces[4:260]] == [f"<0x{value:02X}>" for value in range(256)]
    learned = [piece for piece in tokenizer.pieces if piece.type is PieceType.NORMAL]
    assert not [
        piece for piece in learned if any(digit in piece.text for digit in "0123456789") and len(piece.text) > 1
    ]
    (document,) = tokenizer.encode(["ｆｕｌｌ　river"])
    assert tokenizer.decode([document]) == ["full river"]
    assert not tokenizer.pieces[document[1]].text.startswith("▁")


def test_the_same_texts_give_the_same_pieces() -> None:
    first, second = (parse_tokenizer(train_tokenizer(TEXTS, vocab_size=300)) for _ in range(2))
    assert first.pieces_sha256 == second.pieces_sha256


def test_a_long_document_is_not_left_out() -> None:
    long = "zebra " * 5000
    tokenizer = parse_tokenizer(train_tokenizer([*TEXTS, long], vocab_size=300))
    assert "▁zebra" in {piece.text for piece in tokenizer.pieces}


@pytest.mark.parametrize(
    ("texts", "vocab_size", "words"),
    [
        (TEXTS, 260, "expected 261 to 65536"),
        (TEXTS, 65537, "expected 261 to 65536"),
        (TEXTS, 8192, r"expected at most \d+ pieces for so little text, got --vocab-size 8192"),
        (TEXTS, 265, r"expected at least \d+ pieces, one for every common character, got --vocab-size 265"),
        ([], 300, "expected text to train on"),
        (["  "], 300, "expected text to train on"),
    ],
)
def test_an_impossible_vocabulary_is_refused_with_what_would_do(texts: list[str], vocab_size: int, words: str) -> None:
    with pytest.raises(BadVocabSize, match=words):
        train_tokenizer(texts, vocab_size=vocab_size)
