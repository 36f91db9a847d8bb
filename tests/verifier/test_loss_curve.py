"""The curves of a score: the sums they must be, by plain loops, and the bits they keep."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.verifier import gloo_worker
from tests.verifier.entries import Arena
from tests.verifier.forge import TinyModel, demo, random_stream
from verifier import loss_curve as curves
from verifier.curve_record import CurveRecord
from verifier.loss_curve import group_of_position, loss_curve, target_groups
from verifier.numerics import set_canonical_numerics
from verifier.report import CheckName, Report, ScoreRecord, Verdict, parse
from verifier.scoring import score, sum_targets
from verifier.settings import Settings
from verifier.target_nats import Nats
from verifier.windows import Windows, plan_windows

CPU = torch.device("cpu")


def random_nats(count: int) -> Nats:
    return np.random.default_rng(5).uniform(0, 12, count).astype(np.float32)


def curve_of(num_tokens: int, *, seq_len: int, stride: int) -> tuple[CurveRecord, Nats, Windows]:
    _, table = demo()
    tokens = random_stream(num_tokens, vocab_size=table.vocab_size)
    windows = plan_windows(num_tokens, seq_len=seq_len, stride=stride)
    nats = random_nats(windows.usable)
    return loss_curve(nats, tokens, table, windows), nats, windows


SHAPES = [(300, 64, 64), (300, 64, 24), (1100, 128, 50), (5000, 1024, 1024), (40, 512, 512), (30, 8, 1), (2, 64, 64)]
everywhere = pytest.mark.parametrize(("num_tokens", "seq_len", "stride"), SHAPES)


@everywhere
def test_segments_are_the_sums_of_equal_pieces_in_stream_order(num_tokens: int, seq_len: int, stride: int) -> None:
    curve, nats, windows = curve_of(num_tokens, seq_len=seq_len, stride=stride)
    _, table = demo()
    tokens = random_stream(num_tokens, vocab_size=table.vocab_size)
    assert len(curve.segments) == min(64, windows.usable)
    lengths = {segment.tokens for segment in curve.segments}
    assert max(lengths) - min(lengths) <= 1
    start = 0
    for segment in curve.segments:
        total, total_bytes = 0.0, 0
        for k in range(start, start + segment.tokens):
            total += float(nats[k])
            token, prev = int(tokens[k + 1]), int(tokens[k])
            total_bytes += int(table.piece_bytes[token])
            total_bytes += int(table.has_leading_space[token] and not table.is_boundary[prev])
        assert (segment.nats, segment.bytes) == (total, total_bytes)
        start += segment.tokens
    assert start == windows.usable


@everywhere
def test_positions_are_the_sums_over_targets_with_as_much_context(num_tokens: int, seq_len: int, stride: int) -> None:
    curve, nats, windows = curve_of(num_tokens, seq_len=seq_len, stride=stride)
    totals, counts = dict.fromkeys(range(16), 0.0), dict.fromkeys(range(16), 0)
    scored_until = 0
    while scored_until < windows.usable:  # the rules of verification.md once more
        new = windows.seq_len if scored_until == 0 else min(windows.stride, windows.usable - scored_until)
        first_input = scored_until + new - windows.seq_len
        for k in range(scored_until, scored_until + new):
            group = math.ceil(math.log2(k - first_input + 1))
            totals[group] += float(nats[k])
            counts[group] += 1
        scored_until += new
    found = [(group.tokens, group.nats) for group in curve.positions]
    assert found == [(counts[number], totals[number]) for number in range(len(found))]
    assert sum(counts.values()) == sum(group.tokens for group in curve.positions)


def test_a_window_of_1024_has_positions_in_doublings() -> None:
    curve, _, _ = curve_of(5000, seq_len=1024, stride=1024)
    ranges = [(group.first, group.last) for group in curve.positions]
    assert ranges == [(1, 1), (2, 2), *((2**n + 1, 2 ** (n + 1)) for n in range(1, 10))]
    assert [group.tokens for group in curve.positions] == [4 * (last - first + 1) for first, last in ranges]


def test_the_longest_window_still_has_sixteen_groups_and_the_last_takes_the_rest() -> None:
    groups = group_of_position(65_536)
    assert groups[0] == 0
    assert groups[-1] == 15
    assert int(np.count_nonzero(groups == 15)) == 65_536 - 16_384


@given(usable=st.integers(1, 400), seq_len=st.integers(1, 90), stride=st.integers(1, 90))
def test_every_window_ends_at_its_last_position(usable: int, seq_len: int, stride: int) -> None:
    windows = plan_windows(usable + 1, seq_len=seq_len, stride=min(stride, seq_len))
    expected = np.zeros(windows.usable, np.int64)
    for index in np.arange(windows.count):
        begin, end = int(windows.scored_begins(index)), int(windows.scored_ends(index))
        expected[begin:end] = np.arange(begin, end) - (end - windows.seq_len)
    parts = list(target_groups(windows, np.arange(windows.seq_len)))
    assert [start for start, _ in parts] == [0, *np.cumsum([len(part) for _, part in parts])[:-1]]
    assert np.array_equal(np.concatenate([part for _, part in parts]), expected)


def test_the_size_of_the_parts_does_not_reach_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _, _ = curve_of(5000, seq_len=96, stride=40)
    monkeypatch.setattr(curves, "SUM_TOKENS", 7)
    parts, _, _ = curve_of(5000, seq_len=96, stride=40)
    assert parts == whole


def scored_curve(*, batch_windows: int, seq_len: int = 128, stride: int = 48) -> tuple[CurveRecord, str, float]:
    _, table = demo()
    tokens = random_stream(1500, vocab_size=table.vocab_size)
    windows = plan_windows(len(tokens), seq_len=seq_len, stride=stride)
    kept: list[Nats] = []
    settings: dict[str, Any] = {"seq_len": seq_len, "stride": stride, "device": CPU, "batch_windows": batch_windows}
    got = score(TinyModel(table.vocab_size), tokens, table, **settings, observe=kept.append)
    (nats,) = kept
    return loss_curve(nats, tokens, table, windows), got.nats_sha256, got.val_bpb


@pytest.mark.parametrize("stride", [128, 48])
def test_curves_do_not_depend_on_batch_size_or_threads(torch_settings: None, stride: int) -> None:
    set_canonical_numerics(CPU)
    found = set()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for batch_windows in (1, 3, 8):
            curve, digest, val_bpb = scored_curve(batch_windows=batch_windows, stride=stride)
            found.add((curve.model_dump_json(), digest, val_bpb))
    assert len(found) == 1


def test_who_looks_at_the_nats_does_not_change_the_score() -> None:
    _, table = demo()
    tokens = random_stream(1500, vocab_size=table.vocab_size)
    settings: dict[str, Any] = {"seq_len": 128, "stride": 48, "device": CPU}
    seen: list[Nats] = []
    model = TinyModel(table.vocab_size)
    observed = score(model, tokens, table, **settings, observe=seen.append)
    alone = score(model, tokens, table, **settings)
    assert (observed.nats_sha256, observed.nats, observed.val_bpb) == (alone.nats_sha256, alone.nats, alone.val_bpb)
    assert sum_targets(seen[0], tokens, table).nats == alone.nats


def test_processes_together_have_the_curves_of_one(tmp_path: Path, torch_settings: None) -> None:
    gloo_worker.run_two(tmp_path)
    alone, _, _ = scored_curve(batch_windows=3, seq_len=64)
    for rank in range(2):
        together = json.loads((tmp_path / f"{rank}.curve.json").read_text(encoding="utf-8"))
        assert together == alone.model_dump(mode="json")


@pytest.fixture(scope="module")
def report(arena: Arena) -> Report:
    return arena.judge(arena.entry())


def test_an_accepted_report_holds_the_curves_of_its_score(report: Report) -> None:
    assert report.score is not None
    assert report.score.curve is not None
    segments, groups = report.score.curve.segments, report.score.curve.positions
    assert sum(segment.nats for segment in segments) == pytest.approx(report.score.val_loss * report.score.tokens)
    assert sum(group.nats for group in groups) == pytest.approx(report.score.val_loss * report.score.tokens)
    assert parse(report.to_bytes()) == report


def test_a_screening_has_no_curve(arena: Arena) -> None:
    screened = arena.judge(arena.entry(), settings=Settings(device="cpu", sample=0.2))
    assert screened.verdict is Verdict.SCREENED
    assert b'"curve"' not in screened.to_bytes()


def test_a_score_over_the_time_limit_keeps_its_curves(arena: Arena) -> None:
    track = arena.track.model_copy(update={"eval_seconds": 0.0})
    late = arena.judge(arena.entry(), track=track)
    assert late.code == "eval-time-limit"
    assert late.check(CheckName.SCORE).code == "eval-time-limit"
    assert late.score is not None
    assert late.score.curve is not None


def test_a_report_from_before_there_were_curves_is_still_read(report: Report) -> None:
    assert report.score is not None
    old = json.loads(report.to_bytes())
    del old["score"]["curve"]
    read = parse(json.dumps(old).encode())
    assert read.score == report.score.model_copy(update={"curve": None})


@pytest.mark.parametrize(
    "change",
    [{"tokens": 5_119}, {"bytes": 1}],
    ids=["another number of targets", "another number of bytes"],
)
def test_curves_of_other_targets_are_refused(change: dict[str, int], report: Report) -> None:
    assert report.score is not None
    with pytest.raises(ValidationError, match="sums over the targets and bytes of the score"):
        ScoreRecord(**dict(report.score) | change)
