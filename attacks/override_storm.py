"""A manifest full of overrides, each of which names every layer and role.

Hoped for: work that grows with overrides x layers x roles.
"""

from tests.forge import LEARNED, Draft, good_manifest

EXPECTED = "inflated-size-mismatch"


def build() -> bytes:
    """The file."""
    manifest = good_manifest()
    manifest["model"]["num_layers"] = 256
    override = {"layers": list(range(256)), "roles": list(manifest["linears"]["roles"]), "linear": dict(LEARNED)}
    manifest["linears"]["overrides"] = [override] * 58
    return Draft(manifest=manifest, inflated=Draft().inner()).build()
