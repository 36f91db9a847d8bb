"""What a person sees: log, terminal, curves, TensorBoard; and what of it a run that goes on keeps."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.trainer import tiny
from tests.trainer.tiny import Clock
from trainer import mfu
from trainer.errors import ConfigError, RunFolderError
from trainer.metrics import Listeners, StepMetrics, ValidationMetrics
from trainer.plot import Axis, draw, read_curves
from trainer.policy import network
from trainer.progress import Terminal, clock
from trainer.runfolder import RunFolder, open_folder, read_files, write_files
from trainer.runlog import RunLog, read_log, rewind_log


def step(number: int, *, loss: float = 3.0, mfu: float | None = None, seconds_left: float = 75.0) -> StepMetrics:
    return StepMetrics(
        step=number,
        tokens=number * 100,
        train_seconds=number * 2.0,
        train_loss=loss,
        lr_factor=1.0,
        tokens_per_second=12_345.0,
        mfu=mfu,
        fraction=0.5,
        seconds_left=seconds_left,
    )


def validation(number: int, *, val_bpb: float = 1.25) -> ValidationMetrics:
    return ValidationMetrics(
        step=number, train_seconds=number * 2.0, val_loss=3.0, val_bpb=val_bpb, targets=65_536, seconds=1.0
    )


def log_of(path: Path, *, steps: int) -> Path:
    log = RunLog(path)
    for number in range(1, steps + 1):
        log.on_step(step(number, loss=4.0 - number / 10))
        if number % 2 == 0:
            log.on_validation(validation(number))
    log.note("done")
    log.close()
    return path


def test_the_log_holds_one_json_object_a_line(tmp_path: Path) -> None:
    lines = read_log(log_of(tmp_path / "metrics.jsonl", steps=2))
    assert [line["kind"] for line in lines] == ["step", "step", "validation", "note"]
    assert lines[0]["train_loss"] == 3.9
    assert "mfu" not in lines[0]
    assert lines[2]["val_bpb"] == 1.25
    assert lines[3]["text"] == "done"


def test_a_run_that_never_speaks_leaves_no_log(tmp_path: Path) -> None:
    RunLog(tmp_path / "metrics.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_drops_later_lines_and_one_that_was_cut(tmp_path: Path) -> None:
    path = log_of(tmp_path / "metrics.jsonl", steps=6)
    with path.open("a") as file:
        file.write('{"kind": "st')
    rewind_log(path, step=4)
    kept = [(line["kind"], line.get("step")) for line in read_log(path)]
    assert kept == [("step", 1), ("step", 2), ("validation", 2), ("step", 3), ("step", 4), ("note", None)]
    rewind_log(tmp_path / "absent.jsonl", step=4)


@pytest.mark.parametrize("text", [b"[1]\n", b"nonsense\n", b"{}\n", b"\xff\n"])
def test_a_log_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(text)
    with pytest.raises(RunFolderError, match="line 1: expected a JSON object"):
        read_log(tmp_path / "metrics.jsonl")


def terminal(*, is_terminal: bool, now: Clock) -> tuple[Terminal, io.StringIO]:
    text = io.StringIO()
    return Terminal(Console(file=text, force_terminal=is_terminal, width=120), now=now), text


def test_without_a_terminal_a_plain_line_comes_now_and_then() -> None:
    now = Clock()
    shown, text = terminal(is_terminal=False, now=now)
    for second in range(25):
        now.seconds = float(second)
        shown.on_step(step(second + 1, mfu=0.415))
    shown.on_validation(validation(25))
    shown.close()
    lines = text.getvalue().splitlines()
    assert lines[0] == "step 1  loss 3.0000  12.3k tok/s  MFU 41.5%  1:15 left"
    assert [line.split("  ")[0] for line in lines] == ["step 1", "step 11", "step 21", "step 25"]
    assert lines[-1] == "step 25  val_bpb 1.2500  (65,536 targets)"


def test_how_far_a_score_is_is_shown_in_the_same_place() -> None:
    plain, text = terminal(is_terminal=False, now=Clock())
    plain.on_scoring("the packed network", 1_024, 4_096)
    assert text.getvalue() == "scoring the packed network: 1,024 of 4,096 targets\n"
    live, text = terminal(is_terminal=True, now=Clock())
    live.on_scoring("the packed network", 4_096, 4_096)
    live.close()
    assert "4,096 of 4,096 targets" in text.getvalue()


def test_on_a_terminal_one_line_lives_and_notes_stand_above_it() -> None:
    shown, text = terminal(is_terminal=True, now=Clock())
    shown.on_step(step(1))
    shown.on_validation(validation(1))
    shown.on_step(step(2, loss=2.5))
    shown.note("a note [not markup]")
    shown.close()
    assert "a note [not markup]" in text.getvalue()
    assert "step 2  loss 2.5000  val_bpb 1.2500" in text.getvalue()


@pytest.mark.parametrize(("seconds", "expected"), [(0.4, "0:00"), (59.6, "1:00"), (600, "10:00"), (3661, "1:01:01")])
def test_times_are_shown_as_people_write_them(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


def test_every_listener_is_told_everything() -> None:
    one, two = tiny.Recorder(), tiny.Recorder()
    both = Listeners([one, two])
    both.on_step(step(1))
    both.on_validation(validation(1))
    both.on_scoring("it", 1, 2)
    both.note("x")
    both.close()
    assert one.steps == two.steps == [step(1)]
    assert one.validations == two.validations == [validation(1)]
    assert one.scored == two.scored == [("it", 1, 2)]
    assert one.notes == two.notes == ["x"]


def test_a_log_that_cannot_be_closed_does_not_keep_the_terminal_open() -> None:
    class Full(tiny.Recorder):
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    shown, text = terminal(is_terminal=True, now=Clock())
    shown.on_step(step(1))
    with pytest.raises(OSError, match="No space left"):
        Listeners([Full(), shown]).close()
    assert text.getvalue().endswith("\x1b[?25h"), "the cursor is back"


@pytest.mark.parametrize(("axis", "expected"), [("steps", [2, 4]), ("tokens", [200, 400]), ("seconds", [4, 8])])
def test_a_curve_runs_over_steps_tokens_or_seconds(tmp_path: Path, axis: str, expected: list[float]) -> None:
    log_of(RunFolder(root=tmp_path).metrics, steps=4)
    curves = read_curves(tmp_path, Axis(axis))
    assert curves.val_bpb == (expected, [1.25, 1.25])
    assert curves.train_loss[1] == [3.9, 3.8, 3.7, 3.6]
    assert curves.name == tmp_path.name


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_runs_are_drawn_into_one_picture(tmp_path: Path, name: str, start: bytes) -> None:
    runs = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        log_of(RunFolder(root=tmp_path / folder).metrics, steps=4)
        runs.append(read_curves(tmp_path / folder, Axis.STEPS))
    draw(runs, Axis.STEPS, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    if name.endswith("svg"):
        assert "one" in (tmp_path / name).read_text()


def test_a_picture_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    log_of(RunFolder(root=tmp_path).metrics, steps=2)
    with pytest.raises(ConfigError, match="'xyz' is not supported"):
        draw([read_curves(tmp_path, Axis.STEPS)], Axis.STEPS, tmp_path / "a.xyz")


def test_a_folder_without_steps_has_no_curve(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="give the folder of a run"):
        read_curves(tmp_path, Axis.STEPS)
    log_of(RunFolder(root=tmp_path).metrics, steps=0)
    with pytest.raises(RunFolderError, match="holds no step yet"):
        read_curves(tmp_path, Axis.STEPS)


def test_a_folder_takes_one_run(tmp_path: Path) -> None:
    root = tmp_path / "a" / "run"
    folder = open_folder(root, resume=False)
    assert open_folder(root, resume=False) == folder
    folder.metrics.write_text("")
    with pytest.raises(RunFolderError, match="this folder holds a run; take another --out"):
        open_folder(root, resume=False)
    folder.checkpoint.write_bytes(b"")
    with pytest.raises(RunFolderError, match="this folder holds a run; go on with `seedgolf train --resume --out "):
        open_folder(root, resume=False)
    assert open_folder(root, resume=True) == folder
    with pytest.raises(RunFolderError, match="cannot be made"):
        open_folder(folder.metrics / "below", resume=False)


@pytest.mark.parametrize(
    ("text", "finished"),
    [('{"ended_by": "max_steps"}', True), ('{"ended_by": "train_seconds"}', True), ('{"ended_by": "SIGTERM"}', False)],
)
def test_a_run_is_finished_when_it_ended_by_itself(tmp_path: Path, text: str, finished: bool) -> None:
    folder = RunFolder(root=tmp_path)
    assert not folder.is_finished
    folder.result.write_text("[]")
    assert not folder.is_finished
    folder.result.write_text(text)
    assert folder.is_finished is finished


def test_the_places_of_the_data_are_remembered(tmp_path: Path) -> None:
    files = tiny.corpus(tmp_path)
    write_files(tmp_path / "data.json", files)
    assert read_files(tmp_path / "data.json") == files
    (tmp_path / "data.json").write_text(json.dumps({"tokenizer": []}))
    with pytest.raises(RunFolderError, match="start again without --resume"):
        read_files(tmp_path / "data.json")


@pytest.mark.parametrize(
    ("name", "peak"),
    [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H200", 989e12), ("Some CPU", None)],
)
def test_peaks_are_known_by_the_device_s_name(name: str, peak: float | None) -> None:
    assert mfu.peak_flops(name) == peak


def test_mfu_is_unknown_on_a_cpu() -> None:
    chosen = tiny.config()
    assert mfu.Mfu(network(chosen), torch.device("cpu"), world_size=1).of(1000.0) is None
    assert "thread" in mfu.device_name(torch.device("cpu"))


def test_mfu_divides_by_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mfu.PEAK_BFLOAT16_FLOPS, "CPU (", 1e12)
    declared = network(tiny.config())
    one, two = (mfu.Mfu(declared, torch.device("cpu"), world_size=size).of(1e4) for size in (1, 2))
    assert one is not None
    assert two == one / 2
