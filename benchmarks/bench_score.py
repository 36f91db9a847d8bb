"""Times scoring against the published way of scoring the same network, side by side in one run.

    python -m benchmarks.bench_score                              Markdown on standard output
    python -m benchmarks.bench_score --output docs/results/score-DATE.md
    python -m benchmarks.bench_score --device cuda                a GPU: tokens/s, MFU, difference to the CPU's score

The network has 12 layers x 768 and rank 16 (public PR 1295), with random adapters; the text is the built-in corpus. The
plain contestant is a straightforward eager network written here: base and adapter as two paths, queries, keys and
values apart, in float32 or under bfloat16 autocast as the challenge's own script runs it. Contestants take turns, batch
by batch, so a machine that slows down slows all of them; on a CPU, CPU time is taken; medians and their ratios count.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional

from artifact.model.flops import flops_per_token
from artifact.model.gpt import GPT
from artifact.model.initialise import initialise
from artifact.model.scoring import for_scoring
from benchmarks.bench_backbone import processor
from benchmarks.plain_network import PlainNetwork
from trainer.mfu import device_name, peak_flops
from trainer.policy import network
from trainer.presets import lora_768
from verifier.bytes_table import BytesTable, bytes_table
from verifier.demo_corpus import write_demo
from verifier.numerics import set_canonical_numerics
from verifier.scoring import score
from verifier.shards import Tokens, read_shard
from verifier.tokenizer import load_tokenizer

SEED = 20261122
SEQ_LEN = 1024
ADAPTER_STD = 0.02
EMBEDDING_STD = 0.15  # logits spread by about 4, as trained ones do: a softcap in bfloat16 then shows
PRODUCT_SHAPE = (2048, 768, 2304)  # rows, in, out: two windows through MLP-up
PLAIN, REFERENCE, OURS, OURS_BF16 = (
    "plain eager loop, float32",
    "the challenge's way: the same under bfloat16 autocast",
    "seedgolf, float32 (canonical)",
    "seedgolf, bfloat16 products",
)
GOALS = ((OURS, 2.0), (OURS_BF16, 3.0))
PRODUCTS = (
    ("float32, torch's default", "highest", torch.float32),
    ("float32, as seedgolf sets it", "medium", torch.float32),
    ("bfloat16", "highest", torch.bfloat16),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A way to get the nats of a window: `prepare` sets the process up, `loss` scores (mean nats per target)."""

    prepare: Callable[[], object]
    loss: Callable[[Tokens], float]


@torch.no_grad()
def plain_loss(plain: PlainNetwork, tokens: Tokens, *, batch_windows: int, autocast: bool) -> float:
    """What the challenge's loop does: windows in batches, the mean cross-entropy of each, summed in float64."""
    stream = torch.from_numpy(tokens.astype("int64"))
    inputs, targets = (part.view(-1, SEQ_LEN) for part in (stream[:-1], stream[1:]))
    total = torch.zeros((), dtype=torch.float64)
    for x, y in zip(torch.split(inputs, batch_windows), torch.split(targets, batch_windows), strict=True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = plain.logits(x)
        total += functional.cross_entropy(logits.float().flatten(0, 1), y.flatten()).double() * y.numel()
    return float(total / targets.numel())


def our_loss(gpt: GPT, table: BytesTable, *, dtype: torch.dtype, batch_windows: int) -> Callable[[Tokens], float]:
    """The verifier's own path on the merged network."""
    merged = for_scoring(gpt, dtype=dtype)

    def loss(tokens: Tokens) -> float:
        found = score(
            merged.logits,
            tokens,
            table,
            seq_len=SEQ_LEN,
            stride=SEQ_LEN,
            device=merged.device,
            batch_windows=batch_windows,
        )
        return found.val_loss

    return loss


def contestants(gpt: GPT, table: BytesTable, *, batch_windows: int) -> dict[str, Contestant]:
    """Who is timed on a CPU, by name."""
    plain = PlainNetwork(gpt)
    highest = partial(torch.set_float32_matmul_precision, "highest")
    canonical = partial(set_canonical_numerics, torch.device("cpu"))
    entries = {
        name: Contestant(
            prepare=highest, loss=partial(plain_loss, plain, batch_windows=batch_windows, autocast=autocast)
        )
        for name, autocast in ((PLAIN, False), (REFERENCE, True))
    }
    for name, dtype in ((OURS, torch.float32), (OURS_BF16, torch.bfloat16)):
        entries[name] = Contestant(
            prepare=canonical, loss=our_loss(gpt, table, dtype=dtype, batch_windows=batch_windows)
        )
    return entries


def make_network(device: torch.device) -> GPT:
    """12 layers x 768 of rank 16 with adapters that do something."""
    config = lora_768()
    gpt = GPT(network(config), backbone_seed=int(config.run.backbone_seed), device=device)
    generator = torch.Generator().manual_seed(SEED)
    initialise(gpt, generator)
    with torch.no_grad():
        for name, parameter in gpt.named_parameters():
            if name.endswith("lora_b"):
                noise = torch.randn(parameter.shape, generator=generator) * ADAPTER_STD
                parameter.copy_(noise)
            elif name.endswith(("attn_scale", "mlp_scale")):
                parameter.fill_(0.1)
            elif name == "embed.weight":
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * EMBEDDING_STD)
    return gpt


def read_corpus() -> tuple[Tokens, BytesTable]:
    """The built-in validation stream and its byte table."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_demo(Path(folder))
        tokenizer = load_tokenizer(files.tokenizer)
        return read_shard(files.val, vocab_size=tokenizer.vocab_size).copy(), bytes_table(tokenizer)


def race(entries: dict[str, Contestant], windows: list[Tokens]) -> tuple[dict[str, list[float]], dict[str, float]]:
    """CPU seconds of each contestant for each window group, in turn, after an untimed one; and its mean loss."""
    seconds: dict[str, list[float]] = {name: [] for name in entries}
    losses: dict[str, list[float]] = {name: [] for name in entries}
    for number, tokens in enumerate([windows[0], *windows]):
        for name, entry in entries.items():
            entry.prepare()
            started = time.process_time()
            loss = entry.loss(tokens)
            if number:
                seconds[name].append(time.process_time() - started)
                losses[name].append(loss)
    return seconds, {name: statistics.fmean(values) for name, values in losses.items()}


def cpu_report(rounds: int, batch_windows: int) -> str:
    """The race on a CPU, in Markdown."""
    tokens, table = read_corpus()
    group_tokens = batch_windows * SEQ_LEN
    groups = [tokens[start : start + group_tokens + 1] for start in range(0, rounds * group_tokens, group_tokens)]
    gpt = make_network(torch.device("cpu"))
    seconds, losses = race(contestants(gpt, table, batch_windows=batch_windows), groups)
    rates = {name: group_tokens / statistics.median(values) for name, values in seconds.items()}
    ratios = {
        name: statistics.median(p / o for p, o in zip(seconds[PLAIN], values, strict=True))
        for name, values in seconds.items()
    }
    lines = [
        "| what | tokens/s | times the plain loop | val_loss against plain |",
        "| --- | --: | --: | --: |",
        *(f"| {n} | {rates[n]:,.0f} | {ratios[n]:.2f} | {losses[n] - losses[PLAIN]:+.1e} |" for n in seconds),
        "",
        "| goal | reached |",
        "| --- | --- |",
        *(
            f"| {name}: {goal:g} times the plain loop | {ratios[name]:.2f}: {'yes' if ratios[name] >= goal else 'no'} |"
            for name, goal in GOALS
        ),
        "",
        "Middle half of the ratios: " + "; ".join(f"{n}, {_middle_half(seconds[PLAIN], seconds[n])}" for n, _ in GOALS),
        "",
        *product_lines(rounds, flops_per_token(gpt.network, seq_len=SEQ_LEN).forward),
    ]
    return "\n".join(lines)


def product_lines(rounds: int, flop_per_token: float) -> list[str]:
    """How fast matrix products alone are here: nothing that computes this network can be faster than they are."""
    rows, features_in, features_out = PRODUCT_SHAPE
    x, weight = torch.randn(rows, features_in), torch.randn(features_out, features_in)
    seconds: dict[str, list[float]] = {}
    for _ in range(3 * rounds):
        for name, precision, dtype in PRODUCTS:
            torch.set_float32_matmul_precision(precision)
            operands = x.to(dtype), weight.to(dtype)
            started = time.process_time()
            functional.linear(*operands)
            seconds.setdefault(name, []).append(time.process_time() - started)
    flop = 2 * rows * features_in * features_out
    rates = {name: flop / statistics.median(taken) for name, taken in seconds.items()}
    shape = " x ".join(map(str, PRODUCT_SHAPE))
    return [
        f"| one product alone, {shape} | GFLOP/s | tokens/s if the network ran at that rate |",
        "| --- | --: | --: |",
        *(f"| {name} | {rate / 1e9:.0f} | {rate / flop_per_token:,.0f} |" for name, rate in rates.items()),
    ]


def _middle_half(plain: list[float], other: list[float]) -> str:
    ratios = [p / o for p, o in zip(plain, other, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{low:.2f} to {high:.2f}"


def cuda_report(num_windows: int, batch_windows: int) -> str:
    """Tokens per second, MFU and the difference to the CPU's score, on a GPU."""
    tokens, table = read_corpus()
    num_windows = min(num_windows, (len(tokens) - 1) // SEQ_LEN)
    stream, device = tokens[: num_windows * SEQ_LEN + 1], torch.device("cuda")
    short = stream[: 4 * SEQ_LEN + 1]
    set_canonical_numerics(torch.device("cpu"))
    on_cpu = our_loss(make_network(torch.device("cpu")), table, dtype=torch.float32, batch_windows=4)(short)
    set_canonical_numerics(device)
    gpt = make_network(device)
    per_token = flops_per_token(gpt.network, seq_len=SEQ_LEN).forward
    peak = peak_flops(device_name(device))
    lines = [
        "| what | tokens/s | MFU (of the bfloat16 peak) | val_loss against the CPU's float32 |",
        "| --- | --: | --: | --: |",
    ]
    for name, dtype in ((OURS, torch.float32), (OURS_BF16, torch.bfloat16)):
        loss = our_loss(gpt, table, dtype=dtype, batch_windows=batch_windows)
        difference = loss(short) - on_cpu
        loss(stream)
        torch.cuda.synchronize()
        started = time.perf_counter()
        loss(stream)
        torch.cuda.synchronize()
        rate = (len(stream) - 1) / (time.perf_counter() - started)
        mfu = "unknown peak" if peak is None else f"{rate * per_token / peak:.1%}"
        lines.append(f"| {name} | {rate:,.0f} | {mfu} | {difference:+.1e} |")
    return "\n".join(lines)


def preamble(device: torch.device, method: str) -> str:
    """Date, machine, versions and command."""
    return "\n".join(
        [
            "# Scoring: seedgolf against the published way",
            "",
            f"- date: {datetime.now(UTC):%Y-%m-%d}",
            f"- machine: {processor() if device.type == 'cpu' else device_name(device)}, {platform.machine()}",
            f"- versions: python {platform.python_version()}, torch {torch.__version__}",
            f"- command: `{' '.join(['python -m benchmarks.bench_score', *sys.argv[1:]])}`",
            f"- network: 12 layers x 768, rank 16, vocab 1024; windows of {SEQ_LEN} of the built-in corpus",
            f"- method: {method}",
        ]
    )


def main() -> None:
    """Run the benchmark and print or write its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=9, help="CPU: timed groups of windows")
    parser.add_argument("--batch-windows", type=int, help="windows a batch (default: 2 on a CPU, 64 on a GPU)")
    parser.add_argument("--windows", type=int, default=128, help="GPU: windows to score")
    parser.add_argument("--output", type=Path, help="write the report here instead of standard output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.device == "cpu":
        method = (
            f"one thread, {options.rounds} groups of {options.batch_windows or 2} windows in turn; CPU time, medians"
        )
        body = cpu_report(options.rounds, options.batch_windows or 2)
    else:
        method = f"{options.windows} windows after the same once untimed; wall clock"
        body = cuda_report(options.windows, options.batch_windows or 64)
    report = f"{preamble(torch.device(options.device), method)}\n\n{body}\n"
    if options.output:
        options.output.write_text(report)
    else:
        print(report, end="")


if __name__ == "__main__":
    main()
