import pwd
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.forge import Draft, stored_tensors
from tests.verifier.entries import Arena
from tests.verifier.gallery.scenarios import false_claim
from tests.verifier.test_confinement import wait_until
from verifier.choice import NoValsetClaimed, choose
from verifier.cli import verify
from verifier.report import Verdict, parse
from verifier.tracks import load_tracks
from verifier.valset_registry import UnknownValset


def run(arena: Arena, file: Path, *options: str) -> Result:
    """`seedgolf verify` with the tiny set's registry."""
    common = ["--valset-dir", str(arena.registry.folder), "--device", "cpu", "--threads", "1"]
    return CliRunner().invoke(verify, [str(file), *common, *options])


@pytest.fixture
def good(arena: Arena, tmp_path: Path) -> Path:
    file = tmp_path / "good.sgolf"
    file.write_bytes(arena.entry())
    return file


def test_the_set_that_the_file_claims_and_its_track_judge_it(arena: Arena, good: Path, tmp_path: Path) -> None:
    done = run(arena, good, "--json", "--markdown", str(tmp_path / "summary.md"), "--html", str(tmp_path / "page.html"))
    assert (done.exit_code, done.stderr) == (0, "")
    report = parse(done.stdout_bytes)
    assert report.verdict is Verdict.ACCEPTED
    assert report.valset is not None
    assert (report.valset.name, report.track.name) == ("tiny", "local")
    assert report.score is not None
    assert f"{report.score.val_bpb:.8f}" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_rejected_file_exits_with_1_and_says_why(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "false.sgolf").write_bytes(false_claim(arena))
    done = run(arena, tmp_path / "false.sgolf")
    assert done.exit_code == 1
    assert "rejected: claim-mismatch" in done.stdout.splitlines()[-1]


def test_a_run_that_an_operator_stops_exits_with_3(arena: Arena, good: Path) -> None:
    done = run(arena, good, "--memory-bytes", "400000000")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.startswith("Error: no verdict: machine-too-small: ")


def test_a_command_that_is_ended_leaves_nothing_behind(arena: Arena, good: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = f"from verifier.cli import verify; verify([{str(good)!r}, '--valset-dir', {str(arena.registry.folder)!r}])"
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path)), "TMPDIR": str(scratch)}
    returncode = 0
    for _ in range(3):  # on a machine that stalls the verdict may come before the signal
        if returncode != 0:
            break
        with subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.DEVNULL) as command:
            wait_until(lambda: list(scratch.glob("*/log.txt")))
            command.send_signal(signal.SIGTERM)
        returncode = command.returncode
    assert returncode == 128 + signal.SIGTERM
    assert list(scratch.iterdir()) == []


def test_ctrl_c_is_no_verdict(arena: Arena, good: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    args = [sys.executable, "-m", "seedgolf", "verify", str(good), "--valset-dir", str(arena.registry.folder)]
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path)), "TMPDIR": str(scratch)}
    returncode, said = 0, ""
    for _ in range(3):  # on a machine that stalls the verdict may come before the signal
        if returncode != 0:
            break
        with subprocess.Popen(args, env=environ, stderr=subprocess.PIPE, text=True) as command:
            wait_until(lambda: list(scratch.glob("*/log.txt")))
            command.send_signal(signal.SIGINT)
            _, said = command.communicate()
            returncode = command.returncode
    assert (returncode, said) == (128 + signal.SIGINT, "\nstopped by ctrl-C\n")
    assert list(scratch.iterdir()) == []


USAGE = {
    "no such file": (["nowhere.sgolf"], "does not exist"),
    "no such set": (["--valset", "fineweb"], "unknown-valset: validation set: expected a registered one (tiny)"),
    "no such track": (["--track", "20min"], "unknown-track: track: expected one of 10min_16mb, local, unlimited_16mb"),
    "no share": (["--sample", "200%"], "expected a share such as 2% or 0.02"),
    "no share at all": (["--sample", "some"], "expected a share such as 2% or 0.02"),
    "no time": (["--wall-seconds", "0"], "--wall-seconds"),
    "time without end": (["--wall-seconds", "inf"], "--wall-seconds': expected a finite number, got inf"),
    "time that is no number": (["--wall-seconds", "nan"], "--wall-seconds': expected a finite number, got nan"),
    "no such dtype": (["--dtype", "float16"], "'float32', 'bfloat16'"),
}


@pytest.mark.parametrize(("options", "says"), USAGE.values(), ids=USAGE)
def test_a_wrong_command_exits_with_2(options: list[str], says: str, arena: Arena, good: Path) -> None:
    done = run(arena, good, *options) if options[0].startswith("--") else CliRunner().invoke(verify, options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())


def test_nothing_is_judged_for_a_report_that_has_no_place_to_go(arena: Arena, good: Path, tmp_path: Path) -> None:
    for option in ("--markdown", "--html"):
        done = run(arena, good, option, str(tmp_path / "no folder" / "report"))
        assert (done.exit_code, done.stdout) == (2, "")
        assert "can't write" in done.stderr


def test_a_judge_that_could_not_be_started_is_no_verdict(
    arena: Arena, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    done = run(arena, good)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Error: no verdict: {tmp_path / 'gone'}")
    assert done.stderr.endswith(": No such file or directory\n")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["page", "json"])
def test_a_report_that_did_not_arrive_does_not_end_like_a_verdict(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "none.sgolf").write_bytes(b"PK")
    args = [sys.executable, "-m", "seedgolf", "verify", str(tmp_path / "none.sgolf"), *options]
    args += ["--valset-dir", str(tmp_path)]
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(args, env=environ, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, b"Error: can't write the report: No space left on device\n")


def test_a_page_for_a_terminal_without_unicode_has_question_marks(arena: Arena, tmp_path: Path) -> None:
    file, manifest = tmp_path / "named.sgolf", arena.manifest | {"name": "Élan"}
    tensors = stored_tensors(manifest)
    tensors["layers.0.attn_scale"].fill(np.nan)  # so nothing is built for it
    file.write_bytes(Draft(manifest=manifest, tensors=tensors).build())
    done = CliRunner(charset="ascii").invoke(verify, [str(file), "--valset-dir", str(arena.registry.folder)])
    assert (done.exit_code, done.stderr) == (1, "")
    assert "?lan" in done.stdout


def test_a_user_without_a_home_is_told_to_name_the_folder_of_sets(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container's user without an entry
    done = CliRunner().invoke(verify, [str(good)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "Error: ~: this user has no home; name a folder with --valset-dir\n"


def test_a_broken_track_folder_is_a_wrong_command(arena: Arena, good: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("name = 1")
    done = run(arena, good, "--track-dir", str(tmp_path))
    assert done.exit_code == 2
    assert "bad-track: mine.toml.name" in done.stderr


def test_screening_is_for_one_process(arena: Arena, good: Path) -> None:
    command = ["verify", str(good), "--sample", "2%", "--valset-dir", str(arena.registry.folder)]
    code = f"from verifier.cli import verify; verify({command[1:]!r})"
    environ = {"TORCHELASTIC_RUN_ID": "none", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "one process screens" in done.stderr


def test_without_a_claim_the_set_must_be_named(arena: Arena) -> None:
    options = {"tracks": load_tracks(), "registry": arena.registry, "track_name": None}
    made = {key: value for key, value in arena.manifest.items() if key != "claims"}
    with pytest.raises(NoValsetClaimed, match=r"name a set with --valset: demo, tiny"):
        choose(Draft(manifest=made).build(), **options, valset_name=None)
    assert choose(Draft(manifest=made).build(), **options, valset_name="tiny").track.name == "local"
    claimed = made | {"claims": arena.manifest["claims"] | {"valset_sha256": "ab" * 32}}
    with pytest.raises(UnknownValset, match="ab" * 32):
        choose(Draft(manifest=claimed).build(), **options, valset_name=None)


def test_a_file_that_is_none_is_judged_without_a_set(arena: Arena) -> None:
    found = choose(b"PK", tracks=load_tracks(), registry=arena.registry, track_name=None, valset_name=None)
    assert (found.track.name, found.registration, found.valset_folder) == ("local", None, None)


@pytest.mark.parametrize(
    "module",
    [
        "verifier.cli",
        "verifier.valset_cli",
        "verifier.sandbox",
        "verifier.precheck",
        "verifier.choice",
        "verifier.render_html",
    ],
)
def test_what_the_api_process_may_import_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environ, timeout=60, check=False).returncode == 0


def test_a_relative_folder_of_sets_is_found_by_the_judge_that_works_elsewhere(
    arena: Arena, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(arena.registry.folder.parent)
    options = ["--valset-dir", arena.registry.folder.name, "--device", "cpu", "--threads", "1"]
    done = CliRunner().invoke(verify, [str(good), *options])
    assert (done.exit_code, done.stderr) == (0, "")
