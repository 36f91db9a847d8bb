r"""A name with a lone surrogate, "\ud800", which JSON can spell and UTF-8 cannot.

Hoped for: a crash where the name is printed, stored or hashed.
"""

from tests.forge import Draft

EXPECTED = "manifest-not-canonical"


def build() -> bytes:
    """The file."""
    return Draft(manifest_bytes=lambda raw: raw.replace(b'"tiny"', b'"\\ud800"')).build()
