"""Shards to batches: windows of a memory-mapped token stream, in an order that a small state can take up again.

Windows of T inputs and their targets tile each shard and never cross from one shard to the next. An optimizer step
takes `step_windows` of them, in the same order whatever the number of processes and micro-batches: only who sees which
window changes. A shuffled epoch is one permutation drawn from (seed, epoch), its tiling shifted by a random phase after
the first epoch; windows that do not fill a last step are left to the next epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from trainer.config import Order
from verifier.data_errors import TooFewTokens
from verifier.shards import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """How a step is cut: windows T long, B a micro-batch, for this process of `world_size`.

    Attributes:
        seq_len: inputs T of a window, in tokens.
        batch_windows: windows B in a micro-batch of one process.
        grad_accum_steps: micro-batches of one process in an optimizer step.
        rank: this process.
        world_size: all processes.
    """

    seq_len: int
    batch_windows: int
    grad_accum_steps: int = 1
    rank: int = 0
    world_size: int = 1

    @property
    def round_windows(self) -> int:
        """The windows that all processes take at once."""
        return self.batch_windows * self.world_size

    @property
    def step_windows(self) -> int:
        """The windows of an optimizer step."""
        return self.round_windows * self.grad_accum_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where the reading stands: windows that all processes took in this epoch. Two integers: made for a checkpoint."""

    epoch: int = 0
    windows: int = 0


class Batches:
    """Reads the batches of one process.

    Law: `Batches(..., cursor=b.cursor)` continues exactly as `b` would have.
    """

    def __init__(
        self, shards: Sequence[Tokens], shape: BatchShape, *, order: Order, seed: int, cursor: Cursor = Cursor()
    ) -> None:
        """Start reading `shards` at `cursor`.

        Args:
            shards: token streams, as `read_shard` maps them.
            shape: how a step is cut.
            order: shuffled or sequential.
            seed: of the shuffling, 0 <= seed < 2^64.
            cursor: where to start.

        Raises:
            TooFewTokens: the shards do not fill one step.
        """
        self._shards = tuple(shards)
        self._shape = shape
        self._order = order
        self._seed = seed
        self._cursor = cursor
        windows = len(self._tiles(phase=0))
        if windows < shape.step_windows:
            raise TooFewTokens(
                "training shards",
                expected=f"at least {shape.step_windows} windows of {shape.seq_len} tokens, one optimizer step",
                got=f"{windows} windows in {sum(map(len, self._shards)):,} tokens",
                next_step="give more data or take a smaller batch",
            )
        self._starts = self._epoch_starts(cursor.epoch)

    @property
    def cursor(self) -> Cursor:
        """The state to continue from."""
        return self._cursor

    def next_batch(self) -> tuple[Int64[Tensor, "B T"], Int64[Tensor, "B T"]]:
        """This process's next micro-batch: inputs, and targets that each follow their input by one token."""
        steps = len(self._starts) // self._shape.step_windows
        if self._cursor.windows >= steps * self._shape.step_windows:
            self._cursor = Cursor(epoch=self._cursor.epoch + 1)
            self._starts = self._epoch_starts(self._cursor.epoch)
        first = self._cursor.windows + self._shape.rank * self._shape.batch_windows
        rows = self._starts[first : first + self._shape.batch_windows]
        self._cursor = Cursor(epoch=self._cursor.epoch, windows=self._cursor.windows + self._shape.round_windows)
        length = self._shape.seq_len + 1
        windows = np.stack([self._shards[shard][start : start + length] for shard, start in rows])  # (B, T+1)
        windows = windows.astype(np.int64)
        return torch.from_numpy(windows[:, :-1].copy()), torch.from_numpy(windows[:, 1:].copy())

    def _epoch_starts(self, epoch: int) -> NDArray[np.int64]:
        """The (shard, start) of every window of an epoch in reading order: int64 (windows, 2)."""
        if self._order is Order.SEQUENTIAL:
            return self._tiles(phase=0)
        generator = np.random.Generator(np.random.Philox(key=np.array([self._seed, epoch], dtype=np.uint64)))
        phase = int(generator.integers(self._shape.seq_len)) if epoch else 0
        tiles = self._tiles(phase=phase)
        if len(tiles) < self._shape.step_windows:  # the shift cost the windows that one step needs
            tiles = self._tiles(phase=0)
        return generator.permutation(tiles)

    def _tiles(self, *, phase: int) -> NDArray[np.int64]:
        """The windows that tile each shard from `phase` on, in stream order."""
        seq_len = self._shape.seq_len
        parts = [np.empty((0, 2), dtype=np.int64)]
        for number, shard in enumerate(self._shards):
            starts = np.arange(phase, len(shard) - seq_len, seq_len, dtype=np.int64)
            parts.append(np.stack([np.full_like(starts, number), starts], axis=1))
        return np.concatenate(parts)
