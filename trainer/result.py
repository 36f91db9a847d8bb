"""result.json: what came out of a run, in numbers, for people and for `seedgolf train --json`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Final

from artifact.format import container
from artifact.format.tensors import count_frozen, count_learned
from trainer.finish import Finished
from trainer.run import Run
from verifier.demo_corpus import stream_text, xz_bpb

XZ_TOKENS: Final = 4_000_000  # xz -9e takes about 5 s on the text of so many

Numbers = dict[str, object]


def result(run: Run, finished: Finished) -> Numbers:
    """The result as plain JSON data; scores of an interrupted run are absent.

    `packing_cost_bpb` is what quantisation did to val_bpb; what the fresh process found is added by `trainer.rebuild`.
    """
    training = finished.artifact.manifest.training
    assert training is not None
    budget = run.config.budget
    numbers: Numbers = {
        "preset": run.config.preset,
        "ended_by": ended_by(run),
        "steps": training.steps,
        "tokens": training.tokens,
        "train_seconds": training.train_seconds,
        "train_seconds_limit": budget.train_seconds,
        "kept_limit": run.budget.is_kept_by(training.train_seconds),
        "train_loss": training.log_summary.train_loss,
        "step_seconds_median": training.log_summary.step_seconds_median,
        "world_size": training.world_size,
        "device": training.device,
        "torch": training.torch,
        "config_sha256": training.config_sha256,
        "learned_parameters": count_learned(run.body),
        "frozen_parameters": count_frozen(run.body),
        "artifact": str(run.folder.artifact),
        "artifact_bytes": len(container.write(finished.artifact)),
        "artifact_sha256": finished.artifact.sha256,
        "valset_sha256": run.inputs.valset_sha256,
    }
    return numbers | _scores(finished) | _text(run)


def ended_by(run: Run) -> str:
    """`SIGTERM` or `SIGINT`, `max_steps` or `train_seconds`."""
    if run.interrupt.signal is not None:
        return run.interrupt.signal.name
    max_steps = run.config.budget.max_steps
    return "max_steps" if max_steps and run.state.step >= max_steps else "train_seconds"


def _scores(finished: Finished) -> Numbers:
    numbers: Numbers = {}
    for name, score in (("in_memory", finished.in_memory), ("claimed", finished.claimed)):
        if score is not None:
            numbers |= {f"val_bpb_{name}": score.val_bpb, f"val_loss_{name}": score.val_loss}
    if finished.in_memory is not None and finished.claimed is not None:
        numbers["packing_cost_bpb"] = finished.claimed.val_bpb - finished.in_memory.val_bpb
    return numbers


def _text(run: Run) -> Numbers:
    """What `xz -9e` makes of the same validation text, where that is quick to say and nobody waits."""
    if run.interrupt.requested or len(run.inputs.val) > XZ_TOKENS:
        return {}
    return {"xz_bpb": xz_bpb(stream_text(run.inputs.tokenizer, run.inputs.val))}


SUMMARY: Final = """\
{artifact}: {artifact_bytes:,} bytes; {learned_parameters:,} learned and {frozen_parameters:,} frozen parameters
trained {train_seconds:.1f} s, {steps:,} steps, {tokens:,} tokens; ended by {ended_by}
val_bpb {val_bpb_in_memory:.6f} in memory, {val_bpb_claimed:.6f} packed ({packing_cost_bpb:+.6f})
val_bpb {val_bpb_rebuilt:.6f} rebuilt by a fresh process from the file alone (same nats: {rebuild_same_nats})
xz -9e needs {xz_bpb:.6f} bits per byte for the same text"""

OVER_LIMIT: Final = (
    "over the limit of {train_seconds_limit:.1f} s: a single step or packing took longer than any before it; "
    "a track with this limit will reject the file"
)
UNSCORED: Final = (
    "packed without a score: go on with `seedgolf train --resume --out {out}`, "
    "or score the file with `seedgolf verify {file}`"
)


def summary(numbers: Mapping[str, object]) -> list[str]:
    """The result in a few lines for a terminal; a line with an absent number is left out."""
    lines = [line.format_map(numbers) for line in SUMMARY.splitlines() if _is_told(line, numbers)]
    if not numbers["kept_limit"]:
        lines.append(OVER_LIMIT.format_map(numbers))
    if "val_bpb_claimed" not in numbers:
        artifact = Path(str(numbers["artifact"]))
        lines.append(UNSCORED.format(out=shlex.quote(str(artifact.parent)), file=shlex.quote(str(artifact))))
    return lines


def _is_told(line: str, numbers: Mapping[str, object]) -> bool:
    return all(field in numbers for _, field, _, _ in Formatter().parse(line) if field)
