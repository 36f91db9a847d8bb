"""Probes on the real model: what must hold for a number to be a likelihood of the text, whatever the network is.

One batch of windows, spread over the stream, is evaluated three times: as it is, with everything after a
cut replaced, and as it is again. At every position the distribution over the vocabulary sums to 1; up to the cut not
one bit may change, or the model looked ahead; the third pass gives the bits of the first, or it remembers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from verifier.errors import CheckFailed, Code
from verifier.shards import Tokens
from verifier.target_nats import Logits
from verifier.windows import Windows

MAX_SUM_ERROR: Final = 1e-4  # a float32 log-softmax over 131,072 entries errs by 1e-6
PROBE_KEY: Final = 0x5EED601F


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What the probes saw: positions looked at, and the largest distance of a sum from 1."""

    positions: int
    cuts: tuple[int, ...]
    largest_sum_error: float


def probe(
    logits: Logits,
    tokens: Tokens,
    windows: Windows,
    *,
    vocab_size: int,
    batch_windows: int,
    device: torch.device,
) -> Probed:
    """Probe a model on one batch of the windows it will be scored in.

    Args:
        logits: the model, on `device`.
        tokens: the whole stream, every token below `vocab_size`.
        windows: the plan over that stream.
        vocab_size: V, the size of the distribution that is scored.
        batch_windows: windows B of the batch, as in scoring.
        device: where the model computes.

    Raises:
        CheckFailed: not-normalised or not-causal.
    """
    inputs = _inputs(tokens, windows, batch_windows)
    cuts = _cuts(windows.seq_len, batch_windows)
    changed = _replace_after(inputs, cuts, vocab_size)
    with torch.no_grad():
        first = logits(torch.from_numpy(inputs).to(device)).clone()
        error = _check_sums(first, vocab_size)
        second = logits(torch.from_numpy(changed).to(device))
        _check_earlier(first, second, cuts)
        if not torch.equal(first, logits(torch.from_numpy(inputs).to(device))):
            raise _not_causal("equal logits for equal tokens", "other bits in a second pass")
    return Probed(positions=inputs.size, cuts=tuple(cuts.tolist()), largest_sum_error=error)


def _inputs(tokens: Tokens, windows: Windows, batch_windows: int) -> NDArray[np.int64]:
    """(B, T) windows spread evenly over the stream."""
    chosen = np.linspace(0, windows.count - 1, num=min(batch_windows, windows.count), dtype=np.int64)
    return windows.gather(tokens, np.unique(chosen), batch_windows=batch_windows).inputs


def _cuts(seq_len: int, batch_windows: int) -> NDArray[np.int64]:
    """The last unchanged position of each row: spread over the window from its first on, or the middle of one row."""
    last = max(0, seq_len - 2)
    return np.linspace(last // 2 if batch_windows == 1 else 0, last, num=batch_windows, dtype=np.int64)


def _replace_after(inputs: NDArray[np.int64], cuts: NDArray[np.int64], vocab_size: int) -> NDArray[np.int64]:
    """`inputs` with another token at every position after its row's cut, the target at the cut among them."""
    generator = np.random.Generator(np.random.Philox(key=PROBE_KEY))
    shift = generator.integers(1, max(2, vocab_size), size=inputs.shape)
    after = np.arange(inputs.shape[1]) > cuts[:, None]
    return np.where(after, (inputs + shift) % vocab_size, inputs)


def _check_sums(logits: Float32[Tensor, "B T V"], vocab_size: int) -> float:
    if logits.shape[-1] != vocab_size:
        raise _not_normalised(f"a distribution over {vocab_size} tokens", f"one over {logits.shape[-1]}")
    sums = torch.stack([row.log_softmax(dim=-1).double().exp().sum(dim=-1) for row in logits])  # (B, T)
    error = float((sums - 1).abs().max())
    if not error <= MAX_SUM_ERROR:  # NaN fails too
        raise _not_normalised(f"probabilities that sum to 1 within {MAX_SUM_ERROR:g}", f"a sum off by {error:.3g}")
    return error


def _check_earlier(
    first: Float32[Tensor, "B T V"], second: Float32[Tensor, "B T V"], cuts: Int64[NDArray[np.int64], " B"]
) -> None:
    for row, cut in enumerate(cuts.tolist()):
        same = (first[row, : cut + 1] == second[row, : cut + 1]).all(dim=-1)  # (cut + 1,)
        if not bool(same.all()):
            position = int(torch.argmin(same.int()))
            expected = f"position {position} to depend on tokens 0 to {position} only"
            raise _not_causal(expected, f"other bits after tokens from {cut + 1} on were replaced")


def _not_normalised(expected: str, got: str) -> CheckFailed:
    hint = "the stored numbers overflow somewhere in the network: look at scales and gains"
    return CheckFailed(Code.NOT_NORMALISED, expected=expected, got=got, hint=hint)


def _not_causal(expected: str, got: str) -> CheckFailed:
    hint = "a score from a model that sees its target is worth nothing; report it if the network is a declared one"
    return CheckFailed(Code.NOT_CAUSAL, expected=expected, got=got, hint=hint)
