"""The file: laws, single-byte damage, memory, and the atomic write."""

import hashlib
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import artifact
from artifact.format import container, errors, limits, payload
from artifact.format.manifest import Manifest, ManifestBody, from_json
from artifact.format.quantize import quantize_tensors
from artifact.format.tensors import expected_tensors, learned_parameters
from attacks.zip_bomb import bomb
from tests.forge import LEARNED, Draft, Json, good_claims, good_manifest, good_training, shapes, stored_tensors

GOOD = Draft().build()
HEADER_FIELDS = {
    range(8): errors.BadMagic,
    range(8, 10): errors.UnsupportedVersion,
    range(10, 12): errors.BadFlags,
    range(12, 16): errors.BadManifestLength,
}


def parameters(body: ManifestBody, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {p.name: rng.normal(size=p.shape).astype(np.float32) for p in learned_parameters(body)}


def packed(manifest: Json, seed: int = 0) -> artifact.Artifact:
    body = from_json(ManifestBody, manifest)
    quantized = quantize_tensors(body, parameters(body, seed))
    return artifact.assemble(body.model_copy(update={"quantization": quantized.table}), quantized.tensors)


MANIFESTS = st.builds(
    lambda model, training, claims, bits: (
        good_manifest()
        | {"model": good_manifest()["model"] | model}
        | ({"training": good_training()} if training else {})
        | ({"claims": good_claims()} if claims else {})
        | {"quantization": good_manifest()["quantization"] | {"lora_a": {"bits": bits, "scale": "float16"}}}
    ),
    st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            "residual": st.sampled_from(["plain", "unet_skip"]),
            "residual_mix": st.booleans(),
            "tie_embeddings": st.booleans(),
            "logit_softcap": st.floats(0.5, 1e3),
        }
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from([8, 7, 6, 5, 4]),
)


@given(MANIFESTS, st.integers(0, 100))
def test_read_of_write_is_the_artifact(manifest: Json, seed: int) -> None:
    made = packed(manifest, seed)
    data = artifact.write(made)
    again = artifact.read(data)
    assert again == made
    assert artifact.write(again) == data
    assert again.sha256 == hashlib.sha256(data).hexdigest()


def test_expected_tensors_are_those_of_the_page() -> None:
    manifest = good_manifest() | {"quantization": {g: {"dtype": "float32"} for g in good_manifest()["quantization"]}}
    manifest["model"] |= {"num_layers": 3, "residual": "unet_skip", "residual_mix": True, "tie_embeddings": False}
    body = from_json(ManifestBody, manifest)
    assert {t.name: (t.shape, t.group.value) for t in expected_tensors(body)} == shapes(manifest)


def test_artifacts_differ_when_one_stored_bit_does() -> None:
    manifest, tensors = good_manifest(), stored_tensors(good_manifest())
    one = artifact.read(Draft(manifest=manifest, tensors=tensors).build())
    same = artifact.read(Draft(manifest=manifest, tensors=tensors, stream=lambda d: zlib.compress(d, 1)).build())
    assert one == same
    assert hash(one) == hash(same)
    assert one.sha256 != same.sha256
    tensors["layers.0.attn_scale"][0] = -0.0
    zero = artifact.read(Draft(manifest=manifest, tensors=tensors).build())
    tensors["layers.0.attn_scale"][0] = 0.0
    assert zero != artifact.read(Draft(manifest=manifest, tensors=tensors).build())
    assert one != "an artifact"


@pytest.mark.parametrize("offset", range(16))
def test_every_flipped_bit_of_the_head_is_its_own_fault(offset: int) -> None:
    expected = next(error for fields, error in HEADER_FIELDS.items() if offset in fields)
    for bit in range(8):
        damaged = bytearray(GOOD)
        damaged[offset] ^= 1 << bit
        with pytest.raises(artifact.ArtifactError) as caught:
            artifact.read(bytes(damaged))
        if expected is not errors.BadManifestLength:  # another plausible length moves the manifest's end
            assert type(caught.value) is expected


@pytest.mark.parametrize("size", [*range(40), len(GOOD) - 1])
def test_a_file_cut_anywhere_is_refused(size: int) -> None:
    with pytest.raises(artifact.ArtifactError):
        artifact.read(GOOD[:size])


def test_one_byte_more_is_refused_wherever_it_stands() -> None:
    accepted = []
    for offset in range(len(GOOD) + 1):
        try:
            artifact.read(GOOD[:offset] + b"\0" + GOOD[offset:])
        except artifact.ArtifactError:
            continue
        accepted.append(offset)
    assert accepted == []


def test_the_callers_cap_speaks_first() -> None:
    with pytest.raises(errors.FileTooLarge, match=f"file: expected at most 10 bytes, got {len(GOOD)} bytes"):
        artifact.read(GOOD, max_bytes=10)
    assert artifact.read(GOOD, max_bytes=len(GOOD))


def test_the_formats_cap_stands_above_the_callers() -> None:
    with pytest.raises(errors.FileTooLarge, match="at most 67108864 bytes"):
        artifact.read(bytes(limits.MAX_FILE_BYTES + 1), max_bytes=2**40)


def test_read_manifest_does_not_look_at_the_payload() -> None:
    assert artifact.read_manifest(GOOD[:-7]) == artifact.read(GOOD).manifest


def traced_peak(data: bytes) -> tuple[int, str]:
    """`(peak bytes that read allocates, code or "accepted")`; numpy and zlib report to tracemalloc."""
    code = "accepted"
    tracemalloc.start()
    try:
        artifact.read(data)
    except artifact.ArtifactError as error:
        code = error.code
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak, code


def test_a_16_mb_file_that_inflates_to_10_gb_is_refused_within_a_few_mb() -> None:
    stream = bomb(b"")
    decoder, total = zlib.decompressobj(), 0
    for start in range(0, 1_000_000, 10_000):
        total += len(decoder.decompress(stream[start : start + 10_000]))
    assert total * 15 > 10_000_000_000, "the bomb would inflate to more than 10 GB"
    peak, code = traced_peak(Draft(stream=lambda _: stream).build())
    assert code == "inflated-size-mismatch"
    assert peak < 4_000_000


def test_reading_takes_the_inflated_size_and_4_mib_more() -> None:
    manifest = good_manifest()
    manifest["model"] |= {"vocab_size": 4096, "model_dim": 2048, "mlp_hidden_dim": 4096, "num_heads": 16}
    manifest["tokenizer"]["vocab_size"] = 4096
    manifest["linears"]["roles"]["mlp.up"] = LEARNED
    draft = Draft(manifest=manifest, stream=lambda data: zlib.compress(data, 1))
    data = draft.build()
    assert len(draft.inner()) > 20_000_000
    peak, code = traced_peak(data)
    assert code == "accepted"
    assert peak <= len(draft.inner()) + 4 * 1024 * 1024


def test_a_tiny_file_that_declares_256_mib_takes_none_of_it() -> None:
    peak, code = traced_peak(Draft(payload_fields={"inflated_bytes": limits.MAX_INFLATED_BYTES}).build())
    assert code == "inflated-size-mismatch"
    assert peak < 2_000_000


def test_the_writer_checks_what_the_reader_checks() -> None:
    body = from_json(ManifestBody, good_manifest())
    tensors = stored_tensors(good_manifest())
    for name, value, error in (
        ("embed.weight.scale", 0, errors.BadScale),
        ("layers.0.attn_scale", np.nan, errors.NonFinite),
        ("embed.weight", -128, errors.CodeOutOfRange),
    ):
        damaged = {key: array.copy() for key, array in tensors.items()}
        damaged[name][...] = value
        with pytest.raises(error):
            artifact.assemble(body, damaged)
    with pytest.raises(errors.TensorSetMismatch, match=r"tensor embed\.weight: .*no such tensor"):
        artifact.assemble(body, {key: array for key, array in tensors.items() if key != "embed.weight"})
    with pytest.raises(errors.TensorSetMismatch, match=r"tensor 'spare'"):
        artifact.assemble(body, tensors | {"spare": np.zeros(1, np.float32)})
    with pytest.raises(errors.TensorSetMismatch, match=r"I8 \[16, 8\], got float32 \[16, 8\]"):
        artifact.assemble(body, tensors | {"embed.weight": np.zeros((16, 8), np.float32)})


def test_a_manifest_over_its_cap_is_refused_by_the_writer() -> None:
    manifest = good_manifest()
    override = {"layers": [0], "roles": ["attn.q"], "linear": LEARNED}
    manifest["linears"]["overrides"] = [override] * 900
    body = from_json(ManifestBody, manifest)
    with pytest.raises(errors.BadManifestLength, match="2 to 65536 bytes of manifest"):
        artifact.assemble(body, stored_tensors(manifest))


def test_parameters_are_the_dequantised_tensors() -> None:
    read = artifact.read(GOOD)
    values = read.parameters()
    assert set(values) == set(shapes(good_manifest()))
    scale = read.tensors["embed.weight.scale"].astype(np.float32)[:, None]
    assert np.array_equal(values["embed.weight"], read.tensors["embed.weight"].astype(np.float32) * scale)


def test_tensors_of_a_read_artifact_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        artifact.read(GOOD).tensors["embed.weight"][0] = 0


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.sgolf"
    artifact.write_file(path, artifact.read(GOOD))
    assert path.read_bytes() == GOOD
    assert path.stat().st_mode & 0o777 == 0o644

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(container.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        artifact.write_file(path, packed(good_manifest(), seed=1))
    assert path.read_bytes() == GOOD
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.sgolf"]


def test_the_writer_keeps_the_smallest_of_zlibs_strategies() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(-15, 15, 60_000).astype(np.int8).tobytes()
    assert len(payload.compress(raw)) <= min(len(zlib.compress(raw, 9)), len(zlib.compress(raw, 6)))
    assert zlib.decompress(payload.compress(raw)) == raw


def test_the_manifest_of_a_file_is_canonical_again() -> None:
    declared = artifact.read(GOOD).manifest
    assert isinstance(declared, Manifest)
    length = int.from_bytes(GOOD[12:16], "little")
    assert declared.to_bytes() == GOOD[16 : 16 + length]
