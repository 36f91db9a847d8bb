"""Export, quantise, pack, read, build: the network that comes back is the dequantised one, bit for bit."""

import numpy as np
import pytest
import torch

from artifact.backbone import root_digest
from artifact.format.architecture import Network
from artifact.format.container import assemble, read, write
from artifact.format.manifest import ManifestBody, from_json
from artifact.format.quantize import balance_tensors, dequantize_tensors, quantize_tensors
from artifact.format.tensors import learned_parameters, random_maps
from artifact.model.build import build, export, load_parameters
from artifact.model.gpt import GPT
from artifact.model.scoring import for_scoring
from tests.artifact.model.networks import NETWORKS, SEED, arbitrary_gpt, arbitrary_parameters, arbitrary_tokens
from tests.forge import good_manifest

BY_NAME = pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)


def body_of(made: Network) -> ManifestBody:
    fields = good_manifest() | made.model_dump(mode="json", exclude_none=True)
    fields["backbone"] |= {"seed": str(SEED), "codes_sha256": root_digest(SEED, random_maps(made))}
    fields["tokenizer"]["vocab_size"] = made.model.vocab_size
    return from_json(ManifestBody, fields)


@BY_NAME
def test_a_file_means_the_network_of_its_dequantised_tensors(made: Network) -> None:
    body = body_of(made)
    quantized = quantize_tensors(body, balance_tensors(export(arbitrary_gpt(made))))
    body = body.model_copy(update={"quantization": quantized.table})
    rebuilt = build(read(write(assemble(body, quantized.tensors))))
    expected = GPT(made, backbone_seed=SEED)
    load_parameters(expected, dequantize_tensors(body, quantized.tensors))
    tokens = torch.from_numpy(arbitrary_tokens(made, 2, 24))
    with torch.no_grad():
        assert torch.equal(rebuilt.logits(tokens), expected.logits(tokens))
        assert torch.equal(for_scoring(rebuilt).logits(tokens), for_scoring(expected).logits(tokens))
        assert not torch.equal(rebuilt.logits(tokens), arbitrary_gpt(made).logits(tokens))  # quantising shows


@BY_NAME
def test_what_is_exported_is_what_was_loaded_in_the_order_of_the_network(made: Network) -> None:
    given, got = arbitrary_parameters(made), export(arbitrary_gpt(made))
    assert list(got) == [parameter.name for parameter in learned_parameters(made)]
    assert all(value.dtype == np.float32 and value.flags.c_contiguous for value in got.values())
    assert all(np.array_equal(value, given[name]) for name, value in got.items())


def test_an_export_does_not_follow_the_network() -> None:
    gpt = arbitrary_gpt(NETWORKS["dense"])
    exported = export(gpt)
    kept = exported["embed.weight"].copy()
    with torch.no_grad():
        gpt.embed.weight.zero_()
    assert np.array_equal(exported["embed.weight"], kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embed.weight": None}, r"missing or unknown: embed\.weight$"),
        ({"embed.scale": np.zeros(3, np.float32)}, r"missing or unknown: embed\.scale$"),
        ({"embed.weight": np.zeros((61, 31), np.float32)}, r"embed\.weight: expected shape \(61, 32\), got \(61, 31\)"),
        ({"layers.0.attn.q_gain": np.zeros(1, np.float32)}, r"q_gain: expected shape \(4,\), got \(1,\)"),
    ],
)
def test_other_names_and_shapes_are_refused(change: dict[str, np.ndarray | None], message: str) -> None:
    gpt = GPT(NETWORKS["dense"], backbone_seed=SEED)
    parameters = {**arbitrary_parameters(NETWORKS["dense"]), **change}
    with pytest.raises(ValueError, match=message):
        load_parameters(gpt, {name: value for name, value in parameters.items() if value is not None})
    assert not any(parameter.any() for name, parameter in gpt.named_parameters() if name == "embed.weight")


def test_the_seed_reaches_every_frozen_map() -> None:
    made = NETWORKS["vera, untied, no cap"]
    one, other = (dict(GPT(made, backbone_seed=seed).named_buffers()) for seed in (SEED, SEED - 1))
    for random_map in random_maps(made):
        assert not torch.equal(one[random_map.name], other[random_map.name])
