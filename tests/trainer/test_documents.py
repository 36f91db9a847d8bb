import json
from pathlib import Path

import pytest

from trainer.documents import BadDocument, NoDocuments, TextUnit, documents, find_texts


def read(*paths: Path, unit: TextUnit = TextUnit.FILE) -> list[str]:
    return list(documents(paths, unit=unit))


def test_a_folder_gives_its_text_files_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.jsonl", "a/c.txt", "ignored.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    names = [path.relative_to(tmp_path).as_posix() for path in find_texts([tmp_path])]
    assert names == ["a/c.txt", "a/z.jsonl", "b.txt"]


@pytest.mark.parametrize(
    ("name", "got"), [("none.txt", "nothing there"), ("notes.md", "another file"), ("empty", "a folder without any")]
)
def test_an_input_without_text_is_named(tmp_path: Path, name: str, got: str) -> None:
    (tmp_path / "notes.md").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDocuments, match=got) as caught:
        find_texts([tmp_path / name])
    assert caught.value.where == str(tmp_path / name)


def test_a_txt_file_is_one_document_or_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffOne\ntwo\n \t\r\n\n\nthree ü\n".encode())
    assert read(path) == ["One\ntwo\n \t\r\n\n\nthree ü"]
    assert read(path, unit=TextUnit.BLANK_LINE) == ["One\ntwo", "three ü"]


def test_a_jsonl_line_is_a_document_and_blank_ones_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        json.dumps({"text": " first \u2028 ü ", "id": 4}),
        "",
        "  ",
        json.dumps({"text": " \n"}),
        '{"text": "last"}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read(path) == ["first \u2028 ü", "last"]


BAD_LINES = [
    ("not JSON", b'{"text": "a"\n', "line 2: expected a JSON object, got Expecting ',' delimiter at column"),
    ("a list", b'["a"]\n', 'line 2: expected a JSON object with a string under the key "text", got another value'),
    ("no text", b'{"body": "a"}\n', 'a string under the key "text"'),
    ("text is a number", b'{"text": 5}\n', 'a string under the key "text"'),
    ("not UTF-8", b'{"text": "a\xff"}\n', "line 2: expected UTF-8 text, got byte 0xff at offset 28"),
    ("half a surrogate pair", b'{"text": "\\ud800"}\n', "line 2: expected Unicode text, got half of a surrogate pair"),
    ("too deep", b"[" * 200_000 + b"\n", "line 2: expected a JSON object, got brackets nested too deeply"),
]


@pytest.mark.parametrize(("name", "line", "words"), BAD_LINES, ids=[case[0] for case in BAD_LINES])
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, name: str, line: bytes, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "good"}\n' + line)
    with pytest.raises(BadDocument) as caught:
        read(path)
    assert words in str(caught.value)
    assert caught.value.where == f"{path}: line 2"


def test_a_txt_file_that_is_not_utf8_is_named_with_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"caf\xe9 au lait")
    with pytest.raises(BadDocument, match="expected UTF-8 text, got byte 0xe9 at offset 3"):
        read(path)


def test_progress_is_told_bytes_and_ends_at_their_total(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.txt"
    first.write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    second.write_text("three", encoding="utf-8")
    told: list[tuple[int, int]] = []
    assert list(documents([first, second], unit=TextUnit.FILE, progress=lambda *at: told.append(at))) == [
        "one",
        "two",
        "three",
    ]
    assert told == [(16, 37), (32, 37), (37, 37)]
