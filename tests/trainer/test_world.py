"""Processes: what torchrun's variables mean, which worlds fit a batch, and that their number changes no loss.

The runs under torchrun are real: two processes on the CPU, joined by gloo, started as a person starts them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from artifact.format import container
from tests.trainer import tiny
from trainer.batching import batch_shape
from trainer.config import Config
from trainer.errors import ConfigError
from trainer.finish import finish
from trainer.loop import train
from trainer.runlog import read_log
from trainer.threads import choose_threads
from trainer.world import World, world_from

LOSS_TOLERANCE = 1e-5
"""Relative: two processes add the halves of a batch in another order than one process adds its micro-batches."""
MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def world(size: int, rank: int = 0) -> World:
    return World(rank=rank, world_size=size, device=torch.device("cpu"))


def test_without_torchrun_there_is_one_process() -> None:
    alone = world_from({}, device="cpu")
    assert (alone.rank, alone.world_size, alone.is_main) == (0, 1, True)
    assert alone.told(1.5, 2) == (1.5, 2)
    assert alone.largest(15) == 15
    tensor = torch.ones(2)
    alone.sum_(tensor)
    alone.spread_(tensor)
    assert torch.equal(tensor, torch.ones(2))


def test_torchrun_s_variables_are_read() -> None:
    third = world_from({"RANK": "11", "WORLD_SIZE": "16", "LOCAL_RANK": "3"} | MEETING, device="cpu")
    assert (third.rank, third.world_size, third.is_main) == (11, 16, False)


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"RANK": "0"} | MEETING, "WORLD_SIZE and LOCAL_RANK"),
        ({"RANK": "0", "WORLD_SIZE": "two", "LOCAL_RANK": "0"} | MEETING, "WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "MASTER_ADDR and MASTER_PORT"),
    ],
)
def test_half_set_variables_are_refused(environ: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"^{missing}: .*start with torchrun"):
        world_from(environ, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no CUDA device is visible to torch; use --device cpu"):
        world_from({}, device="cuda")
    assert world_from({}, device="auto").device == torch.device("cpu")


def batch(windows: int, micro_windows: int) -> Config:
    return tiny.config(f"batch.train_batch_tokens={windows * 32}", f"batch.micro_batch_tokens={micro_windows * 32}")


@pytest.mark.parametrize(
    ("windows", "micro", "size", "batch_windows", "steps"),
    [(512, 64, 8, 64, 1), (512, 64, 1, 64, 8), (12, 5, 1, 4, 3), (12, 5, 3, 4, 1), (7, 3, 1, 1, 7), (4, 99, 2, 2, 1)],
)
def test_a_batch_is_cut_into_the_largest_equal_parts(
    windows: int, micro: int, size: int, batch_windows: int, steps: int
) -> None:
    shape = batch_shape(batch(windows, micro), world(size))
    assert (shape.batch_windows, shape.grad_accum_steps, shape.step_windows) == (batch_windows, steps, windows)


def test_a_micro_batch_holds_one_window_at_least() -> None:
    shape = batch_shape(tiny.config("batch.micro_batch_tokens=1"), world(1))
    assert shape.batch_windows == 1


def test_a_world_that_does_not_divide_the_batch_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"3 processes cannot share the 8 windows .* start 2 or 4"):
        batch_shape(batch(8, 8), world(3))


def test_a_batch_beyond_all_data_is_cut_at_once_for_the_data_to_refuse() -> None:
    shape = batch_shape(batch(2**40, 2), world(2))
    assert (shape.batch_windows, shape.step_windows) == (2, 2**40)
    with pytest.raises(ConfigError, match="start 2 or 4"):
        batch_shape(batch(2**40, 2), world(3))


def test_the_faster_number_of_threads_is_taken() -> None:
    before = torch.get_num_threads()
    try:
        assert choose_threads(lambda: None, wanted=1, now=tiny.Clock()) == 1
        torch.set_num_threads(2)
        clock = tiny.Clock()

        def crowded() -> None:
            clock.seconds += 5.0 if torch.get_num_threads() == 2 else 1.0

        assert choose_threads(crowded, wanted=0, now=clock) == 1
        torch.set_num_threads(2)

        def free() -> None:
            clock.seconds += 1.0 / torch.get_num_threads()

        assert choose_threads(free, wanted=0, now=clock) == 2
    finally:
        torch.set_num_threads(before)


def arguments(root: Path, *settings: str) -> list[str]:
    files = tiny.corpus(root.parent / "data")
    command = ["-m", "trainer", "--preset", "smoke", "--out", str(root), "--device", "cpu"]
    command += ["--tokenizer", str(files.tokenizer), "--train-shards", str(files.train[0])]
    command += ["--val-shards", str(files.val[0])]
    return command + [part for setting in (*tiny.SETTINGS, *settings) for part in ("--set", setting)]


def losses(root: Path) -> list[float]:
    return [line["train_loss"] for line in read_log(root / "metrics.jsonl") if line["kind"] == "step"]


def test_two_processes_give_the_curve_of_one_with_accumulation(tmp_path: Path) -> None:
    """And one artifact, scored by both, that a fresh process rebuilds to the same bits."""
    root, recorder = tmp_path / "two", tiny.Recorder()
    subprocess.run([*TORCHRUN, *arguments(root)], check=True, capture_output=True, timeout=300)
    alone = tiny.run(tmp_path / "one", recorder=recorder)
    finished = finish(alone, train_loss=train(alone))
    assert alone.shape.grad_accum_steps == 2
    assert finished is not None
    assert finished.claimed is not None
    assert len(recorder.losses) == 6
    assert losses(root) == pytest.approx(recorder.losses, rel=LOSS_TOLERANCE)
    together = json.loads((root / "result.json").read_text())
    assert together["world_size"] == 2
    assert together["rebuild_same_nats"]
    assert together["val_bpb_rebuilt"] == pytest.approx(finished.claimed.val_bpb, abs=1e-3)


def worker(launcher: int, *, rank: int) -> int:
    """The process of a rank."""
    children = [path.read_text().split() for path in Path(f"/proc/{launcher}/task").glob("*/children")]
    pids = [int(pid) for line in children for pid in line]
    (found,) = [pid for pid in pids if f"\0RANK={rank}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "rank"), [(signal.SIGTERM, None), (signal.SIGINT, None), (signal.SIGTERM, 0), (signal.SIGTERM, 1)]
)
def test_a_signal_to_the_launcher_or_to_any_process_leaves_a_checkpoint_and_an_artifact(
    tmp_path: Path, number: signal.Signals, rank: int | None
) -> None:
    root = tmp_path / "run"
    command = [*TORCHRUN, *arguments(root, "budget.max_steps=1000000")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as launcher:
        deadline = time.monotonic() + 120
        while not (root / "metrics.jsonl").exists() or len(losses_so_far(root)) < 3:
            assert launcher.poll() is None, launcher.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.1)  # two other processes do the work
        os.kill(launcher.pid if rank is None else worker(launcher.pid, rank=rank), number)
        launcher.communicate(timeout=60)
    assert json.loads((root / "result.json").read_text())["ended_by"] == number.name
    artifact = container.read((root / "artifact.sgolf").read_bytes())
    assert artifact.manifest.claims is None
    assert artifact.manifest.training is not None
    assert artifact.manifest.training.steps >= 3
    assert (root / "checkpoint.safetensors").exists()


@pytest.mark.slow
def test_a_folder_that_is_in_use_is_refused_by_every_process_at_once(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (root / "metrics.jsonl").write_text("")
    done = subprocess.run([*TORCHRUN, *arguments(root)], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "this folder holds a run; take another --out" in done.stderr
    assert "the first process could not begin the run; it says why" in done.stderr
    assert "gloo" not in done.stderr


def losses_so_far(root: Path) -> list[str]:
    return [line for line in (root / "metrics.jsonl").read_text().splitlines() if '"step"' in line]
