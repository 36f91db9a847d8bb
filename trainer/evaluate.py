"""The trainer's look at validation: the verifier's own ruler on the network as it is, merged for scoring.

Claims are scored in float32 on the whole stream. A running training looks at its beginning only, in bfloat16 on a
GPU: a hint for people, which nothing is decided by.
"""

from dataclasses import dataclass, field

import torch

from artifact.format.manifest import Eval
from artifact.model.gpt import GPT
from artifact.model.scoring import for_scoring
from trainer.world import World
from verifier.bytes_table import BytesTable
from verifier.progress import Progress, silent
from verifier.scoring import Score, score
from verifier.shards import Tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validation:
    """What a network is scored on, and in which windows.

    Attributes:
        tokens: the whole stream.
        table: bytes of each target.
        windows: as the manifest declares them.
        batch_windows: windows a batch.
        running_tokens: targets that a running training looks at.
    """

    tokens: Tokens = field(repr=False)
    table: BytesTable = field(repr=False)
    windows: Eval
    batch_windows: int
    running_tokens: int

    def whole(self, gpt: GPT, world: World, *, progress: Progress = silent) -> Score:
        """The canonical score; every process takes its share and gets the whole result."""
        return self._score(gpt, world, self.tokens, torch.float32, progress)

    def running(self, gpt: GPT, world: World) -> Score:
        """The score of the stream's beginning."""
        dtype = torch.bfloat16 if world.device.type == "cuda" else torch.float32
        return self._score(gpt, world, self.tokens[: self.running_tokens + 1], dtype, silent)

    def _score(self, gpt: GPT, world: World, tokens: Tokens, dtype: torch.dtype, progress: Progress) -> Score:
        return score(
            for_scoring(gpt, dtype=dtype).logits,
            tokens,
            self.table,
            seq_len=self.windows.seq_len,
            stride=self.windows.stride,
            device=world.device,
            batch_windows=self.batch_windows,
            rank=world.rank,
            world_size=world.world_size,
            progress=progress,
        )
