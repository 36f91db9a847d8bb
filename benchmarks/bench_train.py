"""Training speed: the package's step against a straightforward two-path LoRA (two_path.py), side by side.

    python -m benchmarks.bench_train                      4 layers of 256 on a CPU, float32
    python -m benchmarks.bench_train --device cuda        lora_768, 65,536 tokens a micro-batch, bfloat16, compiled

A step is forward, backward and update of one micro-batch. The variants take turns, so a change of the machine's mood
meets all of them; medians and ratios are printed as Markdown. Muon is timed apart, against torch.optim.Muon.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from artifact.model.flops import flops_per_token
from artifact.model.gpt import GPT
from artifact.model.initialise import initialise
from benchmarks.two_path import TwoPathGPT
from trainer import overrides, policy, presets
from trainer.config import Config
from trainer.mfu import device_name, peak_flops
from trainer.muon import StackedMuon
from trainer.state import RunState
from trainer.step import TrainStep
from trainer.world import World
from verifier.numerics import set_canonical_numerics

CPU_SHAPE = (
    "model.num_layers=4",
    "model.model_dim=256",
    "model.num_heads=4",
    "model.num_kv_heads=2",
    "model.mlp_hidden_dim=768",
    "batch.train_batch_tokens=4096",
    "batch.micro_batch_tokens=4096",
)
CUDA_SHAPE = ("batch.train_batch_tokens=65536", "batch.micro_batch_tokens=65536")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Something to time: `prepare` sets what is global, `work` waits for the device."""

    name: str
    prepare: Callable[[], object]
    work: Callable[[], object]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=8, help="timed rounds; each variant once a round")
    given = parser.parse_args()
    world = World(rank=0, world_size=1, device=torch.device(given.device))
    config = overrides.resolve(
        presets.preset("lora_768"), file={}, settings=CPU_SHAPE if given.device == "cpu" else CUDA_SHAPE
    )
    print(f"{device_name(world.device)}, torch {torch.__version__}\n")
    bench_step(config, world, rounds=given.rounds)
    bench_muon(config, world, rounds=given.rounds)


def bench_step(config: Config, world: World, *, rounds: int) -> None:
    """The whole step."""
    network, seq_len = policy.network(config), config.model.seq_len
    tokens = torch.randint(config.model.vocab_size, (config.batch.micro_batch_tokens // seq_len, seq_len + 1))
    inputs, targets = (part.to(world.device).contiguous() for part in (tokens[:, :-1], tokens[:, 1:]))
    gpt = GPT(network, backbone_seed=1, device=world.device)
    initialise(gpt, torch.Generator().manual_seed(1))
    ours = TrainStep(RunState(gpt, config), world)
    plain = PlainStep(TwoPathGPT(config.model, config.linears.attn.q.lora_rank).to(world.device), config, world)

    def highest() -> None:
        torch.set_float32_matmul_precision("highest")

    def canonical() -> None:
        set_canonical_numerics(world.device)

    def step_plain() -> None:
        plain(inputs, targets)

    variants = [Variant(name="two-path, torch.optim.Muon", prepare=highest, work=step_plain)]
    if world.device.type == "cpu":
        variants.append(Variant(name="the same, oneDNN route", prepare=canonical, work=step_plain))
    variants.append(Variant(name="seedgolf", prepare=canonical, work=lambda: ours([(inputs, targets)], fraction=0.0)))
    seconds = timed(variants, world, rounds=rounds)
    flops = flops_per_token(network, seq_len=seq_len).training
    peak = peak_flops(device_name(world.device))
    shape = f"{config.model.num_layers} layers x {config.model.model_dim}, window {seq_len}, {inputs.numel():,} tokens"
    print(f"One step, {shape}\n\n| variant | ms | tokens/s | ratio | MFU |\n| --- | --- | --- | --- | --- |")
    for variant, median in zip(variants, seconds, strict=True):
        speed = inputs.numel() / median
        mfu = f"{speed * flops / peak:.1%}" if peak else "-"
        print(f"| {variant.name} | {1e3 * median:.0f} | {speed:,.0f} | {seconds[0] / median:.2f} | {mfu} |")
    print()


class PlainStep:
    """Forward, backward and update as a script writes them: two optimizers, one loop."""

    def __init__(self, model: TwoPathGPT, config: Config, world: World) -> None:
        on_gpu = world.device.type == "cuda"
        matrices = [p for name, p in model.named_parameters() if "lora" in name]
        others = [p for name, p in model.named_parameters() if "lora" not in name]
        self.loss = torch.compile(model, fullgraph=True, dynamic=False) if on_gpu else model
        self.optimizers = [
            torch.optim.Muon(matrices, lr=config.optim.lora_a_lr, momentum=0.95, weight_decay=0.0),
            torch.optim.AdamW(others, lr=config.optim.control_lr, fused=True),
        ]
        self.autocast = torch.autocast(world.device.type, dtype=torch.bfloat16, enabled=on_gpu)

    def __call__(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        """One step; its loss."""
        with self.autocast:
            loss = self.loss(inputs, targets)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.item())


def bench_muon(config: Config, world: World, *, rounds: int) -> None:
    """The update of the matrices alone: adapters of this shape, and its learned matrices if nothing were frozen."""
    print("Muon alone\n\n| matrices | torch.optim.Muon, ms | stacked, ms | ratio |\n| --- | --- | --- | --- |")
    rank, model = config.linears.attn.q.lora_rank, config.model
    shapes = [model.shape(role) for _ in range(model.num_layers) for role in model.roles]
    adapters = [shape for rows, cols in shapes for shape in ((rank, cols), (rows, rank))]
    for name, chosen in ((f"{len(adapters)} LoRA factors", adapters), (f"{len(shapes)} full matrices", shapes)):
        variants = [
            Variant(name=name, prepare=lambda: None, work=muon_step(kind, chosen, world))
            for kind in (torch.optim.Muon, StackedMuon)
        ]
        theirs, ours = timed(variants, world, rounds=rounds)
        print(f"| {name} | {1e3 * theirs:.1f} | {1e3 * ours:.1f} | {theirs / ours:.2f} |")


def muon_step(
    kind: type[torch.optim.Muon] | type[StackedMuon], shapes: Sequence[tuple[int, int]], world: World
) -> Callable[[], object]:
    """An optimizer of `kind` over random matrices with random gradients."""
    parameters = [nn.Parameter(torch.randn(shape, device=world.device)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return kind(parameters, lr=0.02, momentum=0.95, weight_decay=0.0).step


def timed(variants: Sequence[Variant], world: World, *, rounds: int) -> list[float]:
    """Median seconds of each variant; they take turns, after two rounds that do not count."""
    seconds: list[list[float]] = [[] for _ in variants]
    for round_number in range(rounds + 2):
        for variant, measured in zip(variants, seconds, strict=True):
            variant.prepare()
            world.synchronize()
            started = time.perf_counter()
            variant.work()
            world.synchronize()
            if round_number >= 2:
                measured.append(time.perf_counter() - started)
    return [statistics.median(measured) for measured in seconds]


if __name__ == "__main__":
    main()
