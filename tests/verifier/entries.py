"""A tiny validation set and tiny artifacts for it, made from parts so that a test can change one thing and no other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artifact.backbone import Distribution, RandomMap, root_digest
from artifact.format import container
from artifact.model.build import build
from artifact.model.scoring import for_scoring
from tests.forge import Draft, Json, good_manifest, good_training
from tests.verifier import forge
from verifier.bench import Bench, set_up
from verifier.case import Case, Unwatched
from verifier.report import Report
from verifier.settings import Settings
from verifier.shards import write_shard
from verifier.tokenizer import parse_tokenizer
from verifier.tracks import Track, load_tracks
from verifier.valset import Registration, open_valset
from verifier.valset_registry import Registry
from verifier.verify import verify

VOCAB = 260
TEXT = "The verifier owns the ruler. Élan vital, naïve coöperation: every byte counts, 日本語 too. "
MODEL = forge.model(*forge.ROLES, *forge.BYTES)
PIECES_SHA256 = parse_tokenizer(MODEL).pieces_sha256
SET_NAME = "tiny"
CPU = Settings(device="cpu", batch_windows=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A registered set, the track `local`, and a manifest for them whose claims are what was measured."""

    registry: Registry
    registration: Registration
    track: Track
    manifest: Json

    @property
    def valset_folder(self) -> Path:
        return self.registry.folder_of(self.registration)

    def judge(self, data: bytes, *, track: Track | None = None, settings: Settings = CPU) -> Report:
        """The verdict of this process."""
        return verify(data, track=track or self.track, valset_folder=self.valset_folder, settings=settings)

    def on_the_bench(self) -> tuple[Case, Bench]:
        """The good entry, read and built, before the probes."""
        opened = open_valset(self.valset_folder)
        case = Case(data=self.entry(), track=self.track, registration=self.registration, settings=CPU)
        case.artifact = container.read(self.entry())
        case.manifest = case.artifact.manifest
        bench = set_up(case, opened, Unwatched())
        bench.network = for_scoring(build(case.artifact))
        return case, bench

    def entry(self, **changes: Any) -> bytes:
        """A good file, with some fields of its manifest changed."""
        return Draft(manifest=self.manifest | changes).build()


def open_arena(folder: Path) -> Arena:
    """Register the tiny set under `folder`, score the tiny entry, and put the score into its claims."""
    registration = register(folder)
    unclaimed = Arena(
        registry=Registry(folder=folder / "valsets"),
        registration=registration,
        track=load_tracks()["local"],
        manifest=manifest(),
    )
    score = unclaimed.judge(unclaimed.entry()).score
    assert score is not None
    claims = {"val_bpb": score.val_bpb, "val_loss": score.val_loss, "dtype": "float32"}
    claimed = unclaimed.manifest | {"claims": claims | {"valset_sha256": registration.sha256}}
    return Arena(registry=unclaimed.registry, registration=registration, track=unclaimed.track, manifest=claimed)


def register(folder: Path) -> Registration:
    """Register the tiny set: 24 documents of growing length, one token a byte."""
    source = folder / "source"
    write_set(source)
    return Registry(folder=folder / "valsets").add(SET_NAME, [source / "val.bin"], source / "bytes.model")


def write_set(folder: Path) -> None:
    """Put `val.bin` and `bytes.model` into `folder`."""
    folder.mkdir(parents=True)
    (folder / "bytes.model").write_bytes(MODEL)
    documents = parse_tokenizer(MODEL).encode([f"{number} {TEXT * (1 + number % 3)}" for number in range(24)])
    write_shard(folder / "val.bin", np.concatenate(documents))


def manifest() -> Json:
    """The good manifest of tests.forge for the tiny set, its root digest right, without claims."""
    made = good_manifest() | {"name": "tiny entry", "training": good_training()}
    made["model"] |= {"vocab_size": VOCAB}
    made["tokenizer"] = {"name": "bytes", "vocab_size": VOCAB, "pieces_sha256": PIECES_SHA256}
    made["eval"] = {"mode": "plain", "seq_len": 64, "stride": 64}
    return with_root_digest(made)


def with_root_digest(made: Json) -> Json:
    """`made` with the digest of the maps that its seed gives."""
    maps = [
        RandomMap(
            name=f"layers.{layer}.{role}.weight",
            distribution=Distribution(spec["distribution"]),
            shape=shape_of(made, role),
            exponent=spec["exponent"],
        )
        for layer in range(made["model"]["num_layers"])
        for role, spec in made["linears"]["roles"].items()
        if spec["base"] == "random"
    ]
    made["backbone"]["codes_sha256"] = root_digest(int(made["backbone"]["seed"]), maps)
    return made


def shape_of(made: Json, role: str) -> tuple[int, int]:
    """(out, in) of a linear."""
    model = made["model"]
    D, F = model["model_dim"], model["mlp_hidden_dim"]
    kv = model["num_kv_heads"] * D // model["num_heads"]
    shapes = {"attn.k": (kv, D), "attn.v": (kv, D), "mlp.up": (F, D), "mlp.gate": (F, D), "mlp.down": (D, F)}
    return shapes.get(role, (D, D))
