"""A network of 2^47 parameters, declared in two kilobytes.

Hoped for: a reader that allocates what is declared, or multiplies dimensions in 32 bits.
"""

from tests.forge import FROZEN, Draft, good_manifest

EXPECTED = "invalid-value"


def build() -> bytes:
    """The file."""
    manifest = good_manifest()
    manifest["model"] |= {"num_layers": 256, "model_dim": 16_384, "mlp_hidden_dim": 65_536, "num_heads": 128}
    manifest["linears"]["roles"] = {role: dict(FROZEN) for role in manifest["linears"]["roles"]}
    return Draft(manifest=manifest, inflated=Draft().inner()).build()
