"""Everything that happens before the clock starts: build, compile, restore, measure what closing the run will take."""

import hashlib
from collections.abc import Callable
from typing import Final

import torch

from artifact.format.tensors import count_frozen, count_learned, random_maps
from artifact.model.gpt import GPT
from artifact.model.initialise import initialise
from trainer.batching import batch_shape
from trainer.budget import Budget, TrainClock
from trainer.checkpoint import Progress, read_checkpoint
from trainer.config import Config
from trainer.errors import BadCheckpoint, ConfigError
from trainer.evaluate import Validation
from trainer.export import declare, eval_windows, manifest_body, rehearse
from trainer.finish import training_record
from trainer.inputs import Inputs
from trainer.mfu import Mfu, device_name
from trainer.overrides import config_text
from trainer.policy import network
from trainer.run import Run, Surroundings
from trainer.runlog import rewind_log
from trainer.seeds import derive_seed
from trainer.shards import Batches, BatchShape, Cursor
from trainer.state import RunState
from trainer.step import TrainStep
from trainer.threads import choose_threads
from verifier.errors import CheckFailed
from verifier.frozen_maps import check_rows
from verifier.numerics import set_canonical_numerics

WARM_UP_STEPS: Final = 2
RESERVE_FACTOR: Final = 1.5  # closing may take this much longer than its rehearsal


def set_up(config: Config, inputs: Inputs, around: Surroundings, *, resume: bool) -> Run:
    """Build a run from its config and data; with `resume`, put it where its folder's checkpoint stands.

    Raises:
        ConfigError: the number of processes does not divide the batch, a policy that no network can have, or frozen
            maps that no verifier takes.
        BadCheckpoint: there is none, or it belongs to another config or other data.
        ArtifactError: no reader would take the artifact of this config.
        DataError: too few tokens for one step.
    """
    world, now, seed = around.world, around.now, int(config.run.seed)
    set_canonical_numerics(world.device)
    shape, state = batch_shape(config, world), initial_state(config, world.device)
    body = manifest_body(config, state.gpt.network, inputs, threads=torch.get_num_threads())
    _check_rows(state.gpt)
    train_step = TrainStep(state, world)
    warm_up(state, train_step, shape, now)
    config_sha256 = hashlib.sha256(config_text(config).encode()).hexdigest()
    progress = Progress()
    if resume:
        progress = _restore(state, around, config_sha256=config_sha256, data_sha256=inputs.sha256)
    cursor = Cursor(epoch=progress.epoch, windows=progress.epoch_windows)
    clock = TrainClock(now, used_seconds=progress.train_seconds)
    pack_seconds, packed = rehearse(body, clip_search=config.quantization.clip_search, now=now)
    reserve = RESERVE_FACTOR * pack_seconds
    order_seed = derive_seed(seed, "data.order")
    run = Run(
        config=config,
        config_sha256=config_sha256,
        inputs=inputs,
        world=world,
        folder=around.folder,
        listeners=around.listeners,
        interrupt=around.interrupt,
        now=now,
        body=body,
        state=state,
        train_step=train_step,
        batches=Batches(inputs.train, shape, order=config.data.order, seed=order_seed, cursor=cursor),
        shape=shape,
        validation=_validation(config, inputs),
        clock=clock,
        budget=Budget(config.budget, clock, reserve_seconds=reserve, step_seconds=progress.step_seconds),
        mfu=Mfu(body, world.device, world_size=world.world_size),
    )
    declare(packed, training=training_record(run, 0.0))  # what the manifest cannot hold is refused before the training
    for line in _headline(run):
        run.listeners.note(line)
    return run


def initial_state(config: Config, device: torch.device) -> RunState:
    """The network with its start, which depends on the config alone and not on the device."""
    seed = int(config.run.seed)
    gpt = GPT(network(config), backbone_seed=int(config.run.backbone_seed), device=device)
    initialise(gpt, torch.Generator().manual_seed(derive_seed(seed, "model.initial")))
    torch.manual_seed(derive_seed(seed, "torch"))
    return RunState(gpt, config)


def _check_rows(gpt: GPT) -> None:
    """Refuse frozen maps that the verifier would reject after the training: short rows of a sparse map, say."""
    try:
        check_rows(gpt, random_maps(gpt.network))
    except CheckFailed as error:
        raise ConfigError(f"expected {error.expected}, got {error.got}; {error.hint} (run.backbone_seed)") from None


def warm_up(state: RunState, train_step: TrainStep, shape: BatchShape, now: Callable[[], float]) -> None:
    """Compile everything that the run will run, on made-up tokens, and leave the state as it was."""
    before = state.capture(
        cursor=Cursor(), train_seconds=0.0, step_seconds=(), config_sha256="", data_sha256=""
    ).copied()
    device, vocab_size = state.gpt.device, state.gpt.model.vocab_size
    size = (shape.batch_windows, shape.seq_len + 1)
    tokens = torch.randint(vocab_size, size, generator=torch.Generator().manual_seed(0)).to(device)
    made_up = (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())

    def step() -> None:
        train_step([made_up], fraction=0.0)

    if device.type == "cpu":
        wanted = state.config.run.threads or (torch.get_num_threads() if shape.world_size > 1 else 0)
        choose_threads(step, wanted=wanted, now=now)  # alone, since what is timed would make processes wait
    for _ in range(WARM_UP_STEPS):
        step()
    if train_step.compiled and state.config.freeze.roles:
        with state.as_if_frozen():
            train_step.accumulate([made_up])
    state.restore(before)


def _restore(state: RunState, around: Surroundings, *, config_sha256: str, data_sha256: str) -> Progress:
    """Put the state where the folder's checkpoint stands."""
    folder = around.folder
    checkpoint = read_checkpoint(folder.checkpoint)
    progress = checkpoint.progress
    if progress.config_sha256 != config_sha256:
        raise BadCheckpoint(f"{folder.checkpoint}: made under another config; resume with that of {folder.config}")
    if progress.data_sha256 != data_sha256:
        raise BadCheckpoint(f"{folder.checkpoint}: made on other data; resume with the shards it was trained on")
    state.restore(checkpoint)
    if around.world.is_main:
        rewind_log(folder.metrics, step=state.step)
    around.listeners.note(f"going on after step {state.step:,} and {progress.train_seconds:.1f} s")
    return progress


def _validation(config: Config, inputs: Inputs) -> Validation:
    return Validation(
        tokens=inputs.val,
        table=inputs.table,
        windows=eval_windows(config),
        batch_windows=config.eval.batch_windows,
        running_tokens=config.eval.running_tokens,
    )


def _headline(run: Run) -> list[str]:
    """What is about to be trained, on what: for a person, before the first step."""
    shape, step = run.shape, run.train_step
    learned, frozen = count_learned(run.body), count_frozen(run.body)
    arithmetic = f"{'bfloat16' if step.bfloat16 else 'float32'}{', compiled' if step.compiled else ''}"
    cut = f"{shape.world_size} x {shape.grad_accum_steps} x {shape.batch_windows} windows of {shape.seq_len}"
    return [
        f"{run.config.preset}: {learned:,} learned and {frozen:,} frozen parameters",
        f"{run.config.batch.train_batch_tokens:,} tokens a step = {cut} (processes x micro-batches x windows)",
        f"{device_name(run.world.device)}, {arithmetic}",
    ]
