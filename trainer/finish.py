"""The end of a run: pack inside the clock, score outside it, declare, write.

The artifact is on the disk as soon as it is packed, and the scores that it claims are added when they are known: a
run that ends before leaves an artifact without claims, and a checkpoint from which it goes on to them.
"""

import hashlib
from dataclasses import dataclass

import torch

from artifact.format import container
from artifact.format.container import Artifact
from artifact.format.manifest import Claims, ScoreType, Training, from_json
from artifact.model.build import export, load_parameters
from trainer.checkpoint import write_checkpoint
from trainer.export import declare, pack
from trainer.interrupt import Interrupted
from trainer.mfu import device_name
from trainer.recipe import recipe_text
from trainer.run import Run
from verifier.scoring import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A packed run, as rank 0 knows it; the scores are None when a signal ended it.

    Attributes:
        artifact: as it lies on the disk.
        in_memory: score of the network before quantisation, of its average where it has one.
        claimed: score of the dequantised tensors; the manifest claims it.
    """

    artifact: Artifact
    in_memory: Score | None = None
    claimed: Score | None = None

    @property
    def train_seconds(self) -> float:
        """The run's clock at the end of compression."""
        training = self.artifact.manifest.training
        assert training is not None
        return training.train_seconds


def finish(run: Run, *, train_loss: float) -> Finished | None:
    """Pack, write, score and claim; all processes score together, and rank 0 gets the result.

    Raises:
        ArtifactError: the network cannot be packed: it holds NaN, say.
        OSError: the artifact cannot be written.
    """
    packed = _packed(run, train_loss) if run.world.is_main else None
    with run.state.ema.in_place():
        in_memory = _score(run, "the network in memory")
    claimed = None
    if in_memory is not None:
        _take_over(run, packed)
        claimed = _score(run, "the packed network")
    if packed is None:
        return None
    if claimed is not None:
        packed = _claim(run, packed, claimed)
    return Finished(artifact=packed, in_memory=in_memory, claimed=claimed)


def _packed(run: Run, train_loss: float) -> Artifact:
    """The artifact, on the disk, beside the state from which a run that ends before its scores can go on to them."""
    at_rest = run.capture()  # the clock before packing: who goes on packs again
    with run.state.ema.in_place():
        packed = _pack(run, train_loss)
    container.write_file(run.folder.artifact, packed)
    run.listeners.note(f"packed: {run.folder.artifact}")
    write_checkpoint(run.folder.checkpoint, at_rest)
    return packed


def _pack(run: Run, train_loss: float) -> Artifact:
    """The artifact without claims; the clock is read when the payload is compressed."""
    packed = pack(run.body, export(run.state.gpt), clip_search=run.config.quantization.clip_search)
    return declare(packed, training=training_record(run, train_loss))


def training_record(run: Run, train_loss: float) -> Training:
    """What the manifest says of the training so far.

    Raises:
        ArtifactError: it cannot: the config is too long, say.
    """
    recipe, step = recipe_text(run.config), run.state.step
    fields = {
        "preset": run.config.preset,
        "config": recipe,
        "config_sha256": hashlib.sha256(recipe.encode()).hexdigest(),
        "seed": run.config.run.seed,
        "steps": step,
        "tokens": step * run.config.batch.train_batch_tokens,
        "train_seconds": _real(run.clock.seconds),
        "world_size": run.world.world_size,
        "device": device_name(run.world.device),
        "torch": str(torch.__version__),
        "train_shards": list(run.inputs.train_digests),
        "log_summary": {
            "step_seconds_median": _real(run.budget.steps.median_seconds),
            "train_loss": _real(train_loss),
        },
    }
    return from_json(Training, fields)


def _score(run: Run, what: str) -> Score | None:
    """The canonical score, or None once a signal came."""
    if run.is_interrupted():
        return None

    def progress(done: int, total: int, /) -> None:
        run.listeners.on_scoring(what, done, total)
        if run.world.world_size == 1:  # several processes finish together what they began together
            run.interrupt.check()

    try:
        return run.validation.whole(run.state.gpt, run.world, progress=progress)
    except Interrupted:
        return None


def _take_over(run: Run, packed: Artifact | None) -> None:
    """Every process's network holds what the file holds."""
    if packed is not None:
        load_parameters(run.state.gpt, packed.parameters())
    for parameter in run.state.gpt.parameters():
        run.world.spread_(parameter.data)


def _claim(run: Run, packed: Artifact, score: Score) -> Artifact:
    claims = Claims(
        val_bpb=score.val_bpb,
        val_loss=score.val_loss,
        dtype=ScoreType.FLOAT32,
        valset_sha256=run.inputs.valset_sha256,
    )
    training = packed.manifest.training
    assert training is not None
    claiming = declare(packed, training=training, claims=claims)
    container.write_file(run.folder.artifact, claiming)
    return claiming


def _real(number: float) -> float:
    """A measured number as canonical JSON can carry it: six decimals, and 0 below its smallest."""
    return round(number, 6) if number >= 1e-4 else 0.0
