"""Screening: an estimate of the score from a random set of windows, with a bootstrap interval. Never called a score.

Windows are drawn without replacement by a seed; the estimate is the ratio of their summed nats and bytes, and the
interval comes from drawing whole windows again with replacement, because the targets of one window are not
independent.
"""

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from verifier.bytes_table import BytesTable
from verifier.data_errors import NonFiniteNats, TooFewTokens
from verifier.progress import Progress, silent
from verifier.report import Interval, ScoreDtype, ScreeningRecord
from verifier.scoring import nats_sha256
from verifier.shards import Tokens
from verifier.target_nats import Logits, Nats, window_nats
from verifier.windows import Windows

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000
MIN_WINDOWS: Final = 8
WINDOWS_STREAM, RESAMPLES_STREAM = 0, 1  # two streams of the sample's seed

Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which windows to score: `fraction` of them, in (0, 1), drawn by `seed`; `dtype` is written down."""

    fraction: float
    seed: int
    dtype: ScoreDtype


def screen(
    logits: Logits,
    tokens: Tokens,
    table: BytesTable,
    windows: Windows,
    sample: Sample,
    *,
    batch_windows: int,
    device: torch.device,
    progress: Progress = silent,
) -> ScreeningRecord:
    """Estimate the score from a sample of the windows, at least 8 of them.

    Args:
        logits: the model, in evaluation mode, on `device`.
        tokens: the whole stream.
        table: the bytes of its tokenizer.
        windows: the plan over the stream.
        sample: which windows.
        batch_windows: windows a batch.
        device: where the model computes.
        progress: told targets.

    Raises:
        NonFiniteNats: the model gave NaN or infinity.
        TooFewTokens: the chosen targets have no bytes of text.
    """
    started = time.perf_counter()
    chosen = choose_windows(windows.count, sample)
    nats = window_nats(
        logits,
        tokens,
        windows,
        chosen,
        vocab_size=table.vocab_size,
        batch_windows=windows.batch_windows(batch_windows),
        device=device,
        progress=progress,
    )
    sums, target_bytes, counts = _by_window(nats, tokens, table, windows, chosen)
    return ScreeningRecord(
        fraction=sample.fraction,
        seed=sample.seed,
        windows=len(chosen),
        all_windows=windows.count,
        tokens=len(nats),
        bytes=int(target_bytes.sum()),
        val_loss=bootstrap(sums, counts, seed=sample.seed),
        val_bpb=bootstrap(sums / math.log(2.0), target_bytes, seed=sample.seed),
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        nats_sha256=nats_sha256(nats),
        dtype=sample.dtype,
        seconds=time.perf_counter() - started,
    )


def choose_windows(count: int, sample: Sample) -> NDArray[np.int64]:
    """The sample's windows out of `count`, ascending."""
    wanted = min(count, max(MIN_WINDOWS, math.ceil(sample.fraction * count)))
    generator = np.random.Generator(np.random.Philox(key=(sample.seed, WINDOWS_STREAM)))
    return np.sort(generator.choice(count, size=wanted, replace=False)).astype(np.int64)


def bootstrap(numerators: Sums, denominators: Sums, *, seed: int) -> Interval:
    """The ratio of the sums over windows, with its percentile interval over resampled windows."""
    generator = np.random.Generator(np.random.Philox(key=(seed, RESAMPLES_STREAM)))
    n = len(numerators)
    ratios = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = generator.integers(n, size=n)
        ratios[number] = numerators[drawn].sum() / max(denominators[drawn].sum(), 1.0)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(estimate=float(numerators.sum() / denominators.sum()), low=float(low), high=float(high))


def _by_window(
    nats: Nats, tokens: Tokens, table: BytesTable, windows: Windows, chosen: NDArray[np.int64]
) -> tuple[Sums, Sums, Sums]:
    """Nats, bytes and targets of each chosen window."""
    if not np.isfinite(nats).all():
        first = int(np.argmin(np.isfinite(nats)))
        raise NonFiniteNats(f"target {first:,} of the sample", expected="finite nats", got=str(nats[first]))
    spans = list(zip(windows.scored_begins(chosen), windows.scored_ends(chosen), strict=True))
    target_bytes = [table.target_bytes(tokens[a:b], tokens[a + 1 : b + 1]).sum() for a, b in spans]
    if sum(target_bytes) == 0:
        raise TooFewTokens("sample", expected="at least 1 byte of text", got="0 bytes")
    counts = np.array([b - a for a, b in spans])
    sums = np.add.reduceat(nats.astype(np.float64), np.cumsum(counts) - counts)
    return sums, np.array(target_bytes, np.float64), counts.astype(np.float64)
