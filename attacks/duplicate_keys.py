"""Two seeds in one manifest: a reviewer's tool shows the first, a lenient parser takes the last.

Hoped for: two readers that disagree about one file.
"""

from tests.forge import Draft

EXPECTED = "duplicate-key"


def build() -> bytes:
    """The file."""
    return Draft(manifest_bytes=lambda raw: raw.replace(b'"seed":"7"', b'"seed":"7","seed":"8"')).build()
