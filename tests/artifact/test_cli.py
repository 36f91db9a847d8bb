"""`seedgolf inspect`, `diff` and `unpack`, as a person and as a script use them."""

import json
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

import artifact
from seedgolf import COMMANDS, main
from tests.forge import Draft, good_claims, good_manifest, good_training, stored_tensors


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.sgolf"
    manifest = good_manifest() | {"training": good_training(), "claims": good_claims(), "name": "[red]x[/red]"}
    path.write_bytes(Draft(manifest=manifest).build())
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_inspect_shows_what_was_asked_for(good: Path) -> None:
    result = run("inspect", good)
    assert result.exit_code == 0
    for text in ("[red]x[/red]", "sha256", "frozen-backbone/1", "lora rank 2", "embedding", "bytes left of 16,000,000"):
        assert text in result.output
    assert "\x1b" not in result.output, "no colours when the output is no terminal"


def test_inspect_as_json_adds_up(good: Path) -> None:
    found: dict[str, Any] = json.loads(run("inspect", "--json", good).output)
    assert found["file_bytes"] == good.stat().st_size
    assert found["margin_bytes"] == 16_000_000 - good.stat().st_size
    packed = sum(group["compressed_bytes"] for group in found["groups"].values())
    assert packed + found["overhead_bytes"] == found["file_bytes"]
    inflated = sum(group["inflated_bytes"] for group in found["groups"].values())
    assert inflated == found["manifest"]["payload"]["inflated_bytes"]
    assert sum(tensor["inflated_bytes"] for tensor in found["tensors"]) < inflated
    assert found["num_learned"] == 466
    assert found["num_frozen"] == 256


def test_layers_are_merged_unless_every_tensor_is_asked_for(tmp_path: Path) -> None:
    manifest = good_manifest()
    manifest["model"]["num_layers"] = 3
    path = tmp_path / "three.sgolf"
    path.write_bytes(Draft(manifest=manifest).build())
    together, each = run("inspect", path).output, run("inspect", "--tensors", path).output
    assert re.search(r"layers\.\*\.attn\.q\.lora_a +3 +lora_a +I8\+F16 +2 x 8 +60 ", together)
    assert "layers.2" not in together
    assert re.search(r"layers\.2\.attn\.q\.lora_a +1 +lora_a +I8 +2 x 8 +16 ", each)
    assert "layers.2.attn.q.lora_a.scale" in each


def test_a_faulty_file_gives_its_code_and_is_no_answer_of_diff(tmp_path: Path) -> None:
    path = tmp_path / "bad.sgolf"
    path.write_bytes(Draft(version=9).build())
    for arguments in (["inspect", path], ["unpack", path, tmp_path / "out"], ["diff", path, path]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "unsupported-version: offset 8: expected format version 1, got 9; upgrade seedgolf" in result.output
        assert "Traceback" not in result.output


def test_a_file_of_another_kind_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "pickle.sgolf"
    path.write_bytes(b"\x80\x04\x95")
    result = run("inspect", path)
    assert re.search(
        r"Error: \S+pickle\.sgolf: bad-magic: .* got 80 04 95; the file is damaged or was not", result.output
    )


def test_a_file_over_the_formats_cap_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.sgolf"
    with path.open("wb") as file:
        file.truncate(10**12)
    result = run("inspect", path)
    assert result.exit_code == 2
    assert "file-too-large" in result.output


@pytest.mark.parametrize("arguments", [["inspect"], ["inspect", "no-such-file"], ["diff", "."], ["frobnicate"]])
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_diff_is_silent_about_equal_files_and_exact_about_others(good: Path, tmp_path: Path) -> None:
    assert run("diff", good, good).output == "the same file\n"
    tensors = stored_tensors(good_manifest())
    tensors["layers.0.attn_scale"][3] += 0.5
    other = tmp_path / "other.sgolf"
    other.write_bytes(Draft(manifest=good_manifest(), tensors=tensors).build())
    result = run("diff", good, other)
    assert result.exit_code == 1
    for text in ("claims.val_bpb", "1.25", "absent", "layers.0.attn_scale", "1 of 8", "0.5"):
        assert text in result.output
    found = json.loads(run("diff", "--json", good, other).output)
    assert found["same"] is False
    assert found["tensors"] == [{"name": "layers.0.attn_scale", "num_changed": 1, "num_elements": 8, "largest": 0.5}]


def test_diff_of_scales_that_overflow_has_no_nan_and_says_equal_files_are_equal(tmp_path: Path) -> None:
    manifest = good_manifest()
    manifest["quantization"]["embedding"]["scale"] = "float32"
    tensors = stored_tensors(manifest)
    tensors["embed.weight.scale"].fill(3e38)
    one, other = tmp_path / "one.sgolf", tmp_path / "other.sgolf"
    one.write_bytes(Draft(manifest=manifest, tensors=tensors).build())
    other.write_bytes(Draft(manifest=manifest, tensors=tensors | {"embed.weight": -tensors["embed.weight"]}).build())
    assert run("diff", one, one).exit_code == 0
    changed = run("diff", "--json", one, other)
    assert (changed.exit_code, changed.stderr) == (1, "")
    [row] = json.loads(changed.output, parse_constant=pytest.fail)["tensors"]
    assert (row["name"], row["largest"]) == ("embed.weight", None)
    assert re.search(r"embed.weight +\d+ of 128 +inf", run("diff", one, other).output)


def test_diff_tells_recompression_from_change(tmp_path: Path) -> None:
    paths = [tmp_path / "one.sgolf", tmp_path / "two.sgolf"]
    for level, path in zip((1, 9), paths, strict=True):
        path.write_bytes(Draft(stream=lambda data, level=level: zlib.compress(data, level)).build())
    result = run("diff", *paths)
    assert (result.exit_code, result.output) == (0, "equal manifest and tensors, compressed differently\n")


def test_a_long_diff_says_what_it_leaves_out(good: Path, tmp_path: Path) -> None:
    manifest = good_manifest()
    manifest["model"]["num_layers"] = 9
    path = tmp_path / "nine.sgolf"
    path.write_bytes(Draft(manifest=manifest).build())
    assert "more (--json lists all)" in run("diff", good, path).output


@pytest.mark.parametrize("words", [["diff", "{good}", "{good}"], ["inspect", "{good}", "--json"], ["-h"]])
def test_an_output_that_takes_no_more_is_told_in_one_line_and_is_no_answer(good: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "seedgolf", *(word.format(good=good) for word in words)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Error: can't write the output: No space left on device\n")


def test_unpack_writes_a_file_that_safetensors_reads(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    assert run("unpack", good, folder).exit_code == 0
    tensors = load_file(folder / "tensors.safetensors")
    read = artifact.read(good.read_bytes())
    assert set(tensors) == set(read.tensors)
    assert all((tensors[name] == read.tensors[name]).all() for name in tensors)
    assert (folder / "manifest.json").read_bytes() == read.manifest.to_bytes()


def test_unpack_never_overwrites(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "manifest.json").write_text("mine")
    result = run("unpack", good, folder)
    assert result.exit_code == 2
    assert "manifest.json exists; name another folder or remove it" in result.output
    assert [(entry.name, entry.read_text()) for entry in folder.iterdir()] == [("manifest.json", "mine")]


def test_unpack_into_a_place_that_is_no_folder_says_so(good: Path) -> None:
    result = run("unpack", good, good / "out")
    assert result.exit_code == 2
    assert "can't write" in result.output


def test_inspect_imports_neither_torch_nor_numba() -> None:
    code = "import sys, seedgolf, artifact.cli; print(sorted({'torch', 'numba', 'triton'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_every_command_of_the_overview_exists_and_shows_an_example() -> None:
    overview = run("--help").output
    for name in COMMANDS:
        assert f"  {name} " in overview
        command = main.get_command(click.Context(main), name)
        paths = [[name, inner] for inner in command.commands] if isinstance(command, click.Group) else [[name]]
        for path in paths:
            assert "Example" in run(*path, "--help").output, path
