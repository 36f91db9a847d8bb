"""From a trained network to a packed artifact: balance, quantise, compress, declare.

Packing is inside the run's clock, scoring is not: so the payload is made first, and what is known only later (the
clock's end, the scores) is declared on the finished payload without touching it.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from artifact.backbone import root_digest
from artifact.format import container, manifest
from artifact.format.architecture import Network
from artifact.format.container import Artifact
from artifact.format.manifest import Claims, Eval, EvalMode, Manifest, ManifestBody, QuantizationTable, Training
from artifact.format.quantize import balance_tensors, quantize_tensors
from artifact.format.tensors import check_architecture, learned_parameters, random_maps
from trainer.config import Config
from trainer.errors import ConfigError
from trainer.inputs import Inputs

Floats = NDArray[np.float32]
REHEARSAL_SEED = 0x5EED


def manifest_body(config: Config, network: Network, inputs: Inputs, *, threads: int) -> ManifestBody:
    """What the manifest says before there is a payload.

    Args:
        config: of the run.
        network: that the config resolves to.
        inputs: whose tokenizer the artifact is for.
        threads: for the digest of the frozen maps.

    Raises:
        ArtifactError: no reader would take such an artifact.
    """
    run, quantization = config.run, config.quantization
    digest = root_digest(int(run.backbone_seed), random_maps(network), threads=threads)
    table = QuantizationTable(
        **{group: getattr(quantization, group) for group in QuantizationTable.model_fields}  # fields of one name
    )
    body = ManifestBody(
        model=network.model,
        linears=network.linears,
        format="seedgolf",
        version=1,
        name=run.name,
        author=run.author or None,
        license=run.license or None,
        backbone=manifest.Backbone(algorithm="frozen-backbone/1", seed=run.backbone_seed, codes_sha256=digest),
        quantization=table,
        tokenizer=inputs.declared_tokenizer,
        eval=eval_windows(config),
    )
    check_architecture(body)
    return body


def eval_windows(config: Config) -> Eval:
    """The windows in which the entry is scored, zeros of the config replaced by what they stand for.

    Raises:
        ConfigError: there are no such windows.
    """
    seq_len = config.eval.seq_len or config.model.seq_len
    stride = config.eval.stride or seq_len
    try:
        return Eval(mode=EvalMode(config.eval.mode), seq_len=seq_len, stride=stride)
    except ValidationError as error:
        fault = manifest.translate(error)
        where = fault.where.removeprefix("manifest.")
        raise ConfigError(f"eval.{where}: expected {fault.expected}, got {fault.got}") from None


def pack(body: ManifestBody, parameters: Mapping[str, Floats], *, clip_search: bool) -> Artifact:
    """Balance the LoRA pairs, quantise and compress.

    Raises:
        NonFinite: a parameter holds NaN or infinity.
        ArtifactError: any other rule of the format.
    """
    quantized = quantize_tensors(body, balance_tensors(parameters), clip_search=clip_search)
    return container.assemble(body.model_copy(update={"quantization": quantized.table}), quantized.tensors)


def declare(packed: Artifact, *, training: Training, claims: Claims | None = None) -> Artifact:
    """The same payload under a manifest that says how it was made and what it scored.

    Raises:
        ArtifactError: a reader would refuse it.
    """
    fields = packed.manifest.model_dump(mode="json", exclude_none=True)
    fields |= {"training": training.model_dump(mode="json", exclude_none=True)}
    if claims is not None:
        fields |= {"claims": claims.model_dump(mode="json")}
    declared = dataclasses.replace(packed, manifest=manifest.from_json(Manifest, fields))
    return container.read(container.write(declared))


def rehearse(body: ManifestBody, *, clip_search: bool, now: Callable[[], float]) -> tuple[float, Artifact]:
    """Seconds that packing takes here, and what came of it: noise, which compresses worse than trained weights."""
    generator = np.random.Generator(np.random.Philox(key=[REHEARSAL_SEED, 0]))
    noise = {
        parameter.name: generator.standard_normal(parameter.shape, dtype=np.float32)
        for parameter in learned_parameters(body)
    }
    started = now()
    packed = pack(body, noise, clip_search=clip_search)
    return now() - started, packed
