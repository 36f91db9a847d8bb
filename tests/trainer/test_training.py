"""The loop on a tiny network: it learns, it stops, it goes on with the same bits, it says what happens."""

import json
import math
import signal
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.trainer import tiny
from tests.trainer.tiny import Clock, Recorder
from trainer.checkpoint import read_checkpoint
from trainer.errors import BadCheckpoint, NonFiniteLoss
from trainer.interrupt import Interrupt
from trainer.loop import train
from trainer.metrics import StepMetrics
from trainer.run import Run

EMA = ("ema.decay=0.9", "ema.start_fraction=0.5")


def parameters(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in run.state.parameters.items()}


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_run_learns_and_says_so(tmp_path: Path) -> None:
    recorder = Recorder()
    run = tiny.run(tmp_path, "budget.max_steps=30", "eval.every_steps=10", recorder=recorder)
    loss = train(run)
    assert recorder.steps[0].train_loss == pytest.approx(math.log(tiny.VOCAB_SIZE), rel=0.01)
    assert loss == recorder.steps[-1].train_loss < 4.5
    assert [metrics.step for metrics in recorder.steps] == list(range(1, 31))
    assert [metrics.step for metrics in recorder.validations] == [0, 10, 20]
    assert recorder.validations[-1].val_loss < recorder.validations[0].val_loss
    assert recorder.steps[-1].tokens == 30 * 128
    assert {metrics.targets for metrics in recorder.validations} == {64}


def test_only_what_is_learned_moves(tmp_path: Path) -> None:
    run = tiny.run(tmp_path)
    frozen = {name: value.clone() for name, value in run.state.gpt.named_buffers()}
    before = parameters(run)
    train(run)
    for name, value in run.state.gpt.named_buffers():
        assert torch.equal(value, frozen[name]), name
    assert [name for name, value in parameters(run).items() if torch.equal(value, before[name])] == []


@pytest.mark.parametrize("accumulation", ["batch.micro_batch_tokens=128", "batch.micro_batch_tokens=32"])
def test_accumulation_gives_the_same_curve(tmp_path: Path, accumulation: str) -> None:
    whole, parts = Recorder(), Recorder()
    train(tiny.run(tmp_path / "whole", recorder=whole))
    train(tiny.run(tmp_path / "parts", accumulation, recorder=parts))
    assert parts.losses == pytest.approx(whole.losses, rel=1e-4)


def test_two_runs_of_one_config_are_the_same_and_another_seed_is_not(tmp_path: Path) -> None:
    finals = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = tiny.run(tmp_path / name, f"run.seed={seed}")
        train(run)
        finals.append(parameters(run))
    assert_same_bits(finals[0], finals[1])
    assert not torch.equal(finals[0]["embed.weight"], finals[2]["embed.weight"])


def interrupting(interrupt: Interrupt, *, after_step: int) -> Recorder:
    """A recorder that asks the run to stop once it has made `after_step` steps."""

    def ask(metrics: StepMetrics) -> None:
        if metrics.step == after_step:
            interrupt.signal = signal.SIGTERM

    return Recorder(on_step=ask)


FREEZE = ("freeze.roles=['mlp.up']", "freeze.after_fraction=0.6", "linears.mlp.up.base=learned")


@pytest.mark.parametrize("stop_at", [3, 7, 11])
@pytest.mark.parametrize("lora", ["muon", "adamw"])
def test_a_stopped_run_goes_on_with_the_same_bits(tmp_path: Path, stop_at: int, lora: str) -> None:
    """The stops stand before and after the average starts and the roles freeze; 31 steps are an epoch."""
    settings = (*EMA, *FREEZE, f"optim.lora={lora}", "budget.max_steps=12", "data.order=shuffled")
    straight = Recorder()
    expected = tiny.run(tmp_path / "straight", *settings, recorder=straight)
    train(expected)

    interrupt = Interrupt()
    first, second = interrupting(interrupt, after_step=stop_at), Recorder()
    train(tiny.run(tmp_path / "parts", *settings, recorder=first, interrupt=interrupt))
    resumed = tiny.run(tmp_path / "parts", *settings, resume=True, recorder=second)
    assert resumed.state.step == stop_at
    train(resumed)

    assert tiny.losses([first, second]) == straight.losses
    assert_same_bits(parameters(resumed), parameters(expected))
    assert_same_bits(resumed.state.optimizers.state(), expected.state.optimizers.state())
    assert_same_bits(resumed.state.ema.state()[1], expected.state.ema.state()[1])


def test_a_run_goes_on_in_a_later_epoch(tmp_path: Path) -> None:
    settings = ("budget.max_steps=40", "run.log_every_steps=10")
    expected = tiny.run(tmp_path / "straight", *settings)
    train(expected)
    assert expected.batches.cursor.epoch == 1
    interrupt = Interrupt()
    recorder = interrupting(interrupt, after_step=30)
    train(tiny.run(tmp_path / "parts", *settings, recorder=recorder, interrupt=interrupt))
    resumed = tiny.run(tmp_path / "parts", *settings, resume=True)
    train(resumed)
    assert resumed.batches.cursor == expected.batches.cursor
    assert_same_bits(parameters(resumed), parameters(expected))


def test_the_clock_goes_on_where_the_run_stopped(tmp_path: Path) -> None:
    settings = ("budget.train_seconds=1000", "budget.max_steps=12")
    interrupt = Interrupt()
    recorder = interrupting(interrupt, after_step=5)
    stopped = tiny.run(tmp_path, *settings, recorder=recorder, interrupt=interrupt, now=Clock(tick=0.5))
    train(stopped)
    used = read_checkpoint(stopped.folder.checkpoint).progress.train_seconds
    assert used > 5 * 0.5
    resumed = tiny.run(tmp_path, *settings, resume=True, now=Clock(tick=0.5))
    assert resumed.clock.seconds == used


def test_a_run_that_goes_on_knows_its_last_loss_and_how_long_its_steps_took(tmp_path: Path) -> None:
    """So one whose time is over states no loss of 0, and one whose time is nearly over begins no step too many."""
    interrupt = Interrupt()
    recorder = interrupting(interrupt, after_step=5)
    stopped = tiny.run(tmp_path, recorder=recorder, interrupt=interrupt, now=Clock(tick=0.5))
    train(stopped)
    resumed = tiny.run(tmp_path, resume=True)
    assert resumed.state.train_loss == recorder.losses[-1]
    assert len(stopped.budget.steps.recent) == 5
    assert resumed.budget.steps.recent == stopped.budget.steps.recent
    assert resumed.budget.steps.slowest_seconds > 0


def test_the_budget_ends_a_run_in_time(tmp_path: Path) -> None:
    recorder = Recorder()
    settings = ("budget.train_seconds=60", "budget.max_steps=0", "budget.margin_seconds=1")
    run = tiny.run(tmp_path, *settings, recorder=recorder, now=Clock(tick=0.25))
    train(run)
    assert 10 < run.state.step < 60 / 0.25
    assert run.clock.seconds <= 60
    factors = [metrics.lr_factor for metrics in recorder.steps]
    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)
    assert factors[-2] < 0.5


def test_validation_by_the_clock_comes_every_so_many_seconds(tmp_path: Path) -> None:
    recorder = Recorder()
    settings = ("budget.train_seconds=60", "budget.max_steps=0", "eval.every_seconds=15")
    train(tiny.run(tmp_path, *settings, recorder=recorder, now=Clock(tick=0.25)))
    times = [metrics.train_seconds for metrics in recorder.validations]
    assert len(times) >= 3
    assert all(later - earlier >= 15 for earlier, later in pairwise(times))


def test_roles_stop_learning_after_their_share_and_the_rest_goes_on(tmp_path: Path) -> None:
    snapshots: list[dict[str, torch.Tensor]] = []
    recorder = Recorder(on_step=lambda _: snapshots.append(parameters(run)))
    run = tiny.run(tmp_path, *FREEZE, "budget.max_steps=10", recorder=recorder)
    train(run)
    up, down = "layers.0.mlp.up.weight", "layers.0.mlp.down.lora_b"
    moves = {name: [not torch.equal(a[name], b[name]) for a, b in pairwise(snapshots)] for name in (up, down)}
    assert moves[up] == [True] * 5 + [False] * 4
    assert moves[down] == [True] * 9
    assert run.state.frozen
    assert any("mlp.up stopped learning" in note for note in recorder.notes)


def test_a_diverging_run_stops_and_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    def break_weights(metrics: StepMetrics) -> None:
        if metrics.step == 5:
            with torch.no_grad():
                run.state.parameters["embed.weight"][3] = torch.nan

    settings = ("budget.max_steps=9", "run.checkpoint_every_seconds=1")
    run = tiny.run(tmp_path, *settings, recorder=Recorder(on_step=break_weights), now=Clock(tick=0.25))
    with pytest.raises(NonFiniteLoss, match=r"step 6: the loss is nan; the last good checkpoint is .*checkpoint"):
        train(run)
    saved = read_checkpoint(run.folder.checkpoint)
    assert saved.progress.step < 6
    assert saved.is_finite


def test_a_run_that_diverges_at_once_says_that_there_is_no_checkpoint(tmp_path: Path) -> None:
    run = tiny.run(tmp_path)
    with torch.no_grad():
        run.state.parameters["layers.0.attn.q.lora_a"].fill_(torch.inf)
    with pytest.raises(NonFiniteLoss, match="step 0: the validation loss is nan; there is no checkpoint yet"):
        train(run)
    assert not run.folder.checkpoint.exists()


def test_warm_up_leaves_no_trace(tmp_path: Path) -> None:
    run = tiny.run(tmp_path, *EMA, "ema.start_fraction=0")
    assert run.state.step == 0
    assert run.state.optimizers.state() == {}
    assert run.state.ema.state() == (0, {})
    assert run.batches.cursor.windows == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("absent", "there is no checkpoint to go on from; train anew with another --out"),
        ("cut", "got a damaged file"),
        ("other", "got another safetensors file"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path, damage: str, message: str) -> None:
    interrupt = Interrupt()
    run = tiny.run(tmp_path, recorder=interrupting(interrupt, after_step=2), interrupt=interrupt)
    train(run)
    path = run.folder.checkpoint
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.write_bytes((8).to_bytes(8, "little") + b"{}      ")
    with pytest.raises(BadCheckpoint, match=message):
        tiny.run(tmp_path, resume=True)


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    interrupt = Interrupt()
    train(tiny.run(tmp_path, recorder=interrupting(interrupt, after_step=2), interrupt=interrupt))
    with pytest.raises(BadCheckpoint, match="made under another config"):
        tiny.run(tmp_path, "optim.control_lr=0.01", resume=True)


def test_a_checkpoint_holds_no_frozen_number_and_no_pickle(tmp_path: Path) -> None:
    interrupt = Interrupt()
    run = tiny.run(tmp_path, recorder=interrupting(interrupt, after_step=2), interrupt=interrupt)
    train(run)
    saved = read_checkpoint(run.folder.checkpoint)
    assert saved.part("model").keys() == run.state.parameters.keys()
    raw = run.folder.checkpoint.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["progress"])["step"] == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_a_compiled_run_compiles_nothing_once_its_clock_runs(tmp_path: Path) -> None:
    """Neither the first step nor the freezing of roles: both graphs were made in the warm-up."""
    from torch._dynamo.utils import counters

    run = tiny.run(tmp_path, *FREEZE, "run.compile=on", "budget.max_steps=10")
    compiled = dict(counters["stats"])
    assert compiled["unique_graphs"] == 2
    train(run)
    assert run.state.frozen
    assert dict(counters["stats"]) == compiled
