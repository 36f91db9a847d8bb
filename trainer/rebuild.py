"""The proof at the end of a run: a fresh process rebuilds the network from the file alone and must score the same.

On one machine and device the per-target nats are expected to be the same bits. What is tolerated beyond that is
what another grouping of the same float32 work could do, and the result says whether it happened.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from trainer.errors import RebuildMismatch
from trainer.run import Run
from verifier.scoring import Score

TOLERANCE_BPB: Final = 1e-6  # of any float32 machine, verification.md
POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What the file claims and what the fresh process found."""

    claimed: Score
    score: Score

    @property
    def difference_bpb(self) -> float:
        """Rebuilt minus claimed val_bpb."""
        return self.score.val_bpb - self.claimed.val_bpb

    @property
    def numbers(self) -> dict[str, object]:
        """For result.json."""
        return {
            "val_bpb_rebuilt": self.score.val_bpb,
            "val_loss_rebuilt": self.score.val_loss,
            "rebuild_difference_bpb": self.difference_bpb,
            "rebuild_same_nats": self.score.nats_sha256 == self.claimed.nats_sha256,
        }

    def check(self, artifact: Path) -> None:
        """Refuse a file that is not what the run packed.

        Raises:
            RebuildMismatch: the scores are further apart than the tolerance.
        """
        if abs(self.difference_bpb) > TOLERANCE_BPB:
            raise RebuildMismatch(
                f"{artifact}: the file claims val_bpb {self.claimed.val_bpb:.9f}, a fresh process rebuilt from it "
                f"scores {self.score.val_bpb:.9f}, more than {TOLERANCE_BPB} apart; do not submit it, report a bug"
            )


def rescore(run: Run, claimed: Score) -> Rebuilt:
    """Score the packed file of `run` in a fresh process.

    Raises:
        RebuildMismatch: the process could not read, build or score the file.
        Interrupted: a signal came meanwhile.
    """
    files, artifact = run.inputs.files, run.folder.artifact
    command = [sys.executable, "-m", "trainer.fresh", str(artifact), "--tokenizer", str(files.tokenizer)]
    command += ["--device", str(run.world.device), "--batch-windows", str(run.validation.batch_windows)]
    command += ["--threads", str(torch.get_num_threads())]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command, "--val", *map(str, files.val)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            out, err = _wait(child, run.interrupt.check)
        finally:
            child.kill()
    if child.returncode:
        last = err.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
        raise RebuildMismatch(f"{artifact}: a fresh process could not score the packed file: {last[0]}")
    return Rebuilt(claimed=claimed, score=Score(**json.loads(out)))


def _wait(child: "subprocess.Popen[str]", check: Callable[[], None]) -> tuple[str, str]:
    """What the child prints until it ends; `check` is called while it runs."""
    while True:
        try:
            return child.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            check()
