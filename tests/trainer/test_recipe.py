"""The recipe in a manifest: what it leaves out, how it is read back, and what is no recipe."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from artifact.format import container
from artifact.format import manifest as manifests
from artifact.format.manifest import Manifest
from tests.forge import Draft
from tests.trainer import tiny
from trainer.config import Config
from trainer.export import manifest_body
from trainer.policy import network
from trainer.recipe import BadRecipe, recipe_config, recipe_text
from trainer.setup import config_text

LABELLED = (
    "run.seed=11",
    "run.backbone_seed=18446744073709551615",
    'run.name="first"',
    'run.author="someone"',
    'run.license="CC0-1.0"',
)


def declared(chosen: Config, root: Path, *, text: str | None = None) -> Manifest:
    """A manifest as the end of a run writes it, with `text` as its recipe."""
    body = manifest_body(chosen, network(chosen), tiny.inputs(root, chosen), threads=1)
    config = recipe_text(chosen) if text is None else text
    fields: dict[str, Any] = body.model_dump(mode="json", exclude_none=True)
    fields["payload"] = {"codec": "zlib", "inflated_bytes": 8, "sha256": "0" * 64}
    fields["training"] = {
        "preset": chosen.preset,
        "config": config,
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "seed": chosen.run.seed,
        "steps": 6,
        "tokens": 768,
        "train_seconds": 1.5,
        "world_size": 1,
        "device": "1 CPU threads",
        "torch": "2.13.0",
        "train_shards": ["0" * 64],
        "log_summary": {"step_seconds_median": 0.25, "train_loss": 3.5},
    }
    return manifests.from_json(Manifest, fields)


def test_a_config_comes_back_from_the_manifest_of_its_run(tmp_path: Path) -> None:
    for settings in ((), LABELLED, ("eval.mode=sliding", "eval.stride=16", "linears.mlp.*.adapter=vera")):
        chosen = tiny.config(*settings)
        assert recipe_config(declared(chosen, tmp_path)) == chosen


def test_runs_that_differ_in_seeds_and_labels_have_one_recipe() -> None:
    assert recipe_text(tiny.config(*LABELLED)) == recipe_text(tiny.config())
    assert recipe_text(tiny.config("optim.lora_b_lr=0.5")) != recipe_text(tiny.config())


def test_a_whole_config_is_a_recipe_too(tmp_path: Path) -> None:
    chosen = tiny.config(*LABELLED)
    assert recipe_config(declared(chosen, tmp_path, text=config_text(chosen))) == chosen


def test_the_seeds_of_the_manifest_count(tmp_path: Path) -> None:
    whole = config_text(tiny.config("run.seed=99"))
    assert recipe_config(declared(tiny.config(*LABELLED), tmp_path, text=whole)).run.seed == "11"


def wrong_recipes() -> dict[str, str]:
    table = json.loads(recipe_text(tiny.config()))
    return {
        "not json": "{{",
        "a list": "[]",
        "another trainer's": '{"iterations":20000}',
        "deeply nested": "[" * 5000,
        "a field more": json.dumps(table | {"extra": 1}, sort_keys=True, separators=(",", ":")),
        "run is no section": json.dumps(table | {"run": 1}, sort_keys=True, separators=(",", ":")),
        "another network": recipe_text(tiny.config("model.num_layers=3")),
        "another adapter": recipe_text(tiny.config("linears.attn.q.lora_rank=5")),
        "other windows": recipe_text(tiny.config("eval.mode=sliding", "eval.stride=16")),
        "impossible windows": recipe_text(tiny.config("eval.stride=3")),
    }


@pytest.mark.parametrize("name", wrong_recipes())
def test_what_is_no_recipe_of_this_artifact_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"\Atraining\.config(\.run)?: "):
        recipe_config(declared(tiny.config(), tmp_path, text=wrong_recipes()[name]))


def test_an_artifact_without_training_has_no_recipe() -> None:
    with pytest.raises(BadRecipe, match="expected a recipe in the manifest, got none"):
        recipe_config(container.read(Draft().build()).manifest)
