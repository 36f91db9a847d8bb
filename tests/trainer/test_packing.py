"""The end of a run: packed inside the clock, scored outside it, rebuilt by a fresh process from the file alone."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from artifact.backbone import root_digest
from artifact.format import container, limits
from artifact.format.errors import ArtifactError
from artifact.format.manifest import CodesQuantization, EvalMode, FloatType
from artifact.format.tensors import learned_parameters, random_maps
from artifact.model.build import export
from tests.trainer import tiny
from tests.trainer.tiny import Clock, Recorder
from trainer.checkpoint import read_checkpoint
from trainer.errors import ConfigError, RebuildMismatch
from trainer.export import eval_windows, manifest_body, pack, rehearse
from trainer.finish import Finished, finish
from trainer.interrupt import Interrupt, Interrupted
from trainer.loop import train
from trainer.policy import network
from trainer.presets import PRESETS, preset
from trainer.rebuild import Rebuilt, rescore
from trainer.recipe import recipe_config, recipe_text
from trainer.result import result, summary
from trainer.run import Run
from verifier.shards import file_sha256
from verifier.valset import valset_sha256

LONG = ("budget.max_steps=20", "ema.decay=0.9", "ema.start_fraction=0.5", "eval.stride=16", "eval.mode=sliding")


def trained(root: Path, *settings: str, **parts: object) -> tuple[Run, Finished]:
    run = tiny.run(root, *settings, **parts)  # type: ignore[arg-type]
    finished = finish(run, train_loss=train(run))
    assert finished is not None
    return run, finished


def test_a_finished_run_leaves_an_artifact_that_scores_what_it_claims(tmp_path: Path) -> None:
    run, finished = trained(tmp_path, *LONG)
    artifact = container.read(run.folder.artifact.read_bytes())
    assert artifact == finished.artifact
    assert finished.claimed is not None
    assert finished.in_memory is not None
    assert artifact.manifest.claims is not None
    assert artifact.manifest.claims.val_bpb == finished.claimed.val_bpb
    assert artifact.manifest.eval.mode is EvalMode.SLIDING
    assert (artifact.manifest.eval.seq_len, artifact.manifest.eval.stride) == (32, 16)
    assert 0 < abs(finished.claimed.val_bpb - finished.in_memory.val_bpb) < 0.05

    rebuilt = rescore(run, finished.claimed)
    assert rebuilt.score.nats_sha256 == finished.claimed.nats_sha256
    assert rebuilt.difference_bpb == 0.0
    rebuilt.check(run.folder.artifact)


def test_the_manifest_says_how_the_artifact_was_made(tmp_path: Path) -> None:
    run, finished = trained(tmp_path, "run.author=somebody", "run.backbone_seed=18446744073709551615")
    manifest, training = finished.artifact.manifest, finished.artifact.manifest.training
    assert training is not None
    assert manifest.claims is not None
    assert (manifest.name, manifest.author, manifest.license) == ("smoke", "somebody", None)
    assert manifest.backbone.codes_sha256 == root_digest(2**64 - 1, random_maps(manifest))
    assert json.loads(training.config)["budget"]["max_steps"] == 6
    assert training.config == recipe_text(run.config)
    assert recipe_config(manifest) == run.config
    assert (training.steps, training.tokens, training.world_size) == (6, 6 * 128, 1)
    assert training.train_shards == (file_sha256(run.inputs.files.train[0]),)
    assert manifest.claims.valset_sha256 == valset_sha256(
        [file_sha256(run.inputs.files.val[0])], pieces_sha256=run.inputs.tokenizer.pieces_sha256
    )


def test_the_average_is_what_is_packed(tmp_path: Path) -> None:
    run, finished = trained(tmp_path, *LONG)
    packed = finished.artifact.parameters()["layers.0.attn_scale"]
    averages = run.state.ema.state()[1]["layers.0.attn_scale"].numpy()
    own = read_own(run)
    np.testing.assert_allclose(packed, averages, atol=1e-3)
    assert np.abs(own - averages).max() > 5e-3


def read_own(run: Run) -> np.ndarray:
    """The weights of the last step, from a second run that never averages."""
    second = tiny.run(run.folder.root / "plain", "budget.max_steps=20")
    train(second)
    return second.state.parameters["layers.0.attn_scale"].detach().numpy()


def test_the_clock_stops_at_the_end_of_compression(tmp_path: Path) -> None:
    """Scoring is outside: a clock that runs on during it does not reach the manifest."""
    clock = Clock(tick=0.25)
    settings = ("budget.train_seconds=60", "budget.max_steps=0", "budget.margin_seconds=3")  # each look is 0.25 s
    run = tiny.run(tmp_path, *settings, now=clock)
    train_loss = train(run)
    before = run.clock.seconds
    finished = finish(run, train_loss=train_loss)
    assert finished is not None
    assert before < finished.train_seconds <= before + 4 * clock.tick
    assert finished.train_seconds <= 60
    numbers = result(run, finished)
    assert numbers["kept_limit"] is True
    assert numbers["ended_by"] == "train_seconds"


def test_a_run_over_its_limit_says_so(tmp_path: Path) -> None:
    run, finished = trained(tmp_path, "budget.train_seconds=1", "budget.max_steps=0", now=Clock(tick=5.0))
    numbers = result(run, finished)
    assert run.state.step == 1
    assert numbers["kept_limit"] is False
    assert "over the limit of 1.0 s" in summary(numbers)[-1]


def interrupted_at(step: int) -> tuple[Interrupt, Recorder]:
    interrupt = Interrupt()

    def ask(metrics: object) -> None:
        if metrics.step == step:  # type: ignore[attr-defined]
            interrupt.signal = signal.SIGTERM

    return interrupt, Recorder(on_step=ask)


def test_a_signal_saves_and_packs_without_a_score(tmp_path: Path) -> None:
    interrupt, recorder = interrupted_at(3)
    run, finished = trained(tmp_path, recorder=recorder, interrupt=interrupt)
    artifact = container.read(run.folder.artifact.read_bytes())
    assert artifact.manifest.claims is None
    assert artifact.manifest.training is not None
    assert artifact.manifest.training.steps == 3
    assert read_checkpoint(run.folder.checkpoint).progress.step == 3
    numbers = result(run, finished)
    assert numbers["ended_by"] == "SIGTERM"
    assert f"--resume --out {tmp_path}" in summary(numbers)[-1], "can be copied"
    assert interrupt.exit_code == 143


@pytest.mark.parametrize("what", ["the network in memory", "the packed network"])
def test_a_signal_while_scoring_keeps_the_packed_artifact_and_the_run_goes_on_to_its_score(
    tmp_path: Path, what: str
) -> None:
    class LateSignal(Recorder):
        def on_scoring(self, scored: str, done: int, total: int) -> None:
            if scored == what:
                interrupt.signal = signal.SIGINT

    interrupt = Interrupt()
    run, finished = trained(tmp_path, *LONG, recorder=LateSignal(), interrupt=interrupt)
    assert finished.claimed is None
    artifact = container.read(run.folder.artifact.read_bytes())
    assert artifact.manifest.claims is None

    resumed, again = trained(tmp_path, *LONG, resume=True)
    assert again.claimed is not None
    assert again.artifact.manifest.claims is not None
    assert resumed.state.step == run.state.step
    assert again.artifact.manifest.payload == artifact.manifest.payload
    for made in (artifact, again.artifact):
        assert made.manifest.training is not None
        assert made.manifest.training.log_summary.train_loss == pytest.approx(run.state.train_loss, abs=1e-6)


def test_a_fresh_process_that_scores_something_else_is_a_fault(tmp_path: Path) -> None:
    run, finished = trained(tmp_path)
    assert finished.claimed is not None
    assert finished.in_memory is not None
    rebuilt = Rebuilt(claimed=finished.claimed, score=finished.in_memory)
    assert rebuilt.difference_bpb != 0
    with pytest.raises(RebuildMismatch, match=r"the file claims val_bpb .* do not submit it"):
        rebuilt.check(run.folder.artifact)


def test_a_file_that_a_fresh_process_cannot_read_is_a_fault(tmp_path: Path) -> None:
    run, finished = trained(tmp_path)
    assert finished.claimed is not None
    run.folder.artifact.write_bytes(run.folder.artifact.read_bytes()[:-1])
    with pytest.raises(RebuildMismatch, match=r"could not score the packed file: .*offset"):
        rescore(run, finished.claimed)


def test_a_signal_ends_the_fresh_process_too(tmp_path: Path) -> None:
    run, finished = trained(tmp_path)
    assert finished.claimed is not None
    run.interrupt.signal = signal.SIGINT
    with pytest.raises(Interrupted):
        rescore(run, finished.claimed)


def test_quantisation_follows_the_config(tmp_path: Path) -> None:
    _, finished = trained(tmp_path, "quantization.embedding.bits=6", "quantization.control={dtype='float32'}")
    table = finished.artifact.manifest.quantization
    assert table.embedding == CodesQuantization(bits=6, scale=FloatType.FLOAT16)
    assert finished.artifact.tensors["embed.weight"].max() <= 31
    assert finished.artifact.tensors["layers.0.attn_scale"].dtype == np.float32


def test_packing_balances_the_pairs(tmp_path: Path) -> None:
    run = tiny.run(tmp_path)
    train(run)
    parameters = export(run.state.gpt)
    packed = pack(run.body, parameters, clip_search=False).parameters()
    name = "layers.0.mlp.up"
    a, b = packed[f"{name}.lora_a"], packed[f"{name}.lora_b"]
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0), rtol=0.02)
    product = parameters[f"{name}.lora_b"] @ parameters[f"{name}.lora_a"]
    np.testing.assert_allclose(b @ a, product, atol=0.03 * np.abs(product).max())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("eval.stride=3", "eval.stride: expected 32, got 3"),
        ("eval.seq_len=70000", "eval.seq_len: expected less than or equal to 65536, got 70000"),
    ],
)
def test_windows_that_no_entry_can_have_are_the_configs_fault(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        eval_windows(tiny.config(setting))


def test_a_network_with_nan_is_not_packed(tmp_path: Path) -> None:
    run = tiny.run(tmp_path)
    parameters = export(run.state.gpt)
    parameters["embed.weight"][0, 0] = np.nan
    with pytest.raises(ArtifactError, match=r"embed.weight"):
        pack(run.body, parameters, clip_search=False)


def test_the_rehearsal_packs_once_between_two_looks_at_the_clock(tmp_path: Path) -> None:
    seconds, packed = rehearse(tiny.run(tmp_path).body, clip_search=True, now=Clock(tick=0.5))
    assert (seconds, packed.manifest.training) == (0.5, None)


def test_a_config_that_no_manifest_can_hold_is_refused_before_the_training(tmp_path: Path) -> None:
    linear = '{base="random", adapter="lora", lora_rank=4}'
    overrides = ", ".join(f'{{layers=[{n % 2}], roles=["mlp.up"], linear={linear}}}' for n in range(100))
    with pytest.raises(ArtifactError, match=r"config: expected at most 16384 bytes"):
        tiny.run(tmp_path, f"linears.overrides=[{overrides}]")


def test_frozen_maps_that_the_verifier_would_reject_are_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"45 all-zero rows of 64, of 32 numbers each; .*run\.backbone_seed"):
        tiny.run(tmp_path, "linears.mlp.up.distribution=tern7")


def test_the_first_signal_counts_a_second_sigterm_does_not_and_a_second_ctrl_c_is_not_ours() -> None:
    interrupt = Interrupt()
    earlier = signal.getsignal(signal.SIGTERM)
    with interrupt.listening():
        assert interrupt.exit_code == 0
        interrupt.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        with pytest.raises(Interrupted):
            interrupt.check()
    assert signal.getsignal(signal.SIGTERM) is earlier
    assert interrupt.exit_code == 143


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PRESETS if name not in {"smoke", "demo"}])
def test_every_preset_for_the_challenge_stays_below_its_limit(tmp_path: Path, name: str) -> None:
    """On noise, which no training compresses worse than; the limit leaves room for the counted code."""
    chosen = preset(name)
    body = manifest_body(chosen, network(chosen), tiny.inputs(tmp_path, chosen), threads=1)
    generator = np.random.default_rng(0)
    noise = {p.name: generator.standard_normal(p.shape, dtype=np.float32) for p in learned_parameters(body)}
    packed = container.write(pack(body, noise, clip_search=False))
    assert len(packed) < limits.TRACK_FILE_BYTES - 150_000
