"""From a model's logits to nats per target: batches of one shape, float32 log-softmax, ranks joined in stream order.

Holds one batch of logits (4*B*T*V bytes, the model's own) and one slice of log-probabilities, whatever the stream's
length. Only scored positions are normalised, over the whole vocabulary, and each row on its own: neither the slicing
nor the other rows of a batch reach its bits.
"""

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor, distributed

from verifier.progress import Progress, silent
from verifier.shards import Tokens
from verifier.windows import WindowBatch, Windows, rank_windows, window_batches

SLICE_LOGITS = 1 << 22  # log-softmax at most this many logits at a time: 16 MiB

Nats = NDArray[np.float32]


class Logits(Protocol):
    """A causal model: row t of its result holds the softcapped float32 logits of the token after input t."""

    def __call__(self, tokens: Int64[Tensor, "B T"], /) -> Float32[Tensor, "B T V"]:
        """The logits of every next token."""


def window_nats(
    logits: Logits,
    tokens: Tokens,
    windows: Windows,
    indices: NDArray[np.int64],
    *,
    vocab_size: int,
    batch_windows: int,
    device: torch.device,
    progress: Progress = silent,
) -> Nats:
    """The nats of every target that the windows `indices` score, in the order of `indices` and then of the stream.

    Args:
        logits: the model, on `device`.
        tokens: the whole stream, every token below `vocab_size`.
        windows: the plan over that stream.
        indices: which windows, in any order: all of them, one rank's range, or a sample.
        vocab_size: V, the last dimension that the logits must have.
        batch_windows: windows B in every batch; the last batch is padded to it.
        device: where the model computes.
        progress: told the targets scored so far.

    Raises:
        ValueError: the logits have a wrong shape or dtype.
    """
    total, parts = windows.scored_targets(indices), [np.empty(0, dtype=np.float32)]
    done = 0
    with torch.no_grad():  # not inference_mode: a table that the model caches on the way must stay usable in training
        for chosen in window_batches(indices, batch_windows=batch_windows):
            batch = windows.gather(tokens, chosen, batch_windows=batch_windows)
            parts.append(_batch_nats(logits, batch, vocab_size=vocab_size, device=device))
            done += len(parts[-1])
            progress(done, total)
    return np.concatenate(parts)


def check_processes(world_size: int) -> None:
    """Refuse to begin what `world_size` processes could not finish together.

    Raises:
        ValueError: torch.distributed does not run with so many.
    """
    if world_size > 1 and not (distributed.is_initialized() and distributed.get_world_size() == world_size):
        raise ValueError(f"world_size: expected torch.distributed initialised with {world_size} processes")


def gather_nats(nats: Nats, windows: Windows, *, batch_windows: int, world_size: int, device: torch.device) -> Nats:
    """Join the nats of all ranks' `rank_windows` in stream order; every rank gets the whole."""
    if world_size == 1:
        return nats
    shares = [
        windows.scored_targets(
            rank_windows(windows.count, batch_windows=batch_windows, rank=rank, world_size=world_size)
        )
        for rank in range(world_size)
    ]
    own = torch.zeros(max(shares), dtype=torch.float32, device=device)
    own[: len(nats)] = torch.from_numpy(nats)
    parts = [torch.empty_like(own) for _ in shares]
    distributed.all_gather(parts, own)
    return np.concatenate([part[:share].cpu().numpy() for part, share in zip(parts, shares, strict=True)])


def _batch_nats(logits: Logits, batch: WindowBatch, *, vocab_size: int, device: torch.device) -> Nats:
    rows = logits(torch.from_numpy(batch.inputs).to(device))
    expected = (*batch.inputs.shape, vocab_size)
    if rows.shape != expected or rows.dtype != torch.float32:
        raise ValueError(f"logits: expected float32 of shape {expected}, got {rows.dtype} of {tuple(rows.shape)}")
    rows = rows.flatten(0, 1)  # (B*T, V)
    targets = torch.from_numpy(batch.targets).to(device).flatten()  # (B*T,)
    scored = torch.from_numpy(np.flatnonzero(batch.scored)).to(device)
    parts = [
        -rows[part].log_softmax(dim=-1).gather(1, targets[part, None]).squeeze(1)
        for part in torch.split(scored, max(1, SLICE_LOGITS // vocab_size))
    ]
    return torch.cat(parts).cpu().numpy()
