"""Times the frozen backbone against torch's own initialisers, side by side in one run.

    python benchmarks/bench_backbone.py                           Markdown on standard output
    python benchmarks/bench_backbone.py --output docs/results/backbone-DATE.md

Every contestant fills the same warm float32 buffers with all matrices of a model, on one thread. The contestants take
turns, round by round, so a machine that slows down slows all of them, and the clock counts the CPU time of this process
alone; medians and their ratios are reported.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from artifact.backbone import Distribution, RandomMap, default_exponent, device, generate, root_digest
from artifact.backbone import lookup as numpy_engine
from artifact.backbone.encoding import NumberType
from artifact.backbone.lookup import Lookup

SEED = 20251122
STREAM_DISTRIBUTIONS = (Distribution.G8, Distribution.RAD, Distribution.U8, Distribution.TERN2)
OTHER_DISTRIBUTIONS = (Distribution.TOEP, Distribution.HADA, Distribution.ORTHO)
WRITE_LIMIT, NORMAL, QR = "torch `fill_` (write limit)", "`torch.normal_`", "`nn.init.orthogonal_` (QR)"
GOALS = (("numpy g8", NORMAL, 1.8), ("numpy rad", NORMAL, 6), ("numba g8", NORMAL, 7), ("ortho", QR, 20))

Contestants = dict[str, Callable[[], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """The shapes of one model; every layer has the same six matrices."""

    num_layers: int
    model_dim: int
    kv_dim: int
    mlp_hidden_dim: int

    def maps(self, distribution: Distribution) -> list[RandomMap]:
        """All matrices as random maps of one distribution."""
        D, G, F = self.model_dim, self.kv_dim, self.mlp_hidden_dim
        shapes = {
            "attn.q": (D, D),
            "attn.k": (G, D),
            "attn.v": (G, D),
            "attn.out": (D, D),
            "mlp.up": (F, D),
            "mlp.down": (D, F),
        }
        return [
            RandomMap(
                name=f"layers.{i}.{role}.weight",
                distribution=distribution,
                shape=shape,
                exponent=default_exponent(distribution, shape),
            )
            for i in range(self.num_layers)
            for role, shape in shapes.items()
        ]


SIZES = {
    "12x768": ModelSize(num_layers=12, model_dim=768, kv_dim=256, mlp_hidden_dim=2304),
    "11x512": ModelSize(num_layers=11, model_dim=512, kv_dim=256, mlp_hidden_dim=1536),
}


def engines() -> dict[str, Lookup]:
    """The numpy engine, and the numba engine where numba is installed."""
    fastest = generate.fastest_lookup()
    return {"numpy": numpy_engine.lookup} | ({} if fastest is numpy_engine.lookup else {"numba": fastest})


def fill_arrays(tensors: list[Tensor], maps: list[RandomMap], lookup: Lookup) -> None:
    """Fill float32 tensors through their numpy views."""
    for tensor, random_map in zip(tensors, maps, strict=True):
        generate.fill_array(tensor.numpy(), SEED, random_map, NumberType.FLOAT32, lookup)


def each(tensors: list[Tensor], initialise: Callable[[Tensor], object]) -> None:
    """Initialise tensor by tensor."""
    for tensor in tensors:
        initialise(tensor)


def contestants(size: ModelSize) -> Contestants:
    """What is timed, by name; all of them write the same matrices."""
    maps = {distribution: size.maps(distribution) for distribution in (*STREAM_DISTRIBUTIONS, *OTHER_DISTRIBUTIONS)}
    g8 = maps[Distribution.G8]
    tensors = [torch.zeros(random_map.shape) for random_map in g8]
    named = {m.name: t for m, t in zip(g8, tensors, strict=True)}
    halves = {m.name: torch.zeros(m.shape, dtype=torch.bfloat16) for m in g8}
    entries: Contestants = {
        WRITE_LIMIT: lambda: each(tensors, lambda t: t.fill_(1.0)),
        NORMAL: lambda: each(tensors, lambda t: t.normal_()),
        QR: lambda: each(tensors, torch.nn.init.orthogonal_),
    }
    for engine, lookup in engines().items():
        for distribution in STREAM_DISTRIBUTIONS:
            entries[f"{engine} {distribution}"] = partial(fill_arrays, tensors, maps[distribution], lookup)
    for distribution in OTHER_DISTRIBUTIONS:
        entries[f"{distribution}"] = partial(fill_arrays, tensors, maps[distribution], generate.fastest_lookup())
    entries["`device.fill_all` g8"] = lambda: device.fill_all(named, seed=SEED, maps=g8)
    entries["`device.fill_all` g8, bfloat16"] = lambda: device.fill_all(halves, seed=SEED, maps=g8)
    entries["`root_digest` g8"] = lambda: root_digest(SEED, g8)
    return entries


def time_all(entries: Contestants, rounds: int) -> dict[str, float]:
    """The median seconds of each contestant, after one untimed round that compiles and warms."""
    seconds: dict[str, list[float]] = {name: [] for name in entries}
    for round_number in range(rounds + 1):
        for name, run in entries.items():
            start = time.process_time()
            run()
            if round_number:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(name: str, medians: dict[str, float]) -> str:
    """One size's results and goals in Markdown."""
    size = SIZES[name]
    num_weights = sum(random_map.shape[0] * random_map.shape[1] for random_map in size.maps(Distribution.G8))
    weights = f"{num_weights / 1e6:.2f} M weights, {num_weights * 4 / 1e6:.0f} MB"
    title = f"{size.num_layers} layers x {size.model_dim}: {weights}"
    lines = [
        f"## {title}",
        "",
        f"| what | ms | ns per weight | {NORMAL} / this | QR / this |",
        "| --- | --: | --: | --: | --: |",
    ]
    for entry, seconds in medians.items():
        ratios = " | ".join(f"{medians[base] / seconds:.1f}" for base in (NORMAL, QR))
        lines.append(f"| {entry} | {seconds * 1e3:.1f} | {seconds * 1e9 / num_weights:.2f} | {ratios} |")
    lines += ["", "| goal | reached |", "| --- | --- |"]
    for entry, base, goal in GOALS:
        if entry in medians:
            ratio = medians[base] / medians[entry]
            lines.append(
                f"| {entry}: {goal} times as fast as {base} | {ratio:.1f}: {'yes' if ratio >= goal else 'no'} |"
            )
    return "\n".join(lines)


def processor() -> str:
    """The number and kind of processors, as in "2-core AMD EPYC (family 25, model 17)"; the name alone says little."""
    info = Path("/proc/cpuinfo")
    facts: dict[str, str] = {}
    for line in info.read_text().splitlines() if info.exists() else []:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    if "model name" not in facts:
        return f"{os.cpu_count()}-core {platform.machine()}"
    kind = f"family {facts.get('cpu family')}, model {facts.get('model')}"
    return f"{os.cpu_count()}-core {facts['model name']} ({kind})"


def preamble(rounds: int, note: str) -> str:
    """Date, machine, versions and command."""
    versions = [f"python {platform.python_version()}", f"torch {torch.__version__}", f"numpy {np.__version__}"]
    try:
        versions.append(f"numba {version('numba')}")
    except PackageNotFoundError:
        versions.append("no numba")
    return "\n".join(
        [
            "# The frozen backbone against torch's initialisers",
            "",
            f"- date: {datetime.now(UTC):%Y-%m-%d}",
            f"- machine: {processor()}, {platform.system()} {platform.machine()}",
            f"- versions: {', '.join(versions)}",
            f"- command: `python {sys.argv[0]} --rounds {rounds}`",
            f"- method: warm float32 buffers, one thread, {rounds} rounds in turn; medians of CPU time",
            f"- note: {note}",
        ]
    )


def main() -> None:
    """Run the benchmark and print or write its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="models to fill")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds")
    parser.add_argument("--note", default="none", help="a line about the circumstances")
    parser.add_argument("--output", type=Path, help="write the report here instead of standard output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sections = [preamble(options.rounds, options.note)]
    sections += [table(name, time_all(contestants(SIZES[name]), options.rounds)) for name in options.sizes]
    report = "\n\n".join(sections) + "\n"
    if options.output:
        options.output.write_text(report)
    else:
        print(report, end="")


if __name__ == "__main__":
    main()
