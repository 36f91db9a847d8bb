"""Training an artifact again: the tolerance, the outcome, the amended report, the data, and the whole path."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from artifact.format import container
from artifact.format.manifest import Manifest, Training, from_json
from tests.forge import Draft, good_manifest, good_training
from tests.trainer import tiny
from tests.verifier.judged import accepted, rejected
from trainer.corpus_files import CorpusFiles
from trainer.export import declare
from trainer.finish import finish
from trainer.loop import train
from trainer.recipe import BadRecipe, recipe_text
from trainer.reproduce import NotAccepted, OtherData, check_data, is_reference, judged, under_limit
from trainer.reproduce_cli import reproduce_command, summary
from trainer.reproduction import NOT_REPRODUCED, Judged, Outcome, Reproduction
from verifier import demo_corpus
from verifier.report import CheckName, Evidence, Report, Status, Verdict, parse
from verifier.shards import file_sha256
from verifier.significance import same_run_tolerance
from verifier.tracks import load_tracks
from verifier.valset_registry import Registry


def of(report: Report, **training: Any) -> Judged:
    """A judged artifact that says `training` of itself."""
    assert report.score is not None
    return Judged(
        training=from_json(Training, good_training() | {"steps": 100} | training), report=report, score=report.score
    )


def case(*, file: float, twin: float, steps: int = 100, on_reference: bool = False) -> Reproduction:
    """A file and a twin with these losses; the file claims 100 steps, the twin made `steps`."""
    claims = [{"quantity": "train_seconds", "unit": "s", "claimed": 90.0}]
    return Reproduction(
        file=of(accepted("file", val_loss=file, claims=claims)),
        twin=of(accepted("twin", val_loss=twin), steps=steps, train_seconds=80.5),
        tolerance=same_run_tolerance(),
        on_reference=on_reference,
    )


OUTCOMES = {
    "the same": (Outcome.REPRODUCED, case(file=2.0, twin=2.0)),
    "within luck": (Outcome.REPRODUCED, case(file=2.0, twin=2.005)),
    "a better twin": (Outcome.REPRODUCED, case(file=2.0, twin=1.5)),
    "in fewer steps": (Outcome.REPRODUCED, case(file=2.0, twin=2.005, steps=40)),
    "too good a claim": (Outcome.NOT_REPRODUCED, case(file=2.0, twin=2.006)),
    "worse after fewer steps": (Outcome.INCONCLUSIVE, case(file=2.0, twin=2.1, steps=40)),
    "on the reference": (Outcome.NOT_REPRODUCED, case(file=2.0, twin=2.1, steps=40, on_reference=True)),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_outcome_is_one_sided_and_fair_to_slow_machines(name: str) -> None:
    expected, found = OUTCOMES[name]
    assert found.outcome is expected


def test_the_tolerance_is_what_two_runs_differ_by() -> None:
    """2.3263 = the 99 % quantile of the normal distribution, sqrt(2) = two runs, 0.0016 = the spread of one."""
    assert same_run_tolerance(0.0016) == pytest.approx(2.3263479 * 2**0.5 * 0.0016)
    assert same_run_tolerance(0.01) > same_run_tolerance(0.001)


def test_a_reproduced_file_has_its_training_measured() -> None:
    report = case(file=2.0, twin=2.004).amended_report()
    line = report.check(CheckName.TRAINING_TIME)
    assert (line.status, line.evidence, line.seconds) == (Status.PASSED, Evidence.MEASURED, 80.5)
    assert report.verdict is Verdict.ACCEPTED
    assert report.training is not None
    assert (report.training.evidence, report.training.train_seconds) == (Evidence.MEASURED, 80.5)
    assert report.training.seed == "1"
    assert (report.claims[0].measured, report.claims[0].difference) == (80.5, 9.5)
    assert parse(report.to_bytes()) == report


def test_a_file_that_is_not_reproduced_is_rejected_for_it() -> None:
    report = case(file=2.0, twin=2.2).amended_report()
    assert (report.verdict, report.code) == (Verdict.REJECTED, "not-reproduced")
    line = report.check(CheckName.TRAINING_TIME)
    assert (line.status, line.evidence) == (Status.FAILED, Evidence.MEASURED)
    assert line.expected == "val_loss at most 2.005264 nats per token"
    assert line.got == "2.200000 after 80.5 s, 100 steps"


def test_an_inconclusive_run_leaves_the_report_as_it_was() -> None:
    found = case(file=2.0, twin=2.2, steps=40)
    assert found.amended_report() == found.file.report
    assert "inconclusive: fewer steps than the file claims" in list(summary(found, Path("report.json")))[-1]


def test_the_recipe_is_held_to_the_claim_and_to_the_track() -> None:
    chosen = tiny.config("budget.train_seconds=300", "budget.max_steps=0")
    assert under_limit(chosen, steps=50, limit_seconds=600).budget.train_seconds == 300
    assert under_limit(chosen, steps=50, limit_seconds=200).budget.train_seconds == 200
    assert under_limit(chosen, steps=50, limit_seconds=None).budget.max_steps == 50
    by_steps = tiny.config("budget.train_seconds=0", "budget.max_steps=70")
    assert under_limit(by_steps, steps=50, limit_seconds=600).budget.train_seconds == 600
    assert under_limit(by_steps, steps=0, limit_seconds=None).budget.max_steps == 70


def manifest_for(train_shards: list[str], pieces_sha256: str = demo_corpus.PIECES_SHA256) -> Manifest:
    made = good_manifest() | {"training": good_training() | {"train_shards": train_shards}}
    made["tokenizer"] = made["tokenizer"] | {"pieces_sha256": pieces_sha256}
    return container.read(Draft(manifest=made).build()).manifest


def test_only_the_declared_data_are_trained_on(tmp_path: Path) -> None:
    files = tiny.corpus(tmp_path)
    digest = file_sha256(files.train[0])
    check_data(manifest_for([digest]), files)
    check_data(manifest_for([demo_corpus.TRAIN_SHA256]), None)
    both = CorpusFiles(tokenizer=files.tokenizer, train=(files.train[0], files.val[0]), val=files.val)
    wrong = {
        "another shard": (manifest_for(["0" * 64]), files),
        "one shard too many": (manifest_for([digest]), both),
        "another order": (manifest_for([file_sha256(files.val[0]), digest]), both),
        "the built-in corpus": (manifest_for([digest]), None),
        "none declared": (manifest_for([]), files),
        "another tokenizer": (manifest_for([digest], pieces_sha256="1" * 64), files),
    }
    for manifest, given in wrong.values():
        with pytest.raises(OtherData, match=r"expected .*, got "):
            check_data(manifest, given)


def test_only_accepted_files_are_compared() -> None:
    data = Draft(manifest=good_manifest() | {"training": good_training()}).build()
    assert judged(data, lambda _: accepted("file"), "the file").score.val_loss == 2.0
    with pytest.raises(NotAccepted, match=r"the file: .* rejected \(over-size\)"):
        judged(data, lambda _: rejected("file"), "the file")


def test_the_reference_hardware_is_that_of_the_training() -> None:
    tracks = load_tracks()
    on_eight = of(accepted("twin"), device="NVIDIA H100 80GB HBM3", world_size=8)
    on_one = of(accepted("twin"), device="NVIDIA H100 80GB HBM3", world_size=1)
    assert is_reference(tracks["10min_16mb"], on_eight)
    assert not is_reference(tracks["10min_16mb"], on_one)
    assert not is_reference(tracks["local"], on_eight)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, its registered validation set, and an entry trained on it."""
    root = tmp_path_factory.mktemp("reproduce")
    run = tiny.run(root, "run.seed=5")
    assert finish(run, train_loss=train(run)) is not None
    files = run.inputs.files
    Registry(folder=root / "valsets").add("tiny", files.val, files.tokenizer)
    return root


def again(root: Path, *args: str) -> Result:
    places = ["--data", str(root / "data"), "--valset-dir", str(root / "valsets"), "--device", "cpu"]
    return CliRunner().invoke(reproduce_command, [str(root / "artifact.sgolf"), *places, *args])


def test_an_honest_entry_is_reproduced_bit_for_bit_on_the_same_machine(trained: Path) -> None:
    done = again(trained, "--out", str(trained / "again"), "--json")
    assert done.exit_code == 0, done.output
    report = parse(done.stdout_bytes)
    assert report.training is not None
    assert report.training.evidence is Evidence.MEASURED
    assert report.check(CheckName.TRAINING_TIME).detail.startswith("trained again from the manifest's recipe")
    first, twin = (container.read((folder / "artifact.sgolf").read_bytes()) for folder in (trained, trained / "again"))
    assert first.manifest.payload == twin.manifest.payload
    assert json.loads((trained / "again" / "report.json").read_bytes()) == json.loads(done.stdout_bytes)


def test_a_packed_entry_declares_the_one_configuration_of_all_its_seeds(trained: Path) -> None:
    manifest = container.read((trained / "artifact.sgolf").read_bytes()).manifest
    assert manifest.training is not None
    assert manifest.training.seed == "5"
    assert manifest.training.config == recipe_text(tiny.config("run.seed=6", "run.backbone_seed=7", 'run.name="other"'))


def test_nothing_is_trained_on_other_data_or_under_an_unknown_track(trained: Path) -> None:
    (trained / "other").mkdir(exist_ok=True)
    tiny.corpus(trained / "other")
    (trained / "other" / "train.bin").write_bytes((trained / "other" / "val.bin").read_bytes())
    out = trained / "never"
    refused = {
        "other-data": ("--data", str(trained / "other")),
        "unknown-track": ("--track", "none"),
        "unknown-valset": ("--valset", "none"),
    }
    for code, args in refused.items():
        done = again(trained, *args, "--out", str(out))
        assert done.exit_code == 2
        assert done.output.startswith(f"Error: {code}: "), done.output
        assert not out.exists()


def test_nothing_is_trained_for_a_file_that_the_cheap_checks_reject(trained: Path, tmp_path: Path) -> None:
    manifest = container.read((trained / "artifact.sgolf").read_bytes()).manifest
    assert manifest.training is not None
    slow = manifest.training.model_copy(update={"train_seconds": 600.1})
    entry = declare(container.read((trained / "artifact.sgolf").read_bytes()), training=slow)
    (tmp_path / "slow.sgolf").write_bytes(container.write(entry))
    places = [
        "--data",
        str(trained / "data"),
        "--valset-dir",
        str(trained / "valsets"),
        "--out",
        str(tmp_path / "never"),
    ]
    done = CliRunner().invoke(reproduce_command, [str(tmp_path / "slow.sgolf"), *places])
    assert done.exit_code == 1
    assert done.output.startswith("Error: not-accepted: ")
    assert "train-time-limit" in done.output
    assert not (tmp_path / "never").exists()


def test_the_page_names_every_flag_code_and_outcome() -> None:
    page = (Path(__file__).parents[2] / "docs" / "significance.md").read_text()
    flags = [flag for option in reproduce_command.params for flag in option.opts if flag.startswith("--")]
    assert [flag for flag in flags if flag not in page] == []
    for code in (BadRecipe.code, OtherData.code, NotAccepted.code, NOT_REPRODUCED):
        assert f"`{code}`" in page
    for outcome in Outcome:
        assert f"\n| {outcome.value.replace('-', ' ')} |" in page
