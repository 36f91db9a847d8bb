"""Which split a document belongs to: decided by the document's own digest, never by its place or a seed.

So a document keeps its split when others are added, removed or reordered, and equal documents never lie on both sides.
"""

import hashlib


def split_position(text: str) -> float:
    """Where a document lies in [0, 1): the first 32 bits of the SHA-256 of its UTF-8 text, over 2^32."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def is_validation(text: str, *, val_fraction: float) -> bool:
    """Whether the document is for validation when about `val_fraction` of all documents are."""
    return split_position(text) < val_fraction
