"""One of several processes that score together; it writes what it got as JSON."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from tests.verifier.forge import TinyModel, demo, random_stream
from verifier.loss_curve import loss_curve
from verifier.scoring import score
from verifier.target_nats import Nats
from verifier.windows import plan_windows

TIMEOUT = timedelta(seconds=60)


def run_two(folder: Path) -> None:
    """This process and one more."""
    code = "import sys; from tests.verifier.gloo_worker import run; run(int(sys.argv[1]), 2, sys.argv[2])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code, "1", str(folder)], cwd=folder, env=environment) as other:
        run(0, 2, str(folder))
        assert other.wait(timeout=60) == 0


def run(rank: int, world_size: int, folder: str) -> None:
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=world_size, timeout=TIMEOUT)
    _, table = demo()
    tokens = random_stream(1500, vocab_size=table.vocab_size)

    def write_curve(nats: Nats) -> None:
        curve = loss_curve(nats, tokens, table, plan_windows(len(tokens), seq_len=64, stride=48))
        Path(folder, f"{rank}.curve.json").write_text(curve.model_dump_json(), encoding="utf-8")

    got = score(
        TinyModel(table.vocab_size),
        tokens,
        table,
        seq_len=64,
        stride=48,
        batch_windows=3,
        device=torch.device("cpu"),
        rank=rank,
        world_size=world_size,
        observe=write_curve,
    )
    Path(folder, f"{rank}.json").write_text(json.dumps(asdict(got)), encoding="utf-8")
    distributed.destroy_process_group()
