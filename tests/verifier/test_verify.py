import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.forge import FROZEN, Draft, Json
from tests.verifier.entries import CPU, Arena, register, with_root_digest
from tests.verifier.gallery.scenarios import Scenario, changed, scenarios
from verifier.bench import memory_verdict
from verifier.case import Case
from verifier.errors import CheckFailed, Code, DeviceUnavailable, Inconclusive, MachineTooSmall, ValsetBroken
from verifier.precheck import FIRST, precheck
from verifier.report import CheckName, EvalRecord, Report, ScoreDtype, Status, Verdict
from verifier.settings import Settings
from verifier.tracks import load_tracks
from verifier.valset_registry import Registry
from verifier.verify import verify


def entry(arena: Arena, **parts: Any) -> bytes:
    """The good entry without claims, parts of its manifest replaced and its root digest made right."""
    made: Json = {key: value for key, value in copy.deepcopy(arena.manifest).items() if key != "claims"}
    for part, fields in parts.items():
        made[part] |= fields
    return Draft(manifest=with_root_digest(made)).build()


class Follower:
    """A Watch that remembers."""

    def __init__(self) -> None:
        self.began: list[CheckName] = []
        self.stopped: list[Report] = []
        self.done: list[tuple[int, int]] = []

    def begins(self, name: CheckName) -> None:
        self.began.append(name)

    def scoring_begins(self, if_stopped: Report) -> None:
        self.stopped.append(if_stopped)

    def progress(self, done: int, total: int, /) -> None:
        self.done.append((done, total))


def follow(arena: Arena, data: bytes) -> tuple[Report, Follower]:
    watch = Follower()
    report = verify(data, track=arena.track, valset_folder=arena.valset_folder, settings=CPU, watch=watch)
    return report, watch


def test_a_run_tells_its_checks_in_order_and_how_far_the_scoring_is(arena: Arena) -> None:
    report, watch = follow(arena, arena.entry())
    assert watch.began == list(CheckName)
    assert watch.done[-1] == (report.score and report.score.tokens, 5_120)


def test_before_it_scores_a_run_leaves_the_report_that_stands_if_it_is_stopped(arena: Arena) -> None:
    report, watch = follow(arena, arena.entry())
    (stopped,) = watch.stopped
    assert (stopped.verdict, stopped.code, stopped.score) == (Verdict.REJECTED, "eval-time-limit", None)
    assert stopped.check(CheckName.PROBE) == report.check(CheckName.PROBE)
    assert stopped.check(CheckName.DATA_OVERLAP).status is Status.PASSED
    assert follow(arena, arena.entry() + b"\0")[1].stopped == []


def test_the_digest_of_the_nats_is_equal_for_every_batch_size_and_thread_count(
    arena: Arena, torch_settings: None
) -> None:
    digests = set()
    for batch_windows, threads in ((2, 1), (3, 2), (80, 1)):
        chosen = Settings(device="cpu", batch_windows=batch_windows, threads=threads)
        score = arena.judge(arena.entry(), settings=chosen).score
        assert score is not None
        digests.add((score.nats_sha256, score.val_bpb))
    assert len(digests) == 1


def test_bfloat16_is_close_and_says_what_it_is(arena: Arena) -> None:
    data = entry(arena)
    exact = arena.judge(data).score
    rounded = arena.judge(data, settings=Settings(device="cpu", dtype=ScoreDtype.BFLOAT16)).score
    assert exact is not None
    assert rounded is not None
    assert rounded.dtype is ScoreDtype.BFLOAT16
    assert 0 < abs(exact.val_bpb - rounded.val_bpb) < 0.01, "an untrained network with weights of any size"


def test_sliding_windows_are_scored_as_declared(arena: Arena) -> None:
    plain = arena.judge(entry(arena)).score
    report = arena.judge(entry(arena, eval={"mode": "sliding", "stride": 16}))
    assert plain is not None
    assert report.score is not None
    assert report.eval is not None
    assert (report.eval.mode, report.eval.stride) == ("sliding", 16)
    assert (report.score.tokens, report.score.bytes) == (plain.tokens, plain.bytes)
    assert report.score.windows == 4 * (plain.windows - 1) + 1


@pytest.mark.parametrize("distribution", ["ortho", "hada", "toep", "u8"])
def test_every_kind_of_backbone_is_rebuilt(distribution: str, arena: Arena) -> None:
    made = copy.deepcopy(arena.manifest)
    made["model"] |= {"model_dim": 16, "mlp_hidden_dim": 32}
    spec = FROZEN | {"distribution": distribution}
    made["linears"] = {"roles": dict.fromkeys(made["linears"]["roles"], spec), "overrides": []}
    del made["claims"]
    report = arena.judge(Draft(manifest=with_root_digest(made)).build())
    assert (report.verdict, report.code) == (Verdict.ACCEPTED, None)
    assert report.backbone is not None
    assert report.backbone.num_maps == 6


def test_scoring_beyond_the_limit_is_rejected_with_the_score_beside_it(arena: Arena) -> None:
    hasty = arena.track.model_copy(update={"eval_seconds": 1e-6})
    report = arena.judge(arena.entry(), track=hasty)
    assert (report.verdict, report.code) == (Verdict.REJECTED, "eval-time-limit")
    assert report.score is not None
    assert report.check(CheckName.CLAIM).status is Status.SKIPPED
    assert report.check(CheckName.TRAINING_TIME).status is Status.PASSED


def test_a_screening_is_no_score_and_accepts_nothing(arena: Arena) -> None:
    report = arena.judge(arena.entry(), settings=Settings(device="cpu", sample=0.2))
    assert (report.verdict, report.score) == (Verdict.SCREENED, None)
    assert report.screening is not None
    assert report.screening.windows == 16
    assert report.check(CheckName.CLAIM).status is report.check(CheckName.BYTES_IDENTITY).status is Status.SKIPPED
    assert [claim.quantity for claim in report.claims] == ["val_bpb", "val_loss", "train_seconds"]
    assert {claim.measured for claim in report.claims} == {None}


def test_a_claim_for_another_set_is_skipped_and_not_compared(arena: Arena) -> None:
    report = arena.judge(changed("claims", to=arena.manifest["claims"] | {"valset_sha256": "ab" * 32})(arena))
    assert report.verdict is Verdict.ACCEPTED
    assert "another validation set" in report.check(CheckName.CLAIM).detail
    assert {claim.measured for claim in report.claims} == {None}


def test_a_damaged_set_is_our_fault_and_gives_no_report(arena: Arena, tmp_path: Path) -> None:
    registration = register(tmp_path)
    folder = Registry(folder=tmp_path / "valsets").folder_of(registration)
    shard = folder / registration.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-2] + b"\4\0")
    with pytest.raises(ValsetBroken, match="shard digests"):
        verify(arena.entry(), track=arena.track, valset_folder=folder, settings=CPU)


def test_a_batch_holds_as_many_windows_as_suit_the_device(arena: Arena) -> None:
    report = arena.judge(arena.entry(), settings=Settings(device="cpu"))
    assert report.eval is not None
    assert report.eval.batch_windows == 4_096 // 64
    long = arena.judge(entry(arena, eval={"seq_len": 5_000, "stride": 5_000}), settings=Settings(device="cpu"))
    assert long.eval is not None
    assert long.eval.batch_windows == 1


def test_a_window_longer_than_the_set_is_reported_as_it_was_laid(arena: Arena) -> None:
    report = arena.judge(entry(arena, eval={"seq_len": 65_536, "stride": 65_536}))
    assert report.eval is not None
    assert report.score is not None
    assert (report.eval.seq_len, report.eval.stride) == (report.score.tokens, report.score.tokens)
    assert report.score.windows == 1


def test_without_a_gpu_the_wish_for_one_is_no_verdict(arena: Arena) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceUnavailable, match="no CUDA device"):
        arena.judge(arena.entry(), settings=Settings(device="cuda"))


def test_the_report_names_the_machine_and_whether_it_is_the_reference(arena: Arena) -> None:
    reference = load_tracks()["10min_16mb"].reference_hardware
    report = arena.judge(arena.entry(), track=arena.track.model_copy(update={"reference_hardware": reference}))
    assert report.environment is not None
    assert not report.environment.is_reference
    assert "CPU core" in report.environment.hardware
    assert report.environment.self_test_error < 2e-6
    assert report.track.reference_hardware == "8x H100 SXM"


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario.name)
def test_an_early_answer_is_the_answer(scenario: Scenario, arena: Arena) -> None:
    data, track = scenario.build(arena), scenario.judged_by(arena)
    early = precheck(data, track=track, registration=arena.registration)
    assert (early is not None) == (CheckName(scenario.check) in FIRST)
    if early is not None:
        assert early.code == scenario.code
        assert early.without_times() == arena.judge(data, track=track).without_times()


@given(st.binary(max_size=400))
@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_bytes_give_a_rejecting_report(arena: Arena, raw: bytes) -> None:
    report = arena.judge(raw)
    assert report.verdict is Verdict.REJECTED
    assert report.code == report.check(CheckName.CONTAINER).code
    assert report.artifact.bytes == len(raw)


def test_a_file_without_a_readable_manifest_needs_no_set(arena: Arena) -> None:
    report = verify(b"", track=arena.track, valset_folder=None, settings=CPU)
    assert (report.code, report.valset, report.environment) == ("bad-magic", None, None)
    with pytest.raises(ValueError, match="valset_folder"):
        verify(arena.entry(), track=arena.track, valset_folder=None, settings=CPU)


def case_with(arena: Arena, memory_bytes: int | None) -> Case:
    case = Case(data=b"", track=arena.track, registration=arena.registration, settings=CPU)
    case.memory_bytes = memory_bytes
    return case


def test_memory_that_runs_out_at_the_tracks_limit_is_the_artifacts_fault(arena: Arena) -> None:
    at_limit = case_with(arena, arena.track.cost.max_memory_bytes)
    with pytest.raises(CheckFailed) as caught, memory_verdict(at_limit):
        torch.empty(1 << 60)
    assert caught.value.code is Code.MEMORY_LIMIT
    with pytest.raises(CheckFailed), memory_verdict(at_limit):
        bytearray(1 << 62)


def test_memory_that_an_operators_larger_batch_takes_is_not_the_artifacts_fault(arena: Arena) -> None:
    case = case_with(arena, arena.track.cost.max_memory_bytes)
    for batch_windows, kind in ((64, CheckFailed), (65, Inconclusive)):
        case.eval = EvalRecord(
            mode="plain", seq_len=64, stride=64, dtype=ScoreDtype.FLOAT32, batch_windows=batch_windows
        )
        with pytest.raises(kind), memory_verdict(case):
            torch.empty(1 << 60)


@pytest.mark.parametrize("memory_bytes", [None, 1 << 30])
def test_memory_that_runs_out_earlier_is_this_machines_fault(memory_bytes: int | None, arena: Arena) -> None:
    with pytest.raises(MachineTooSmall), memory_verdict(case_with(arena, memory_bytes)):
        torch.empty(1 << 60)


def test_other_faults_pass_the_memory_verdict(arena: Arena) -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_verdict(case_with(arena, None)):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
