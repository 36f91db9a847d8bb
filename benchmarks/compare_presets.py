"""Every preset of the challenge at one small size and equal time, on shards of your own, as a Markdown table.

    python benchmarks/compare_presets.py --train-shards GLOB --val-shards GLOB --tokenizer FILE --out FOLDER

The presets keep what makes them what they are: the frozen linears, distributions, gains, adapters and ranks.
Depth, width and batch are cut to a CPU's size, alike for all. Run it on a quiet machine: time is what is equal.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PRESETS = (
    "dense",
    "mlp_up",
    "selective",
    "progressive",
    "adapter_mlp",
    "lora_768",
    "full_freeze",
    "vera",
    "scale_shift",
)
SHARED = {
    "model.num_layers": 4,
    "model.model_dim": 128,
    "model.num_heads": 2,
    "model.num_kv_heads": 1,
    "model.mlp_hidden_dim": 256,
    "model.rope_dims": 64,
    "model.seq_len": 256,
    "batch.train_batch_tokens": 4096,
    "batch.micro_batch_tokens": 4096,
    "optim.muon_momentum_warmup_steps": 50,
    "ema.decay": 0,
    "eval.batch_windows": 16,
    "eval.every_seconds": 0,
    "eval.running_tokens": 16384,
}
OWN = {
    "mlp_up": {"linears.overrides.0.layers": "[0,1]"},
    "adapter_mlp": {"linears.mlp.*.lora_rank": 40},
    "vera": {"linears.*.*.lora_rank": 64},
}
COLUMNS = (
    "preset | frozen | learned | steps | val_bpb in memory | val_bpb packed | packing | bytes",
    "--- | --- | --- | --- | --- | --- | --- | ---",
)


def settings(preset: str, seconds: float) -> list[str]:
    """The `--set` options of one run."""
    fields = SHARED | OWN.get(preset, {}) | {"budget.train_seconds": seconds, "budget.margin_seconds": 1}
    return [part for path, value in fields.items() for part in ("--set", f"{path}={value}")]


def run(preset: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one preset; returns its result.json."""
    folder = arguments.out / preset
    command = [sys.executable, "-m", "seedgolf", "train", "--preset", preset, "--out", str(folder)]
    command += ["--train-shards", arguments.train_shards, "--val-shards", arguments.val_shards]
    command += ["--tokenizer", str(arguments.tokenizer), *settings(preset, arguments.seconds)]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    cells = (
        found["preset"],
        f"{found['frozen_parameters']:,}",
        f"{found['learned_parameters']:,}",
        f"{found['steps']:,}",
        f"{found['val_bpb_in_memory']:.4f}",
        f"{found['val_bpb_rebuilt']:.4f}",
        f"{found['packing_cost_bpb']:+.4f}",
        f"{found['artifact_bytes']:,}",
    )
    return " | ".join(cells)


def main() -> None:
    """Run every preset and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-shards", required=True)
    parser.add_argument("--val-shards", required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=90.0, help="budget of each run, packing included")
    parser.add_argument("--presets", nargs="*", default=list(PRESETS))
    arguments = parser.parse_args()
    rows = [row(run(preset, arguments)) for preset in arguments.presets]
    print("\n".join(f"| {line} |" for line in (*COLUMNS, *rows)))


if __name__ == "__main__":
    main()
