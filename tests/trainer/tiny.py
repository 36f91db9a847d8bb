"""A config, a corpus and a run small enough to train in a test: 2 layers of 32, windows of 32, random tokens."""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from trainer import overrides, presets
from trainer.config import Config
from trainer.corpus_files import CorpusFiles
from trainer.inputs import Inputs, read_inputs
from trainer.interrupt import Interrupt
from trainer.metrics import Listeners, StepMetrics, ValidationMetrics
from trainer.run import Run, Surroundings
from trainer.runfolder import open_folder
from trainer.setup import set_up
from trainer.world import World
from verifier import demo_corpus
from verifier.shards import write_shard

SETTINGS = (
    "model.model_dim=32",
    "model.num_heads=2",
    "model.mlp_hidden_dim=64",
    "model.rope_dims=16",
    "model.seq_len=32",
    "linears.*.*.lora_rank=4",
    "batch.train_batch_tokens=128",
    "batch.micro_batch_tokens=64",
    "budget.train_seconds=0",
    "budget.max_steps=6",
    "eval.every_steps=0",
    "eval.running_tokens=64",
    "run.log_every_steps=1",
    "run.threads=1",
)
VOCAB_SIZE = 1024
BOS = 1
CPU = World(rank=0, world_size=1, device=torch.device("cpu"))


def config(*settings: str, preset: str = "smoke") -> Config:
    """The tiny config, with more settings."""
    return overrides.resolve(presets.preset(preset), file={}, settings=[*SETTINGS, *settings])


def corpus(directory: Path) -> CorpusFiles:
    """Shards of tokens that follow a simple rule with noise, so that there is something to learn."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = directory / "demo.model"
    tokenizer.write_bytes((resources.files("verifier") / "data" / demo_corpus.TOKENIZER_FILE).read_bytes())
    generator = np.random.default_rng(7)
    for name, length in (("train", 4096), ("val", 257)):
        tokens = np.cumsum(generator.integers(0, 3, length)) % 40 + 300
        tokens[::100] = BOS
        write_shard(directory / f"{name}.bin", tokens.astype(np.uint16))
    return CorpusFiles(tokenizer=tokenizer, train=(directory / "train.bin",), val=(directory / "val.bin",))


def inputs(directory: Path, chosen: Config) -> Inputs:
    """The tiny corpus, read."""
    return read_inputs(corpus(directory), chosen.model)


class Clock:
    """A monotonic clock that every look moves on by `tick` seconds."""

    def __init__(self, tick: float = 0.0) -> None:
        self.seconds = 0.0
        self.tick = tick

    def __call__(self) -> float:
        self.seconds += self.tick
        return self.seconds


class Recorder:
    """A listener that keeps what it is told."""

    def __init__(self, on_step: Callable[[StepMetrics], None] = lambda _: None) -> None:
        self.steps: list[StepMetrics] = []
        self.validations: list[ValidationMetrics] = []
        self.notes: list[str] = []
        self.scored: list[tuple[str, int, int]] = []
        self._then = on_step

    def on_step(self, metrics: StepMetrics) -> None:
        self.steps.append(metrics)
        self._then(metrics)

    def on_validation(self, metrics: ValidationMetrics) -> None:
        self.validations.append(metrics)

    def on_scoring(self, what: str, done: int, total: int) -> None:
        self.scored.append((what, done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def close(self) -> None:
        pass

    @property
    def losses(self) -> list[float]:
        return [metrics.train_loss for metrics in self.steps]


def run(
    root: Path,
    *settings: str,
    preset: str = "smoke",
    resume: bool = False,
    recorder: Recorder | None = None,
    interrupt: Interrupt | None = None,
    now: Callable[[], float] | None = None,
) -> Run:
    """A run in `root`, ready to train."""
    chosen = config(*settings, preset=preset)
    around = Surroundings(
        world=CPU,
        folder=open_folder(root, resume=resume),
        listeners=Listeners([recorder or Recorder()]),
        interrupt=interrupt or Interrupt(),
        now=now or Clock(),
    )
    return set_up(chosen, inputs(root / "data", chosen), around, resume=resume)


def losses(recorders: Sequence[Recorder]) -> list[float]:
    """The losses of runs that followed each other."""
    return [loss for recorder in recorders for loss in recorder.losses]
