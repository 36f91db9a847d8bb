"""The sandbox with real children: short scripts that stand for a judge gone wrong, and twice the judge itself."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from artifact.format import container
from tests.verifier.entries import CPU, Arena
from tests.verifier.test_confinement import is_alive, wait_until
from tests.verifier.test_verify import Follower, follow
from verifier import sandbox
from verifier.cost import predict
from verifier.errors import Inconclusive, JudgeCancelled, JudgeDied, JudgeStuck, VerifierError
from verifier.report import CheckName, Report, Verdict
from verifier.sandbox import Program
from verifier.settings import Settings

SECRETS = {"SEEDGOLF_DATABASE": "postgresql://u:p@h/d", "AWS_SECRET_ACCESS_KEY": "s", "GITHUB_TOKEN": "t"}


def program(tmp_path: Path, code: str, *, preparation_seconds: float = 60) -> Program:
    """A judge of a few lines: `folder` is its job's; `notes` is a file that outlives it."""
    preamble = (
        f"import json, os, signal, subprocess, sys, time\nfolder, notes = sys.argv[1], {str(tmp_path / 'notes')!r}\n"
    )
    script = tmp_path / "judge.py"
    script.write_text(preamble + code)
    return Program(command=(sys.executable, "-P", str(script)), preparation_seconds=preparation_seconds)


def judge(arena: Arena, program: Program, *, settings: Settings = CPU, **options: object) -> Report | None:
    return sandbox.judge(
        b"bytes",
        track=arena.track,
        valset_folder=None,
        settings=settings,
        environ={"PATH": os.environ["PATH"]} | SECRETS,
        program=program,
        **options,  # type: ignore[arg-type]
    )


DEATHS = {
    "an exception": ("raise RuntimeError('last words')", "exit code 1"),
    "an exit without a report": ("sys.exit(0)", "exit code 0"),
    "an abort": ("os.abort()", "signal 6"),
    "the kernel's killer": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9; the machine may have run out of memory"),
    "an early end of its output": ("os.close(1); sys.exit(7)", "exit code 7"),
    "a report that is none": ("open(folder + '/report.json', 'w').write('{}')", "no report that can be read"),
    "scoring without a word for the case": (
        "print(json.dumps({'kind': 'scoring'}), flush=True); time.sleep(600)",
        "no report that can be read",
    ),
    "noise instead of events": (
        "print('{\"kind\": 1}\\n' + 'x' * 100_000); os.write(1, b'\\xff\\n'); os._exit(3)",
        "exit code 3",
    ),
}


@pytest.mark.parametrize(("code", "says"), DEATHS.values(), ids=DEATHS)
def test_a_judge_that_dies_is_a_failure_worth_another_try(code: str, says: str, arena: Arena, tmp_path: Path) -> None:
    with pytest.raises(JudgeDied, match=says) as caught:
        judge(arena, program(tmp_path, code), settings=Settings(device="cpu", wall_seconds=0.1))
    assert caught.value.retryable
    assert str(tmp_path) not in str(caught.value)
    assert ("last words" in caught.value.log_tail) == ("last words" in code)


def test_a_judge_that_never_scores_is_stopped(arena: Arena, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(JudgeStuck):
        judge(arena, program(tmp_path, "time.sleep(600)", preparation_seconds=0.2))
    assert time.monotonic() - started < 60


def scores_for_ever(report: Report) -> str:
    """A judge that is still scoring."""
    return f"""
open(folder + "/stopped.json", "w").write({report.model_dump_json()!r})
print(json.dumps({{"kind": "scoring"}}), flush=True)
print(json.dumps({{"kind": "begins", "check": "score"}}), flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def stopped(arena: Arena) -> Report:
    """The report that a judge leaves before it scores."""
    return follow(arena, arena.entry())[1].stopped[0]


def test_the_clock_of_the_track_ends_the_scoring_with_a_verdict(stopped: Report, arena: Arena, tmp_path: Path) -> None:
    hasty = arena.track.model_copy(update={"eval_seconds": 0.1})
    report = sandbox.judge(
        b"",
        track=hasty,
        valset_folder=None,
        settings=CPU,
        environ={},
        program=program(tmp_path, scores_for_ever(stopped)),
    )
    assert report == stopped
    assert (report.verdict, report.code) == (Verdict.REJECTED, "eval-time-limit")


def test_an_operators_shorter_limit_is_no_verdict(stopped: Report, arena: Arena, tmp_path: Path) -> None:
    with pytest.raises(Inconclusive, match=r"stopped after 0\.1 s on .*CPU core"):
        judge(arena, program(tmp_path, scores_for_ever(stopped)), settings=Settings(device="cpu", wall_seconds=0.1))


def test_an_operators_longer_limit_is_a_verdict_on_the_reference_hardware_only(
    stopped: Report, arena: Arena, tmp_path: Path
) -> None:
    hasty, patient = arena.track.model_copy(update={"eval_seconds": 0.05}), Settings(device="cpu", wall_seconds=0.1)
    elsewhere = stopped.environment and stopped.environment.model_copy(update={"is_reference": False})
    for environment, verdict in ((stopped.environment, True), (elsewhere, False)):
        code = scores_for_ever(stopped.model_copy(update={"environment": environment}))
        folder = tmp_path / str(verdict)
        folder.mkdir()
        options = {"track": hasty, "valset_folder": None, "settings": patient, "environ": {}}
        if verdict:
            assert sandbox.judge(b"", **options, program=program(folder, code)) is not None
        else:
            with pytest.raises(Inconclusive):
                sandbox.judge(b"", **options, program=program(folder, code))


def test_scoring_that_has_ended_is_not_held_to_its_clock(arena: Arena, tmp_path: Path) -> None:
    code = """
events = ({"kind": "scoring"}, {"kind": "begins", "check": "score"}, {"kind": "begins", "check": "claim"})
print("\\n".join(map(json.dumps, events)), flush=True)  # in one piece: no stall between them counts as scoring
time.sleep(1.5)
open(folder + "/error.json", "w").write(json.dumps({"code": "self-check-failed", "message": "reached the end"}))
"""
    hasty = Settings(device="cpu", wall_seconds=0.01)
    with pytest.raises(VerifierError, match="reached the end"):
        judge(arena, program(tmp_path, code), settings=hasty)


def test_a_cancelled_judge_and_all_it_started_are_dead_at_once(arena: Arena, tmp_path: Path) -> None:
    code = """
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(notes + ".part", "w").write(json.dumps([os.getpid(), helper.pid]))
os.rename(notes + ".part", notes)
time.sleep(600)
"""
    cancelled_at: list[float] = []

    def cancelled() -> bool:
        if (tmp_path / "notes").exists():
            cancelled_at.append(time.monotonic())
        return bool(cancelled_at)

    with pytest.raises(JudgeCancelled):
        judge(arena, program(tmp_path, code), cancelled=cancelled)
    assert time.monotonic() - cancelled_at[0] < 20  # 0.05 s where nothing stalls; left alone they would sleep for 600
    for pid in json.loads((tmp_path / "notes").read_text()):
        wait_until(lambda pid=pid: not is_alive(pid))


def test_a_crash_takes_the_helpers_with_it(arena: Arena, tmp_path: Path) -> None:
    code = """
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(notes, "w").write(str(helper.pid))
os.abort()
"""
    with pytest.raises(JudgeDied):
        judge(arena, program(tmp_path, code))
    wait_until(lambda: not is_alive(int((tmp_path / "notes").read_text())))


NOTE = """
open(folder + "/cache", "w").write("left behind")
status = {"environ": dict(os.environ), "cwd": os.getcwd(), "folder": folder, "group": os.getpgid(0) == os.getpid(),
          "session": os.getsid(0) == os.getpid(), "stdin": sys.stdin.read(), "arguments": sys.argv[2:],
          "descriptors": sorted(os.listdir("/proc/self/fd"))}
open(notes, "w").write(json.dumps(status))
"""


@pytest.fixture
def noted(arena: Arena, tmp_path: Path) -> dict[str, object]:
    """What a judge finds around itself."""
    with (tmp_path / "held open").open("w"), pytest.raises(JudgeDied):
        judge(arena, program(tmp_path, NOTE))
    found: dict[str, object] = json.loads((tmp_path / "notes").read_text())
    return found


def test_a_judge_inherits_no_secret(noted: dict[str, object]) -> None:
    environ = noted["environ"]
    assert isinstance(environ, dict)
    assert not set(SECRETS) & set(environ)
    assert not set(SECRETS.values()) & set(environ.values())
    known = {
        "HOME",
        "LANG",
        "LC_CTYPE",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PATH",
        "PYTHONPATH",
        "TMPDIR",
    }
    assert set(environ) <= known
    assert environ["HOME"] == environ["TMPDIR"] == noted["folder"]


def test_a_judge_has_a_group_a_session_and_a_folder_of_its_own(noted: dict[str, object]) -> None:
    assert noted["cwd"] == noted["folder"]
    assert (noted["group"], noted["session"], noted["stdin"]) == (True, True, "")
    assert noted["arguments"] == [str(os.getpid()), "alone"]
    assert noted["descriptors"] == ["0", "1", "2", "3"], "its own three and the one that lists them"


def test_the_folder_is_removed_whatever_happened(noted: dict[str, object]) -> None:
    assert not Path(str(noted["folder"])).exists()


def test_events_reach_the_watcher_and_noise_does_not(arena: Arena, tmp_path: Path) -> None:
    code = """
print("a library says hello")
for event in ({"kind": "begins", "check": "cost"}, {"kind": "progress", "done": 3, "total": 9}, {"kind": "explode"}):
    print(json.dumps(event), flush=True)
open(folder + "/error.json", "w").write(json.dumps({"code": "valset-broken", "message": "m"}))
"""
    watch = Follower()
    with pytest.raises(VerifierError) as caught:
        judge(arena, program(tmp_path, code), watch=watch)
    assert caught.value.code == "valset-broken"
    assert (watch.began, watch.done) == ([CheckName.COST], [(3, 9)])


def test_a_rank_of_torchrun_but_the_first_has_no_report(arena: Arena, tmp_path: Path) -> None:
    code = "open(notes, 'w').write(json.dumps([dict(os.environ), sys.argv[3]]))"
    ranks = {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"} | SECRETS
    found = sandbox.judge(
        b"", track=arena.track, valset_folder=None, settings=CPU, environ=ranks, program=program(tmp_path, code)
    )
    environ, place = json.loads((tmp_path / "notes").read_text())
    assert (found, place) == (None, "other")
    assert (environ["RANK"], environ["WORLD_SIZE"]) == ("1", "2")
    assert not set(SECRETS) & set(environ)


def test_the_real_judge_answers_a_bad_file_without_a_set(arena: Arena) -> None:
    report = sandbox.judge(b"PK\3\4", track=arena.track, valset_folder=None, settings=CPU, environ={})
    assert report is not None
    assert (report.verdict, report.code) == (Verdict.REJECTED, "bad-magic")


def test_the_real_judge_says_what_this_process_says(arena: Arena) -> None:
    manifest = container.read(arena.entry()).manifest
    predicted = predict(manifest, num_tokens=arena.registration.tokens).memory_bytes
    settings = Settings(device="cpu", batch_windows=4, memory_bytes=predicted)  # what is predicted is enough
    options = {"track": arena.track, "valset_folder": arena.valset_folder, "settings": settings}
    found: list[Report | None] = []
    thread = threading.Thread(  # as a worker's: the child dies with its thread, and not before
        target=lambda: found.append(sandbox.judge(arena.entry(), **options, environ={}))
    )
    thread.start()
    thread.join()
    (report,) = found
    assert report is not None
    assert report.environment is not None
    assert report.environment.network in {"network namespace", "audit hook"}
    assert report.environment.memory_bytes == predicted
    here = arena.judge(arena.entry()).without_times()
    assert report.without_times().model_copy(update={"environment": here.environment}) == here
