"""The recipe in a manifest: what it says of the configuration that made its artifact, and how to read that back.

A manifest has fields of its own for the two seeds and for name, author and license, so the recipe leaves them out: runs
that differ in nothing else have one configuration digest, which `seedgolf compare` asks for. Law: reading the recipe of
an artifact that a run packed gives the run's config.
"""

from typing import Final

from artifact.format import canonical
from artifact.format.errors import ArtifactError
from artifact.format.manifest import Manifest
from trainer.config import Config
from trainer.errors import ConfigError, TrainerError
from trainer.export import eval_windows
from trainer.overrides import Table, from_table, to_table
from trainer.policy import network

DECLARED_ELSEWHERE: Final = ("seed", "backbone_seed", "name", "author", "license")
"""Fields of the section `run`."""


class BadRecipe(TrainerError):
    """The manifest does not say how its artifact can be trained again."""

    code = "bad-recipe"


def recipe_text(config: Config) -> str:
    """The config as canonical JSON, without what the manifest says elsewhere."""
    table = to_table(config)
    for name in DECLARED_ELSEWHERE:
        del _object(table["run"], "run")[name]
    return canonical.dumps(table).decode()


def recipe_config(manifest: Manifest) -> Config:
    """The config that `manifest` declares, with its seeds and labels.

    Raises:
        BadRecipe: there is none, it is no config of this trainer, or it makes another network than the artifact's.
    """
    if manifest.training is None:
        raise BadRecipe("training: expected a recipe in the manifest, got none; only its author can train it again")
    try:
        table = _object(canonical.loads(manifest.training.config.encode("utf-8", "surrogatepass")), "training.config")
        _object(table.get("run"), "training.config.run").update(
            seed=manifest.training.seed,
            backbone_seed=manifest.backbone.seed,
            name=manifest.name,
            author=manifest.author or "",
            license=manifest.license or "",
        )
        config = from_table(table)
        _check_is_of(config, manifest)
    except (ArtifactError, ConfigError) as error:
        raise BadRecipe(f"training.config: no config that this version can train: {error}") from None
    return config


def _check_is_of(config: Config, manifest: Manifest) -> None:
    declared = network(config)
    pairs = {
        "network": ((declared.model, declared.linears), (manifest.model, manifest.linears)),
        "scoring windows": (eval_windows(config), manifest.eval),
    }
    for what, (recipe, artifact) in pairs.items():
        if recipe != artifact:
            raise BadRecipe(f"training.config: expected the recipe of this artifact, got one with another {what}")


def _object(value: object, where: str) -> Table:
    if not isinstance(value, dict):
        raise BadRecipe(f"{where}: expected an object, got another value")
    return value
