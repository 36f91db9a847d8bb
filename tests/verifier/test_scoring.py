import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.verifier import gloo_worker
from tests.verifier.forge import TinyModel, demo, random_stream
from verifier.bytes_table import BytesTable, bytes_table
from verifier.data_errors import NonFiniteNats, TokenOutOfVocabulary, TooFewTokens
from verifier.numerics import set_canonical_numerics
from verifier.scoring import BpbSum, Score, nats_sha256, score
from verifier.shards import Tokens, read_shard
from verifier.target_nats import window_nats
from verifier.tokenizer import load_tokenizer
from verifier.windows import plan_windows

CPU = torch.device("cpu")
REAL = Path(__file__).parents[2].parent / "shared" / "data"


def tiny_score(tokens: Tokens, *, seq_len: int = 64, stride: int = 64, batch_windows: int = 4) -> Score:
    _, table = demo()
    model = TinyModel(table.vocab_size)
    return score(model, tokens, table, seq_len=seq_len, stride=stride, batch_windows=batch_windows, device=CPU)


def plain_score(
    model: TinyModel, tokens: list[int], table: BytesTable, seq_len: int, stride: int
) -> tuple[float, float, int, int]:
    """The scoring rules once more, read from verification.md: plain loops, float64, no code of the scorer."""
    usable = len(tokens) - 1
    if usable >= 1024:
        usable -= usable % 1024
    window = min(seq_len, usable)
    nats, byte_total, token_total = 0.0, 0, 0
    scored_until = 0
    while scored_until < usable:
        new = window if scored_until == 0 else min(stride, usable - scored_until)
        last = scored_until + new
        context = tokens[last - window : last]
        logits = model(torch.tensor([context]))[0].tolist()
        for target in range(scored_until, last):
            row = logits[target - (last - window)]
            top = max(row)
            log_total = top + math.log(sum(math.exp(value - top) for value in row))
            token, prev = tokens[target + 1], tokens[target]
            nats += log_total - row[token]
            byte_total += int(table.piece_bytes[token])
            if table.has_leading_space[token] and not table.is_boundary[prev]:
                byte_total += 1
            token_total += 1
        scored_until = last
    return nats / token_total, nats / math.log(2) / byte_total, byte_total, token_total


@pytest.mark.parametrize(
    ("num_tokens", "seq_len", "stride"),
    [(300, 64, 64), (300, 64, 24), (1100, 128, 128), (1100, 128, 50), (40, 512, 512), (30, 8, 1), (2, 64, 64)],
)
def test_an_independent_float64_scorer_agrees(num_tokens: int, seq_len: int, stride: int) -> None:
    _, table = demo()
    tokens = random_stream(num_tokens, vocab_size=table.vocab_size)
    tokens[1] = 300
    got = tiny_score(tokens, seq_len=seq_len, stride=stride)
    model = TinyModel(table.vocab_size).double()
    loss, bpb, byte_total, token_total = plain_score(model, tokens.tolist(), table, seq_len, stride)
    assert (got.bytes, got.tokens) == (byte_total, token_total)
    assert got.val_loss == pytest.approx(loss, abs=1e-6)
    assert got.val_bpb == pytest.approx(bpb, abs=1e-6)


def test_the_fields_of_a_score_fit_together() -> None:
    got = tiny_score(random_stream(1500, vocab_size=1024), stride=16)
    assert got.tokens == 1024
    assert got.windows == 1 + (1024 - 64) // 16
    assert got.val_loss == got.nats / got.tokens
    assert got.val_loss * got.tokens / (math.log(2) * got.val_bpb) == pytest.approx(got.bytes, rel=1e-12)
    assert got.seconds > 0


def test_totals_belong_to_the_set_and_not_to_the_windows() -> None:
    tokens = random_stream(1500, vocab_size=1024)
    scores = [
        tiny_score(tokens, seq_len=seq_len, stride=stride) for seq_len, stride in [(64, 64), (37, 11), (900, 900)]
    ]
    assert len({(got.tokens, got.bytes) for got in scores}) == 1


@pytest.mark.parametrize("route", ["canonical", "highest"])
@pytest.mark.parametrize(("seq_len", "stride"), [(128, 128), (100, 33), (7, 7)])
def test_bits_do_not_depend_on_batch_size_or_threads(
    torch_settings: None, route: str, seq_len: int, stride: int
) -> None:
    if route == "canonical":
        set_canonical_numerics(CPU)
    else:
        torch.set_float32_matmul_precision("highest")
    tokens = random_stream(400, vocab_size=1024)
    digests = set()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for batch_windows in (1, 3, 8):
            got = tiny_score(tokens, seq_len=seq_len, stride=stride, batch_windows=batch_windows)
            digests.add((got.nats_sha256, got.nats, got.val_bpb))
    assert len(digests) == 1


def test_processes_together_score_the_same_bits_as_one(tmp_path: Path, torch_settings: None) -> None:
    gloo_worker.run_two(tmp_path)
    alone = asdict(tiny_score(random_stream(1500, vocab_size=1024), stride=48, batch_windows=3))
    for rank in range(2):
        together = json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8"))
        assert together | {"seconds": 0} == alone | {"seconds": 0}


@given(
    values=st.lists(st.floats(0, 20, width=32), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_a_sum_added_in_pieces_has_the_bits_of_one_added_at_once(values: list[float], cuts: list[int]) -> None:
    nats = np.array(values, dtype=np.float32)
    target_bytes = np.arange(len(values), dtype=np.int64)
    pieces = BpbSum()
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for start, stop in pairwise(edges):
        pieces = pieces.add(nats[start:stop], target_bytes[start:stop])
    one_by_one = 0.0
    for value in nats.astype(np.float64).tolist():
        one_by_one += value
    assert pieces == BpbSum().add(nats, target_bytes)
    assert pieces == BpbSum(nats=one_by_one, bytes=sum(range(len(values))), tokens=len(values))


def test_the_digest_is_over_little_endian_float32() -> None:
    expected = hashlib.sha256(bytes.fromhex("0000803f 00002040")).hexdigest()
    assert nats_sha256(np.array([1.0, 2.5], dtype=np.float32)) == expected


def test_a_uniform_model_scores_the_entropy_of_its_vocabulary() -> None:
    _, table = demo()
    tokens = random_stream(1030, vocab_size=1024)
    got = score(lambda x: torch.zeros(*x.shape, 1024), tokens, table, seq_len=64, stride=64, device=CPU)
    assert got.val_loss == pytest.approx(math.log(1024), rel=1e-7)
    assert got.val_bpb == pytest.approx(10 * 1024 / got.bytes, rel=1e-7)


def test_progress_ends_at_the_usable_targets() -> None:
    _, table = demo()
    told: list[tuple[int, int]] = []
    model = TinyModel(1024)
    tokens = random_stream(1100, vocab_size=1024)
    score(model, tokens, table, seq_len=64, stride=32, device=CPU, progress=lambda *at: told.append(at))
    assert told[0] == (64 + 3 * 32, 1024)
    assert told[-1] == (1024, 1024)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def spoiled(value: float, at: int) -> Callable[[Tensor], Tensor]:
    """A model whose batch has `value` among the logits of its first window's position `at`."""

    def logits(tokens: Tensor) -> Tensor:
        result = torch.zeros(*tokens.shape, 1024)
        result[0, at, 5] = value
        return result

    return logits


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nats_that_are_not_finite_are_no_score(value: float) -> None:
    _, table = demo()
    tokens = random_stream(1100, vocab_size=1024)
    with pytest.raises(NonFiniteNats, match=r"target 17 of 1,024: expected finite nats, got"):
        score(spoiled(value, 17), tokens, table, seq_len=64, stride=64, batch_windows=16, device=CPU)


@pytest.mark.parametrize(
    ("name", "logits"),
    [
        ("vocabulary", lambda x: torch.zeros(*x.shape, 1023)),
        ("length", lambda x: torch.zeros(x.shape[0], x.shape[1] - 1, 1024)),
        ("flat", lambda x: torch.zeros(x.numel(), 1024)),
        ("bfloat16", lambda x: torch.zeros(*x.shape, 1024, dtype=torch.bfloat16)),
        ("float64", lambda x: torch.zeros(*x.shape, 1024, dtype=torch.float64)),
    ],
)
def test_logits_of_another_shape_or_dtype_are_refused(name: str, logits: Callable[[Tensor], Tensor]) -> None:
    _, table = demo()
    with pytest.raises(ValueError, match=r"logits: expected float32 of shape \(4, 64, 1024\)"):
        score(logits, random_stream(1100, vocab_size=1024), table, seq_len=64, stride=64, device=CPU)


def test_a_token_outside_the_vocabulary_is_refused_before_the_model_sees_it() -> None:
    tokens = random_stream(1100, vocab_size=1024)
    tokens[1099] = 1024
    with pytest.raises(TokenOutOfVocabulary, match=r"token 1,099"):
        tiny_score(tokens)


def test_a_stream_without_text_has_no_bits_per_byte() -> None:
    with pytest.raises(TooFewTokens, match="at least 1 byte of text"):
        tiny_score(np.ones(20, dtype=np.uint16))


@pytest.mark.parametrize(
    "settings", [{"batch_windows": 0}, {"rank": 1}, {"rank": -1, "world_size": 2}, {"world_size": 2}, {"stride": 65}]
)
def test_settings_out_of_range_are_the_callers_mistake(settings: dict[str, int]) -> None:
    _, table = demo()
    with pytest.raises(ValueError, match="expected"):
        score(
            TinyModel(1024),
            random_stream(1100, vocab_size=1024),
            table,
            **{"seq_len": 64, "stride": 64, "device": CPU, **settings},
        )


def test_a_sample_of_windows_has_the_nats_of_the_whole() -> None:
    tokens = random_stream(1100, vocab_size=1024)
    windows = plan_windows(len(tokens), seq_len=64, stride=32)
    fixed = {"vocab_size": 1024, "batch_windows": 4, "device": CPU}
    model = TinyModel(1024)
    everything = window_nats(model, tokens, windows, np.arange(windows.count), **fixed)
    chosen = np.array([3, 7, 8, 20, 30])
    begins, ends = windows.scored_begins(chosen), windows.scored_ends(chosen)
    expected = np.concatenate([everything[begin:end] for begin, end in zip(begins, ends, strict=True)])
    assert np.array_equal(window_nats(model, tokens, windows, chosen, **fixed), expected)


def test_what_a_model_caches_while_it_is_scored_stays_usable_in_training() -> None:
    weight = torch.ones(1024, requires_grad=True)
    cache: list[Tensor] = []

    def logits(tokens: Tensor) -> Tensor:
        if not cache:
            cache.append(torch.linspace(0, 1, 1024))
        return (weight * cache[0]).expand(*tokens.shape, 1024)

    _, table = demo()
    score(logits, random_stream(1100, vocab_size=1024), table, seq_len=64, stride=64, device=CPU)
    logits(torch.ones(1, 1, dtype=torch.int64)).sum().backward()
    assert weight.grad is not None


@pytest.mark.skipif(not (REAL / "fineweb_sample_val.bin").is_file(), reason="the FineWeb sample is not here")
def test_the_real_sample_has_the_challenges_targets_and_bytes() -> None:
    tokenizer = load_tokenizer(REAL / "fineweb_1024_bpe.model")
    tokens = read_shard(REAL / "fineweb_sample_val.bin", vocab_size=1024)
    uniform = torch.zeros(1, 1, 1024)
    table = bytes_table(tokenizer)
    got = score(lambda x: uniform.expand(*x.shape, 1024), tokens, table, seq_len=1024, stride=1024, device=CPU)
    assert (got.tokens, got.bytes) == (199_680, 479_772)
