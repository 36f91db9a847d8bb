import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.verifier.forge import demo_shards
from trainer.data_cli import data
from verifier.demo_corpus import TOKENIZER_FILE, TRAIN_FILE, VAL_FILE, VAL_SHA256
from verifier.shards import write_shard

WORDS = ("river", "harbour", "mountain", "bridge", "lantern")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "documents.txt"
    texts = (f"The {WORDS[n % 5]} by the {WORDS[n // 5 % 5]} is {n * 7919} old." for n in range(100))
    path.write_text("\n\n".join(texts), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo corpus without extracting it again."""
    path = tmp_path / "demo"
    path.mkdir()
    for name, tokens in zip((TRAIN_FILE, VAL_FILE), demo_shards(), strict=True):
        write_shard(path / name, tokens)
    return path


def test_every_command_shows_an_example() -> None:
    assert isinstance(data, click.Group)
    for name, command in data.commands.items():
        assert f"Example: seedgolf data {name}" in run(name, "--help").stdout
        assert command.short_help


def test_prepare_says_what_it_made(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("prepare", source, "--out", out, "--documents", "blank-line", "--vocab-size", "290")
    assert result.exit_code == 0
    assert "290 pieces" in result.stdout
    assert re.search(r"together\s+100\s", result.stdout)
    assert f"In {out}: the tokenizer and 2 shards." in result.stdout
    assert result.stderr.splitlines()[:3] == ["reading", "training the tokenizer", "encoding"]


def test_demo_writes_the_built_in_corpus_and_says_what_xz_reaches(folder: Path) -> None:
    result = run("demo", "--out", folder)
    assert result.exit_code == 0
    assert "xz -9e needs 2.2297 bits per byte for the validation text." in result.stdout
    assert VAL_SHA256[:16] in result.stdout
    assert (folder / TOKENIZER_FILE).is_file()


def test_info_measures_a_folder(folder: Path) -> None:
    run("demo", "--out", folder)
    result = run("info", folder, "--json", "--decode")
    found = json.loads(result.stdout)
    assert found["tokenizer"]["vocab_size"] == 1024
    assert found["decoded"] is True
    assert [shard["sha256"] for shard in found["shards"]][1] == VAL_SHA256
    assert [shard["documents"] for shard in found["shards"]] == [228, 28]
    table = run("info", folder).stdout
    assert re.search(rf"{VAL_FILE}\s+28\s+134,666\s+318,863\s+{VAL_SHA256[:16]}", table)
    assert re.search(r"together\s+256\s+1,256,610\s+2,951,360", table)
    shard = run("info", folder / VAL_FILE, "--tokenizer", folder / TOKENIZER_FILE, "--json")
    assert json.loads(shard.stdout)["shards"] == [found["shards"][1]]


def test_a_decoded_corpus_is_said_to_be_one(folder: Path) -> None:
    run("demo", "--out", folder)
    assert "Every document was decoded" in run("info", folder, "--decode").stdout
    assert "Every document was decoded" not in run("info", folder).stdout


def test_shards_without_their_tokenizer_are_a_usage_error(folder: Path) -> None:
    result = run("info", folder / VAL_FILE)
    assert result.exit_code == 2
    assert "shards together with --tokenizer MODEL" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "."], r"bad-corpus-folder: \S+ expected one tokenizer \(\*\.model\), got 0; make the folder with"),
        (["prepare", "bad.jsonl", "--out", "out"], r"bad-document: bad\.jsonl: line 1: expected a JSON object"),
        (["prepare", "one.txt", "--out", "out"], "no-documents: corpus: expected at least two different documents"),
        (["info", "bad.bin", "--tokenizer", "bad.bin"], r"bad-tokenizer: bad\.bin: expected a SentencePiece model"),
    ],
    ids=["no corpus", "bad line", "one document", "no tokenizer"],
)
def test_a_fault_of_the_data_is_one_line_with_its_code_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bad.jsonl", "one.txt", "bad.bin"):
        Path(name).write_text("nonsense", encoding="utf-8")
    result = run(*arguments)
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert re.match(f"Error: {words}", last)
    assert not Path("out").exists()


def test_a_fault_of_the_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("demo", "--out", tmp_path / "file" / "below")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {tmp_path / 'file' / 'below'}: Not a directory"


def test_an_impossible_vocabulary_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    result = run("prepare", tmp_path, "--vocab-size", "100000", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--vocab-size" in result.stderr
    assert "reading" not in result.stderr


def test_fetch_without_a_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    result = run("fetch", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert (
        "fetch-error: Hugging Face Hub: expected datasets/manifest.json, got no answer"
        in result.stderr.splitlines()[-1]
    )
    assert not (tmp_path / "out").exists()
