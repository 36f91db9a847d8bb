"""Floating-point operations per token, counted from the declaration alone: what MFU divides by. No torch.

A multiplication with its addition counts 2. The forward pass is that of the merged network, attention counted over the
keys that causality leaves, (T + 1) / 2 of T. Training counts no dW of a frozen map and no recomputation. Merging
adapters is once a micro-batch, not per token, and left out, as is everything that is no matrix product.
"""

from dataclasses import dataclass

from artifact.format.architecture import Base, Network, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFlops:
    """Operations per token; `training` is forward and backward together."""

    forward: float
    training: float


def flops_per_token(network: Network, *, seq_len: int) -> TokenFlops:
    """Count the matrix products of one token in windows of `seq_len` tokens.

    Raises:
        InvalidValue: linears that do not fit the model.
    """
    model = network.model
    head = 2 * model.vocab_size * model.model_dim
    attention = model.num_layers * 2 * 2 * model.model_dim * (seq_len + 1) / 2  # scores and values
    forward, backward = head + attention, 2 * (head + attention)
    for (_, role), spec in resolve(network).items():
        rows, cols = model.shape(role)
        product = 2 * rows * cols
        forward += product
        backward += product  # dX
        if spec.base is Base.LEARNED:
            backward += product  # dW
        backward += 4 * (spec.lora_rank or 0) * (rows + cols)  # dY B, X A^T, dA, dB
    return TokenFlops(forward=forward, training=forward + backward)
