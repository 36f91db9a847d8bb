from pathlib import Path

import numpy as np
import pytest

from tests.verifier.forge import BYTES, ROLES, UNKNOWN, demo, model, piece
from verifier.data_errors import BadTokenizer, NoByteFallback
from verifier.tokenizer import load_tokenizer, parse_tokenizer


def test_documents_open_with_bos_and_decode_to_their_text() -> None:
    tokenizer, _ = demo()
    texts = ["Lake Chad lies south of the Sahara.", "Zürich: 日本 ok", ""]
    encoded = tokenizer.encode(texts)
    assert [document[0] for document in encoded] == [1, 1, 1]
    assert all(document.dtype == np.uint16 for document in encoded)
    assert tokenizer.decode(encoded) == texts


def test_a_tokenizer_without_byte_fallback_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "no_bytes.model"
    path.write_bytes(model(*ROLES, piece("▁a")))
    with pytest.raises(NoByteFallback, match="unknown characters lose their bytes") as caught:
        load_tokenizer(path)
    assert caught.value.where == str(path)
    assert caught.value.got == "0 byte pieces"


def test_one_missing_byte_is_no_byte_fallback() -> None:
    with pytest.raises(NoByteFallback, match="got 255 byte pieces"):
        parse_tokenizer(model(*ROLES, *BYTES[:-1]))


def test_more_pieces_than_tokens_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.tokenizer.TOKEN_VALUES", 262)
    assert parse_tokenizer(model(*ROLES, *BYTES, piece("a"), piece("b"))).vocab_size == 262
    with pytest.raises(BadTokenizer, match="at most 262 pieces, got 263"):
        parse_tokenizer(model(*ROLES, *BYTES, piece("a"), piece("b"), piece("c")))


@pytest.mark.parametrize(
    "roles",
    [[piece("<unk>", kind=UNKNOWN)], [piece("<unk>", kind=UNKNOWN), piece("<s>")]],
    ids=["no BOS", "BOS is text"],
)
def test_a_tokenizer_whose_documents_nothing_opens_is_refused(roles: list[bytes]) -> None:
    with pytest.raises(BadTokenizer, match="a BOS piece that opens documents"):
        parse_tokenizer(model(*roles, *BYTES, piece("▁a")))


def test_a_model_that_the_library_refuses_is_no_tokenizer() -> None:
    with pytest.raises(BadTokenizer, match="one that the library refuses"):
        parse_tokenizer(b"".join([*ROLES, *BYTES]))
