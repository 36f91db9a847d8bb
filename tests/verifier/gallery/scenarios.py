"""The gallery: what the field has fallen for, each as one visible mutation of the good tiny entry."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.forge import Draft, Json, stored_tensors
from tests.verifier.entries import Arena
from verifier.counted_code import counted_code_bytes
from verifier.tracks import Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A bad entry: the check that stops it, its code, and words that its author must read.

    `judged_by` makes the track's other limits out of the good entry's size where the mutation needs a tight one.
    """

    name: str
    check: str
    code: str
    says: tuple[str, ...]
    build: Callable[[Arena], bytes]
    judged_by: Callable[[Arena], Track] = lambda arena: arena.track


def changed(*path: str, to: Any) -> Callable[[Arena], bytes]:
    """The good entry with the manifest's value at `path` replaced; its tensors stay those of the good one."""

    def build(arena: Arena) -> bytes:
        made: Json = copy.deepcopy(arena.manifest)
        place = made
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return Draft(manifest=made, tensors=stored_tensors(arena.manifest)).build()

    return build


def retold(edit: Callable[[dict[str, Any]], None]) -> Callable[[Arena], bytes]:
    """The good entry with its stored tensors edited."""

    def build(arena: Arena) -> bytes:
        tensors = stored_tensors(arena.manifest)
        edit(tensors)
        return Draft(manifest=arena.manifest, tensors=tensors).build()

    return build


def exactly_full(arena: Arena) -> Track:
    """A track whose limit is the good entry with the code, to the byte."""
    full = len(arena.entry()) + counted_code_bytes()
    return arena.track.model_copy(update={"limit_bytes": full})


def leave_out(tensors: dict[str, Any]) -> None:
    del tensors["layers.0.mlp_scale"]


def misname(tensors: dict[str, Any]) -> None:
    tensors["layers.0.mlp_scala"] = tensors.pop("layers.0.mlp_scale")


def swap_shapes(tensors: dict[str, Any]) -> None:
    tensors["layers.0.attn.q.lora_a"] = tensors["layers.0.attn.q.lora_a"].T.copy()


def nan_scale(tensors: dict[str, Any]) -> None:
    tensors["embed.weight.scale"][3] = np.nan


def overflow(tensors: dict[str, Any]) -> None:
    tensors["layers.0.mlp_scale"][:] = 3e38


def false_claim(arena: Arena) -> bytes:
    return changed("claims", "val_bpb", to=arena.manifest["claims"]["val_bpb"] - 0.01)(arena)


def cost_bomb(arena: Arena) -> bytes:
    """A file of some kilobytes that declares 1.6 billion frozen parameters, which cost it nothing."""
    made = copy.deepcopy(arena.manifest)
    made["model"] |= {
        "model_dim": 2048, "num_layers": 12, "num_heads": 2, "num_kv_heads": 2, "mlp_hidden_dim": 32_768
    }  # fmt: skip
    frozen = {"base": "random", "distribution": "g8", "exponent": 6, "gain": "none", "adapter": "none"}
    made["linears"] = {"roles": dict.fromkeys(made["linears"]["roles"], frozen), "overrides": []}
    return Draft(manifest=made, tensors=stored_tensors(made)).build()


def with_training(**fields: Any) -> Callable[[Arena], bytes]:
    return lambda arena: changed("training", to=arena.manifest["training"] | fields)(arena)


def overlapping(arena: Arena) -> bytes:
    shards = ["ef" * 32, arena.registration.shards[0].sha256]
    return with_training(train_shards=sorted(shards))(arena)


def strict(arena: Arena) -> Track:
    """The track with the official sets' rule that training is declared."""
    return arena.track.model_copy(update={"requires_training": True})


def undeclared(arena: Arena) -> bytes:
    made = copy.deepcopy(arena.manifest)
    del made["training"]
    return Draft(manifest=made, tensors=stored_tensors(arena.manifest)).build()


def scenarios() -> Iterator[Scenario]:
    """Every entry of the gallery, in the order of the checks."""
    yield Scenario(
        name="one-byte-after-the-end",
        check="container",
        code="bad-payload-length",
        says=("a payload that ends the file", "pack it again"),
        build=lambda arena: arena.entry() + b"\0",
    )
    yield Scenario(
        name="missing-tensor",
        check="container",
        code="inflated-size-mismatch",
        says=("as the declared tensors imply", "a tensor is missing"),
        build=retold(leave_out),
    )
    yield Scenario(
        name="forbidden-enum",
        check="manifest",
        code="invalid-enum",
        says=("model.mlp", "'gelu'", "'relu2', 'leaky_relu2' or 'swiglu'"),
        build=changed("model", "mlp", to="gelu"),
    )
    yield Scenario(
        name="seed-as-a-number",
        check="manifest",
        code="invalid-seed",
        says=("backbone.seed", "string", "got 7"),
        build=changed("backbone", "seed", to=7),
    )
    yield Scenario(
        name="over-size-by-one-byte",
        check="size",
        code="over-size",
        says=("1 over", "seedgolf inspect"),
        build=changed("name", to="tiny entry!"),
        judged_by=exactly_full,
    )
    yield Scenario(
        name="misnamed-tensor",
        check="tensors",
        code="tensor-set-mismatch",
        says=("layers.0.mlp_scale", "mlp_scala"),
        build=retold(misname),
    )
    yield Scenario(
        name="swapped-shapes",
        check="tensors",
        code="tensor-set-mismatch",
        says=("layers.0.attn.q.lora_a", "[2, 8]", "[8, 2]"),
        build=retold(swap_shapes),
    )
    yield Scenario(
        name="nan-scale",
        check="tensors",
        code="bad-scale",
        says=("embed.weight.scale", "nan"),
        build=retold(nan_scale),
    )
    yield Scenario(
        name="cost-bomb",
        check="cost",
        code="too-costly",
        says=("1,073,741,824 parameters", "declare a smaller network"),
        build=cost_bomb,
    )
    yield Scenario(
        name="wrong-backbone-digest",
        check="backbone",
        code="backbone-mismatch",
        says=("root digest " + "ab" * 32, "trained with"),
        build=changed("backbone", "codes_sha256", to="ab" * 32),
    )
    yield Scenario(
        name="another-seed",
        check="backbone",
        code="backbone-mismatch",
        says=("the seed",),
        build=changed("backbone", "seed", to="8"),
    )
    yield Scenario(
        name="unknown-tokenizer",
        check="tokenizer",
        code="unknown-tokenizer",
        says=("the tokenizer of the set tiny", "--valset"),
        build=changed("tokenizer", "pieces_sha256", to="cd" * 32),
    )
    yield Scenario(
        name="set-of-another-track",
        check="valset",
        code="valset-not-in-track",
        says=("a validation set of the track 10min_16mb", "--track"),
        build=Arena.entry,
        judged_by=official,
    )
    yield Scenario(
        name="overflowing-numbers",
        check="probe",
        code="not-normalised",
        says=("sum to 1", "scales and gains"),
        build=retold(overflow),
    )
    yield Scenario(
        name="false-claim",
        check="claim",
        code="claim-mismatch",
        says=("1.0e-06", "claimed", "seedgolf verify"),
        build=false_claim,
    )
    yield Scenario(
        name="train-time-600.1",
        check="training-time",
        code="train-time-limit",
        says=("at most 600 s", "600.1 s claimed", "before a step"),
        build=with_training(train_seconds=600.1),
    )
    yield Scenario(
        name="log-of-another-run",
        check="training-time",
        code="train-time-limit",
        says=("half of 5,000 steps x 0.25 s", "60 s claimed", "same run"),
        build=with_training(steps=5_000, train_seconds=60),
    )
    yield Scenario(
        name="no-training-declared",
        check="training-time",
        code="training-not-declared",
        says=("a training section", "seedgolf train"),
        build=undeclared,
        judged_by=strict,
    )
    yield Scenario(
        name="overlapping-training-shard",
        check="data-overlap",
        code="train-val-overlap",
        says=("1 in both", "train again"),
        build=overlapping,
    )


def official(arena: Arena) -> Track:
    """The track without the open door."""
    return arena.track.model_copy(update={"any_valset": False, "name": "10min_16mb"})
