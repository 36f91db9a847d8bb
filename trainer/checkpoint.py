"""A checkpoint: everything a run needs to go on as if it had never stopped, in one safetensors file.

Tensors are the learned parameters (`model/<name>`), their optimizer state (`optim/<name>/<state>`), the average
(`ema/<name>`) and torch's generator (`rng`); the rest is one JSON object in the file's metadata. No pickle
anywhere. Law, on a CPU: a run that is stopped and restored continues with the same bits as one that was not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainer.errors import BadCheckpoint
from verifier.atomic_file import write_atomically

PROGRESS_KEY = "progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is; by default at its beginning.

    Attributes:
        step: optimizer steps made.
        epoch, epoch_windows: the position in the data (`trainer.shards.Cursor`).
        train_seconds: clock used so far.
        train_loss: mean of the last logged steps, nats per token; 0 before the first.
        step_seconds: durations of the last steps.
        ema_updates: values in the average.
        frozen: whether the roles of `freeze` have stopped learning.
        config_sha256: whose run this is.
        data_sha256: on which data.
    """

    step: int = 0
    epoch: int = 0
    epoch_windows: int = 0
    train_seconds: float = 0.0
    train_loss: float = 0.0
    step_seconds: Sequence[float] = ()
    ema_updates: int = 0
    frozen: bool = False
    config_sha256: str = ""
    data_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A run at rest; tensors by name, on any device."""

    progress: Progress
    tensors: Mapping[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below `prefix`, without it."""
        start = f"{prefix}/"
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}

    def copied(self) -> "Checkpoint":
        """The same in memory of its own."""
        return Checkpoint(progress=self.progress, tensors={name: value.clone() for name, value in self.tensors.items()})

    @property
    def is_finite(self) -> bool:
        """Whether a run can go on from here."""
        return all(bool(torch.isfinite(value).all()) for value in self.part("model").values())


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` atomically: a reader sees the old file or the whole new one.

    Raises:
        OSError: the folder can't be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    write_atomically(path, save(tensors, metadata={PROGRESS_KEY: json.dumps(asdict(checkpoint.progress))}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        BadCheckpoint: there is no such file, or it is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise BadCheckpoint(f"{path}: there is no checkpoint to go on from; train anew with another --out") from None
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"{path}: expected a checkpoint of seedgolf, got a damaged file ({error})") from None
    return Checkpoint(progress=_progress(path, metadata), tensors=tensors)


def _progress(path: Path, metadata: Mapping[str, str]) -> Progress:
    try:
        values = json.loads(metadata[PROGRESS_KEY])
        return Progress(**{field.name: values[field.name] for field in fields(Progress)})
    except (KeyError, TypeError, json.JSONDecodeError):
        expected = "expected a checkpoint of this version of seedgolf"
        raise BadCheckpoint(f"{path}: {expected}, got another safetensors file") from None
