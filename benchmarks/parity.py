"""Runs the public challenge's own evaluation beside ours, on the same weights, tokens and tokenizer; CPU, float32.

    python -m benchmarks.parity ARTIFACT --challenge train_gpt.py --tokenizer fineweb_1024_bpe.model --val val.bin

`--challenge` is the challenge repository's train_gpt.py, `--sliding` a record's script that has `eval_val_sliding`;
both are given by you, imported and run, so look at them first. Nothing of them is part of this project. Their loops ask
for bfloat16 autocast on CUDA, which torch turns off on a machine without CUDA: so they compute in float32. Markdown on
standard output.
"""

import argparse
import builtins
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from sentencepiece import SentencePieceProcessor
from torch import Tensor, nn
from torch.nn import functional

from artifact.format import container
from artifact.model.build import build
from artifact.model.gpt import GPT
from artifact.model.norm import EPS
from artifact.model.scoring import for_scoring
from verifier.bytes_table import BytesTable, bytes_table
from verifier.numerics import set_canonical_numerics
from verifier.scoring import Score, score
from verifier.shards import Tokens, read_shard
from verifier.tokenizer import load_tokenizer
from verifier.valset import count_target_bytes
from verifier.windows import usable_targets

CPU = torch.device("cpu")
SEQ_LEN = 1024
BATCH_TOKENS = 4 * SEQ_LEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What both sides are given."""

    gpt: GPT
    table: BytesTable
    val: Tokens
    luts: tuple[Tensor, Tensor, Tensor]

    def ours(self, *, stride: int) -> Score:
        """The verifier's score of the merged network."""
        set_canonical_numerics(CPU)
        merged = for_scoring(self.gpt)
        return score(merged.logits, self.val, self.table, seq_len=SEQ_LEN, stride=stride, device=CPU)

    @property
    def usable(self) -> Tensor:
        """The tokens that the challenge scores: whole windows and one token more."""
        return torch.from_numpy(self.val[: usable_targets(len(self.val)) + 1].astype(np.int64))


class Wrapped(nn.Module):
    """Our network, unmerged, behind the calls that their loops make."""

    def __init__(self, gpt: GPT) -> None:
        super().__init__()
        self.gpt = gpt

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean nats per target."""
        return self.gpt.loss(x, y)

    def forward_logits(self, x: Tensor) -> Tensor:
        """Softcapped logits."""
        return self.gpt.logits(x)


def load_script(path: Path) -> ModuleType:
    """Import a script by its path: this runs it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def their_network(challenge: ModuleType, gpt: GPT, *, eps: float | None) -> nn.Module:
    """Their network with our weights, adapters merged; `eps` of their RMSNorm, whose own is None (2^-23)."""
    m = gpt.model
    theirs: nn.Module = challenge.GPT(
        m.vocab_size, m.num_layers, m.model_dim, m.num_heads, m.num_kv_heads, m.mlp_hidden_dim // m.model_dim,
        m.tie_embeddings, 0.005, m.logit_softcap, m.rope_base, 1.0,
    )  # fmt: skip
    state = {"tok_emb.weight": gpt.embed.weight, "skip_weights": torch.stack(list(gpt.skips))}
    names = {"q": "attn.c_q", "k": "attn.c_k", "v": "attn.c_v", "out": "attn.proj", "up": "mlp.fc", "down": "mlp.proj"}
    for layer, role, linear in gpt.linears():
        state[f"blocks.{layer}.{names[role.value.split('.')[1]]}.weight"] = linear.merged_weight()
    for name in ("attn.q_gain", "attn_scale", "mlp_scale", "resid_mix"):
        state |= {
            f"blocks.{layer}.{name}": gpt.get_parameter(f"layers.{layer}.{name}") for layer in range(m.num_layers)
        }
    theirs.load_state_dict({name: value.detach() for name, value in state.items()}, strict=True)
    vars(challenge)["F"] = SimpleNamespace(
        linear=functional.linear,
        cross_entropy=functional.cross_entropy,
        scaled_dot_product_attention=functional.scaled_dot_product_attention,
        rms_norm=lambda x, shape, eps=None, instead=eps: functional.rms_norm(x, shape, eps=instead),
    )
    return theirs


def byte_lines(challenge: ModuleType, bench: Bench, shards: Sequence[Path]) -> Iterator[str]:
    """Token and byte totals of whole shards, ours and theirs."""
    ours = (bench.table.piece_bytes, bench.table.has_leading_space, bench.table.is_boundary)
    equal = all(np.array_equal(mine, lut.numpy()) for mine, lut in zip(ours, bench.luts, strict=True))
    yield f"Byte table of {bench.table.vocab_size:,} pieces: {'equal' if equal else 'DIFFERENT'}."
    yield ""
    yield "| shard | tokens | targets, ours | theirs | bytes, ours | theirs |"
    yield "| --- | --: | --: | --: | --: | --: |"
    piece_bytes, leading, boundary = bench.luts
    for path in shards:
        tokens = read_shard(path, vocab_size=bench.table.vocab_size)
        mine = usable_targets(len(tokens))
        stream = challenge.load_validation_tokens(str(path), SEQ_LEN).to(torch.int64)
        prev, target = stream[:-1], stream[1:]
        theirs = int(piece_bytes[target].long().sum() + (leading[target] & ~boundary[prev]).sum())
        counted = count_target_bytes(bench.table, tokens, mine)
        yield f"| {path.name} | {len(tokens):,} | {mine:,} | {len(target):,} | {counted:,} | {theirs:,} |"


def plain_lines(challenge: ModuleType, bench: Bench) -> Iterator[str]:
    """Windows side by side: their eval_val around our network, and around theirs with our weights."""
    args = SimpleNamespace(val_batch_size=BATCH_TOKENS, train_seq_len=SEQ_LEN)
    reference = bench.ours(stride=SEQ_LEN)
    yield row("ours: merged, canonical float32", reference.val_loss, reference.val_bpb, reference)
    models: dict[str, Callable[[], nn.Module]] = {
        "their eval_val, our network unmerged": lambda: Wrapped(bench.gpt),
        "their eval_val, their network, eps 2^-20 as ours": lambda: their_network(challenge, bench.gpt, eps=EPS),
        "their eval_val, their network, its own eps 2^-23": lambda: their_network(challenge, bench.gpt, eps=None),
    }
    for name, make in models.items():
        loss, bpb = challenge.eval_val(args, make(), 0, 1, CPU, 1, bench.usable, *bench.luts)
        yield row(name, loss, bpb, reference)


def sliding_lines(script: ModuleType, bench: Bench, *, stride: int) -> Iterator[str]:
    """Overlapping windows, as their loop lays them, and without those that it cuts at the end of the stream."""
    args, wrapped = SimpleNamespace(train_seq_len=SEQ_LEN), Wrapped(bench.gpt)
    vars(script)["print"] = lambda *_, **__: None  # its progress
    reference = bench.ours(stride=stride)
    yield row("ours: merged, canonical float32", reference.val_loss, reference.val_bpb, reference)
    for name, starts in (("as written", builtins.range), ("whole windows only", whole_windows(stride))):
        vars(script)["range"] = starts
        loss, bpb = script.eval_val_sliding(
            args, wrapped, 0, 1, CPU, bench.usable, *bench.luts, stride=stride, batch_seqs=BATCH_TOKENS // SEQ_LEN
        )
        yield row(f"their eval_val_sliding, our network unmerged, {name}", loss, bpb, reference)


def whole_windows(stride: int) -> Callable[..., range]:
    """A `range` for their script that leaves out the window starts less than a window before the end."""

    def starts(*bounds: int) -> range:
        cut = len(bounds) == 3 and bounds[2] == stride
        return range(bounds[0], bounds[1] - SEQ_LEN + 1, stride) if cut else range(*bounds)

    return starts


def row(name: str, loss: float, bpb: float, reference: Score) -> str:
    """One line of a table, with the differences to ours."""
    differences = f"{loss - reference.val_loss:+.1e} | {bpb - reference.val_bpb:+.1e}"
    return f"| {name} | {loss:.10f} | {bpb:.10f} | {differences} |"


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--challenge", type=Path, required=True, help="the challenge's train_gpt.py")
    parser.add_argument("--sliding", type=Path, help="a script with eval_val_sliding")
    parser.add_argument("--stride", type=int, default=256, help="of the sliding windows")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True, help="the shard to score")
    parser.add_argument("--shards", type=Path, nargs="*", default=[], help="more shards whose bytes are counted")
    parser.add_argument("--tokens", type=int, help="score only the first so many tokens")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*CUDA is not available.*")
    torch.set_num_threads(1)
    challenge, tokenizer = load_script(given.challenge), load_tokenizer(given.tokenizer)
    luts = challenge.build_sentencepiece_luts(SentencePieceProcessor(str(given.tokenizer)), tokenizer.vocab_size, CPU)
    bench = Bench(
        gpt=build(container.read(given.artifact.read_bytes())),
        table=bytes_table(tokenizer),
        val=read_shard(given.val, vocab_size=tokenizer.vocab_size)[: given.tokens],
        luts=luts,
    )
    head = ["", "| what | val_loss | val_bpb | difference | in bits per byte |", "| --- | --: | --: | --: | --: |"]
    parts: list[Iterable[str]] = [
        byte_lines(challenge, bench, [given.val, *given.shards]),
        head,
        plain_lines(challenge, bench),
    ]
    if given.sliding:
        parts += [
            ["", f"Stride {given.stride}:"],
            head,
            sliding_lines(load_script(given.sliding), bench, stride=given.stride),
        ]
    for part in parts:
        for line in part:
            print(line, flush=True)


if __name__ == "__main__":
    main()
