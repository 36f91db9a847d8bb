"""The ruler: a model's nats per target on a validation stream, summed in stream order, divided once.

The trainer's validation and the verifier both call `score`. It knows a model only as a function from tokens to
float32 logits and owns everything behind that: the log-softmax, the sums, the byte count. Canonical numerics
(verification.md V-23): nats in float32, their sum in float64 in stream order, bytes in int64. Every batch has one
shape and every row is reduced on its own, so the result's bits depend on batch size, threads or processes only where
the model's own rows do.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from verifier.bytes_table import BytesTable
from verifier.data_errors import NonFiniteNats, TooFewTokens
from verifier.progress import Progress, silent
from verifier.shards import Tokens, check_vocabulary
from verifier.target_nats import Logits, Nats, check_processes, gather_nats, window_nats
from verifier.windows import plan_windows, rank_windows

SUM_TOKENS = 1 << 20  # targets converted to float64 at a time

Observer = Callable[[Nats], None]


def unobserved(nats: Nats) -> None:
    """The observer that looks away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BpbSum:
    """A running sum over targets in stream order.

    Law: adding a stream in any pieces gives the same bits as adding it at once, because the float64 additions happen
    one after the other.
    """

    nats: float = 0.0
    bytes: int = 0
    tokens: int = 0

    def add(self, nats: Nats, target_bytes: NDArray[np.int64]) -> "BpbSum":
        """The sum with these targets added; both arrays have one entry a target."""
        total = np.add.accumulate(np.concatenate([[self.nats], nats], dtype=np.float64))[-1]
        return BpbSum(nats=float(total), bytes=self.bytes + int(target_bytes.sum()), tokens=self.tokens + len(nats))

    @property
    def val_loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def val_bpb(self) -> float:
        """Bits per byte of text."""
        return self.nats / (math.log(2.0) * self.bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a model scored on a whole validation stream.

    Attributes:
        nats: the sum over all usable targets.
        bytes: their bytes of text.
        tokens: how many targets.
        val_loss: nats per token.
        val_bpb: bits per byte.
        nats_sha256: SHA-256 of the per-target nats, little-endian float32 in stream order, in hex.
        windows: how many windows were scored, by all processes together.
        seconds: wall clock of this process, gathering included.
    """

    nats: float
    bytes: int
    tokens: int
    val_loss: float
    val_bpb: float
    nats_sha256: str
    windows: int
    seconds: float


def score(  # noqa: PLR0913 - one keyword per term of the scoring rules
    logits: Logits,
    tokens: Tokens,
    table: BytesTable,
    *,
    seq_len: int,
    stride: int,
    device: torch.device,
    batch_windows: int = 4,
    rank: int = 0,
    world_size: int = 1,
    progress: Progress = silent,
    observe: Observer = unobserved,
) -> Score:
    """Score a model on a whole validation stream (verification.md V-20 to V-24).

    Args:
        logits: the model, in evaluation mode, on `device`.
        tokens: the stream x_0 .. x_{N-1}, documents opened by BOS.
        table: the bytes of the tokenizer that made the stream; its V is the model's.
        seq_len: window length T in tokens.
        stride: new targets a window; equal to `seq_len` is plain scoring.
        device: where the model computes.
        batch_windows: windows B in every batch; the last batch is padded to it.
        rank: this process of `world_size`; with more than one, torch.distributed is initialised by the caller.
        world_size: processes that score together.
        progress: told the targets that this process has scored.
        observe: shown, in every process, the nats of all targets in stream order once they are known to be finite.

    Returns:
        The same Score in every process, but for its own seconds.

    Raises:
        ValueError: settings out of range, or logits of a wrong shape or dtype.
        DataError: a stream without targets or bytes, a token outside the vocabulary, nats that are not finite.
    """
    if batch_windows < 1 or not 0 <= rank < world_size:
        raise ValueError(
            f"expected batch_windows >= 1 and 0 <= rank < world_size, got {batch_windows=} {rank=} {world_size=}"
        )
    check_processes(world_size)
    started = time.perf_counter()
    windows = plan_windows(len(tokens), seq_len=seq_len, stride=stride)
    check_vocabulary(tokens, vocab_size=table.vocab_size, where="validation stream")
    size = windows.batch_windows(batch_windows)
    own = rank_windows(windows.count, batch_windows=size, rank=rank, world_size=world_size)
    nats = window_nats(
        logits,
        tokens,
        windows,
        own,
        vocab_size=table.vocab_size,
        batch_windows=size,
        device=device,
        progress=progress,
    )
    nats = gather_nats(nats, windows, batch_windows=size, world_size=world_size, device=device)
    total = sum_targets(nats, tokens, table)
    observe(nats)
    return Score(
        nats=total.nats,
        bytes=total.bytes,
        tokens=total.tokens,
        val_loss=total.val_loss,
        val_bpb=total.val_bpb,
        nats_sha256=nats_sha256(nats),
        windows=windows.count,
        seconds=time.perf_counter() - started,
    )


def sum_targets(nats: Nats, tokens: Tokens, table: BytesTable) -> BpbSum:
    """Sum the nats of the first targets of a stream together with their bytes.

    Raises:
        NonFiniteNats: naming the first target that is NaN or infinite.
        TooFewTokens: the targets have no bytes of text, so there is nothing to divide by.
    """
    finite = np.isfinite(nats)
    if not finite.all():
        first = int(np.argmin(finite))
        raise NonFiniteNats(f"target {first:,} of {len(nats):,}", expected="finite nats", got=str(nats[first]))
    total = BpbSum()
    for start in range(0, len(nats), SUM_TOKENS):
        part = nats[start : start + SUM_TOKENS]
        stop = start + len(part)
        total = total.add(part, table.target_bytes(tokens[start:stop], tokens[start + 1 : stop + 1]))
    if total.bytes == 0:
        raise TooFewTokens("validation stream", expected="at least 1 byte of text", got="0 bytes")
    return total


def nats_sha256(nats: Nats) -> str:
    """The digest of per-target nats: SHA-256 of little-endian float32 in stream order, in hex."""
    return hashlib.sha256(nats.astype("<f4", copy=False).tobytes()).hexdigest()
