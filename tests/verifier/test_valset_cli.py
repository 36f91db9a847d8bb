import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.verifier.entries import SET_NAME, register, write_set
from verifier.valset_cli import valset


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    register(tmp_path)
    return tmp_path / "valsets"


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(valset, [*arguments, "--valset-dir", str(folder)])


def test_a_set_is_added_listed_shown_and_checked(tmp_path: Path) -> None:
    write_set(tmp_path / "data")
    folder = tmp_path / "sets"
    pattern, tokenizer = str(tmp_path / "data" / "v*.bin"), str(tmp_path / "data" / "bytes.model")
    added = run(folder, "add", "mine", "--shards", pattern, "--tokenizer", tokenizer)
    assert added.exit_code == 0
    assert "5,120 targets" in added.stdout
    (listed,) = json.loads(run(folder, "list", "--json").stdout)
    assert listed == json.loads(run(folder, "show", "mine", "--json").stdout)
    assert listed["sha256"] in added.stdout
    assert "mine" in run(folder, "list").stdout
    checked = run(folder, "check", "mine")
    assert (checked.exit_code, checked.stdout) == (0, "mine: 24 documents, all as registered\n")


def test_the_built_in_set_is_offered_before_it_is_registered(tmp_path: Path) -> None:
    assert "seedgolf valset show demo" in run(tmp_path, "list").stdout
    shown = run(tmp_path, "show", "demo")
    assert shown.exit_code == 0
    assert "28, 28 of them distinct" in shown.stdout
    assert "seedgolf valset show demo" not in run(tmp_path, "list").stdout


def test_a_damaged_set_does_not_pass_its_check(registered: Path) -> None:
    shard = registered / SET_NAME / "val_000000.bin"
    shard.write_bytes(shard.read_bytes()[:-2] + b"\4\0")
    done = run(registered, "check", SET_NAME)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: valset-broken: validation set tiny: shard digests")


def test_faults_are_one_line_with_a_code(registered: Path, tmp_path: Path) -> None:
    (tmp_path / "not a shard.bin").write_bytes(b"x")
    tokenizer = str(tmp_path / "source" / "bytes.model")
    cases = {
        ("add", "mine", "--shards", str(tmp_path / "not*.bin"), "--tokenizer", tokenizer): (
            2,
            f"bad-shard-length: {tmp_path / 'not a shard.bin'}: expected a header",
        ),
        ("add", "mine", "--shards", str(tmp_path / "none*.bin"), "--tokenizer", tokenizer): (2, "no file matches"),
        ("add", "a/b", "--shards", str(tmp_path / "not*.bin"), "--tokenizer", tokenizer): (2, "bad-valset-name"),
        ("show", "yours"): (2, "unknown-valset"),
    }
    for arguments, (exit_code, says) in cases.items():
        done = run(registered, *arguments)
        assert (done.exit_code, done.stdout) == (exit_code, "")
        assert says in done.stderr
