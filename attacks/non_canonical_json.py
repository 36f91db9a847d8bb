"""The same manifest with a space in it.

Hoped for: many files, and many digests, for one submission.
"""

from tests.forge import Draft

EXPECTED = "manifest-not-canonical"


def build() -> bytes:
    """The file."""
    return Draft(manifest_bytes=lambda raw: raw.replace(b":", b": ", 1)).build()
