"""The commands: what a person types, what they get, and that no fault ends in a traceback."""

import json
import tomllib
from pathlib import Path

import pytest
import torch
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from artifact.format import container, limits
from artifact.usage_fault import UsageFault
from tests.trainer import tiny
from trainer.cli import faults_in_one_line, plot, train
from trainer.loop import train as train_loop
from trainer.presets import PRESETS
from trainer.runfolder import occupied
from trainer.runlog import RunLog


def call(*arguments: str) -> Result:
    return CliRunner().invoke(train, list(arguments), catch_exceptions=False)


def data(root: Path) -> list[str]:
    files = tiny.corpus(root)
    shards = ["--train-shards", str(root / "tr*.bin"), "--val-shards", str(root / "v?l.bin")]
    return [*shards, "--tokenizer", str(files.tokenizer), "--device", "cpu"]


def settings(*more: str) -> list[str]:
    return [part for setting in (*tiny.SETTINGS, *more) for part in ("--set", setting)]


def test_train_makes_a_run_folder_with_an_artifact(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = call("--preset", "smoke", "--out", str(out), *data(tmp_path / "data"), *settings(), "--json")
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)
    assert numbers == json.loads((out / "result.json").read_text())
    assert numbers["rebuild_same_nats"] is True
    assert numbers["val_bpb_rebuilt"] == numbers["val_bpb_claimed"]
    assert numbers["artifact_bytes"] == (out / "artifact.sgolf").stat().st_size
    assert numbers["packing_cost_bpb"] == numbers["val_bpb_claimed"] - numbers["val_bpb_in_memory"]
    assert numbers["xz_bpb"] > 0
    manifest = container.read((out / "artifact.sgolf").read_bytes()).manifest
    assert manifest.training is not None
    assert manifest.training.config == (out / "recipe.json").read_text()
    assert tomllib.loads((out / "config.toml").read_text())["model"] == json.loads(manifest.training.config)["model"]

    again = call("--preset", "smoke", "--out", str(out), *data(tmp_path / "data"))
    assert (again.exit_code, "this folder holds a run; take another --out" in again.stderr) == (2, True)
    resumed = call("--resume", "--out", str(out))
    assert (resumed.exit_code, "this run is finished" in resumed.stderr) == (2, True)


FAULTS = [
    (["--preset", "smok"], "preset 'smok': expected one of smoke, demo"),
    ([], "--preset: expected one of smoke, demo"),
    (["--preset", "smoke"], "--out: expected the run folder to make"),
    (["--preset", "smoke", "--out", "x", "--set", "model.num_layer=3"], "did you mean model.num_layers"),
    (
        ["--preset", "smoke", "--set", "model.num_layers=0"],
        "model.num_layers: expected greater than or equal to 1, got 0",
    ),
    (["--preset", "smoke", "--out", "x", "--train-shards", "*.bin"], "got no --val-shards and no --tokenizer"),
    (["--resume"], "--resume: expected --out alone"),
    (["--resume", "--out", "x", "--preset", "smoke"], "--resume: expected --out alone"),
    (["--resume", "--out", "x"], "there is no run to go on with"),
]


@pytest.mark.parametrize(("arguments", "message"), FAULTS)
def test_a_wrong_command_is_answered_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_shards_that_are_not_there_are_named(tmp_path: Path) -> None:
    arguments = data(tmp_path / "data")
    arguments[1] = str(tmp_path / "nothing*.bin")
    result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments)
    assert result.exit_code == 2
    assert "--train-shards: expected at least one file, got none" in result.stderr


def test_a_corpus_folder_and_shards_are_not_mixed(tmp_path: Path) -> None:
    arguments = [*data(tmp_path / "data"), "--data", str(tmp_path / "data")]
    result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments)
    assert (result.exit_code, "got --data as well" in result.stderr) == (2, True)


def test_a_shard_of_validation_is_not_trained_on(tmp_path: Path) -> None:
    arguments = data(tmp_path / "data")
    arguments[1] = str(tmp_path / "data" / "*.bin")
    result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments, *settings())
    assert result.exit_code == 2
    assert "val.bin: expected a shard for training alone, got one of validation" in result.stderr


def test_more_shards_than_a_manifest_can_name_are_refused_before_the_training(tmp_path: Path) -> None:
    arguments = data(tmp_path / "data")
    for number in range(limits.MAX_TRAIN_SHARDS):
        (tmp_path / "data" / f"train{number}.bin").hardlink_to(tmp_path / "data" / "train.bin")
    result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments, *settings())
    assert result.exit_code == 2
    assert "expected at most 512, which the manifest can name, got 513" in result.stderr


def test_the_config_that_a_run_is_made_of_is_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "config.toml"
    mine.write_text('preset = "smoke"  # mine\n')
    result = call("--config", str(mine), "--out", str(tmp_path), *data(tmp_path / "data"))
    assert (result.exit_code, "the run writes its own there; take another --out" in result.stderr) == (2, True)
    assert mine.read_text() == 'preset = "smoke"  # mine\n'


def test_a_folder_in_which_a_process_trains_takes_no_second_one(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with occupied(out):
        result = call("--preset", "smoke", "--out", str(out), *data(tmp_path / "data"), *settings())
    assert (result.exit_code, "another process trains here" in result.stderr) == (2, True)
    assert list(out.iterdir()) == []


def test_a_full_gpu_is_answered_in_one_line() -> None:
    says = r"the GPU's memory is full; lower --set batch\.micro_batch_tokens"
    with pytest.raises(UsageFault, match=says), faults_in_one_line():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_another_vocabulary_is_answered_with_the_setting_that_fits(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [*data(tmp_path / "data"), *settings("model.vocab_size=512")]
    result = call("--preset", "smoke", "--out", str(out), *arguments)
    assert result.exit_code == 2
    assert "add --set model.vocab_size=1024" in result.stderr
    assert not (out / "metrics.jsonl").exists()  # the folder may take the corrected run


def test_a_broken_shard_is_the_data_s_fault(tmp_path: Path) -> None:
    arguments = data(tmp_path / "data")
    (tmp_path / "data" / "val.bin").write_bytes(b"x" * 10)
    result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments, *settings())
    assert result.exit_code == 2
    assert "bad-shard-length" in result.stderr


def test_the_shell_completes_the_name_of_a_preset() -> None:
    completed = ShellComplete(train, {}, "train", "_TRAIN_COMPLETE").get_completions(["--preset"], "de")
    assert [item.value for item in completed] == ["demo", "dense"]


def test_a_finished_run_keeps_no_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "run"
    often = settings("run.checkpoint_every_seconds=0.0001")
    result = call("--preset", "smoke", "--out", str(out), *data(tmp_path / "data"), *often)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "artifact.sgolf",
        "config.toml",
        "data.json",
        "metrics.jsonl",
        "recipe.json",
        "result.json",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_printed_config_is_read_back(tmp_path: Path, name: str) -> None:
    printed = call("--preset", name, "--print-config", "--set", "run.name=mine")
    path = tmp_path / "config.toml"
    path.write_text(printed.stdout)
    again = call("--config", str(path), "--print-config")
    assert again.exit_code == 0
    assert again.stdout == printed.stdout
    assert 'name = "mine"' in printed.stdout


def test_plot_draws_run_folders(tmp_path: Path) -> None:
    out = tmp_path / "run"
    recorder = tiny.Recorder()
    train_loop(tiny.run(out, "budget.max_steps=2", recorder=recorder))
    log = RunLog(out / "metrics.jsonl")
    for metrics in recorder.steps:
        log.on_step(metrics)
    log.close()
    drawn = CliRunner().invoke(plot, [str(out), str(out), "--out", str(tmp_path / "c.svg"), "--x", "steps"])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "c.svg").read_text().count("run") >= 2
    empty = CliRunner().invoke(plot, [str(tmp_path), "--out", str(tmp_path / "d.svg")])
    assert (empty.exit_code, "give the folder of a run" in empty.stderr) == (2, True)


def test_tensorboard_is_an_extra_that_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        arguments = [*data(tmp_path / "data"), *settings(), "--tensorboard"]
        result = call("--preset", "smoke", "--out", str(tmp_path / "run"), *arguments)
        assert result.exit_code == 2
        assert "pip install 'seedgolf[tensorboard]'" in result.stderr
    else:
        pytest.skip("tensorboard is installed")


@pytest.mark.slow
def test_the_smoke_preset_needs_no_other_argument(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = call("--preset", "smoke", "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["val_bpb_rebuilt"] < 3.6
    assert (out / "artifact.sgolf").stat().st_size < 200_000


@pytest.mark.slow
def test_the_demo_preset_beats_xz_in_less_than_two_megabytes(tmp_path: Path) -> None:
    result = call("--preset", "demo", "--out", str(tmp_path / "run"), "--json")
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)
    assert numbers["val_bpb_rebuilt"] < numbers["xz_bpb"]
    assert numbers["artifact_bytes"] < 2_000_000
    assert numbers["train_seconds"] <= numbers["train_seconds_limit"]
