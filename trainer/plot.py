"""Curves of several runs in one picture: training loss and val_bpb over steps, tokens or seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trainer.errors import ConfigError, RunFolderError
from trainer.runfolder import RunFolder
from trainer.runlog import Line, read_log

try:
    from matplotlib.figure import Figure
except ImportError:
    raise ConfigError("plot: matplotlib is not installed; run pip install 'seedgolf[plot]'") from None


class Axis(StrEnum):
    """What runs to the right; a value is a field of every line of the log, or is derived from one."""

    STEPS = "steps"
    TOKENS = "tokens"
    SECONDS = "seconds"


Curve = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCurves:
    """The two curves of a run, named by its folder."""

    name: str
    train_loss: Curve
    val_bpb: Curve


def read_curves(root: Path, axis: Axis) -> RunCurves:
    """The curves in the log of the run folder `root`.

    Raises:
        RunFolderError: there is no log, or it holds no step.
    """
    lines = read_log(RunFolder(root=root).metrics)
    steps = [line for line in lines if line["kind"] == "step"]
    validations = [line for line in lines if line["kind"] == "validation"]
    if not steps:
        raise RunFolderError(f"{root}: the log holds no step yet; wait for the first, or give another run")
    tokens_per_step = _number(steps[-1], "tokens") / _number(steps[-1], "step")
    return RunCurves(
        name=root.resolve().name,
        train_loss=_curve(steps, "train_loss", axis, tokens_per_step),
        val_bpb=_curve(validations, "val_bpb", axis, tokens_per_step),
    )


def draw(runs: Sequence[RunCurves], axis: Axis, target: Path) -> None:
    """Draw training loss and val_bpb side by side into `target`, whose ending chooses the format (png, svg, pdf).

    Raises:
        ConfigError: an ending that matplotlib cannot write.
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for run in runs:
        left.plot(*run.train_loss, label=run.name, linewidth=1.2)
        right.plot(*run.val_bpb, label=run.name, linewidth=1.2, marker=".")
    for axes, title in ((left, "training loss, nats per token"), (right, "val_bpb, bits per byte")):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel(axis.value)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    try:
        figure.savefig(target, dpi=150)
    except ValueError as error:
        raise ConfigError(f"--out {target}: {str(error).splitlines()[0]}") from None


def _curve(lines: Sequence[Line], field: str, axis: Axis, tokens_per_step: float) -> Curve:
    return [_place(line, axis, tokens_per_step) for line in lines], [_number(line, field) for line in lines]


def _place(line: Line, axis: Axis, tokens_per_step: float) -> float:
    if axis is Axis.SECONDS:
        return _number(line, "train_seconds")
    step = _number(line, "step")
    return step if axis is Axis.STEPS else step * tokens_per_step


def _number(line: Line, field: str) -> float:
    value = line.get(field)
    if not isinstance(value, int | float):
        raise RunFolderError(f"metrics.jsonl: expected a number as {field!r}, got {value!r}")
    return value
