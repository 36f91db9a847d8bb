"""What a declared network will cost, from the manifest alone: checked before anything is built. No torch.

Memory is the peak of building and scoring in float32 with a fixed batch of 4,096 tokens, or one window where that is
longer: the learned and frozen weights, their merged copies, and the activations of one batch. Operations are those of
scoring the whole set in the declared windows, padding included. The verdict depends on the declaration and the track,
never on this machine. Measured peaks are 70 to 75 % of it (12 x 768, 4 x 512; 2026).
"""

from dataclasses import dataclass
from typing import Final

from artifact.format.architecture import Mlp
from artifact.format.manifest import Manifest
from artifact.format.tensors import count_frozen, count_learned
from artifact.model.flops import flops_per_token
from verifier.windows import plan_windows

BATCH_TOKENS: Final = 4_096
FLOAT_BYTES: Final = 4
BASE_BYTES: Final = 512 * 1024 * 1024  # interpreter, torch, byte table and one slice of log-softmax: 0.3 to 0.4 GiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What building and scoring takes.

    Attributes:
        parameters: learned and frozen together.
        memory_bytes: peak of the judging process on a CPU.
        eval_flops: operations of the scoring, a multiplication with its addition counting 2.
    """

    parameters: int
    memory_bytes: int
    eval_flops: float


def predict(manifest: Manifest, *, num_tokens: int) -> Cost:
    """Predict what an artifact costs on a stream of `num_tokens` tokens.

    Raises:
        InvalidValue: linears that do not fit the model, which a read manifest never has.
        TooFewTokens: the stream has no target.
    """
    parameters = count_frozen(manifest) + count_learned(manifest)
    windows = plan_windows(num_tokens, seq_len=manifest.eval.seq_len, stride=manifest.eval.stride)
    forward = flops_per_token(manifest, seq_len=windows.seq_len).forward
    return Cost(
        parameters=parameters,
        memory_bytes=BASE_BYTES + FLOAT_BYTES * (_weights(manifest, parameters) + _activations(manifest)),
        eval_flops=forward * windows.seq_len * windows.count,
    )


def _weights(manifest: Manifest, parameters: int) -> int:
    """Numbers held while the network is merged: everything built, a copy of every linear, one linear in the making."""
    shapes = [manifest.model.shape(role) for role in manifest.model.roles]
    sizes = [rows * cols for rows, cols in shapes]
    return parameters + manifest.model.num_layers * sum(sizes) + 3 * max(sizes)


def _activations(manifest: Manifest) -> int:
    """Numbers alive at once in a batch: logits, softcap, the probe's copy, stream, skips, attention, hidden layer."""
    model = manifest.model
    per_token = 5 * model.vocab_size + (12 + model.num_skips) * model.model_dim
    per_token += (3 if model.mlp is Mlp.SWIGLU else 2) * model.mlp_hidden_dim
    return per_token * batch_tokens(manifest.eval.seq_len)


def batch_tokens(seq_len: int) -> int:
    """Tokens of the fixed batch: of one window at least."""
    return max(BATCH_TOKENS, seq_len)
