"""Every cap of format version 1, each with its unit (docs/format.md).

A reader compares a declared size with its cap before it allocates anything of that size.
"""

from typing import Final

TRACK_FILE_BYTES: Final = 16_000_000
"""The challenge's limit, decimal; a track may count code on top of the file (verifier/tracks)."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MIN_MANIFEST_BYTES: Final = 2
MAX_MANIFEST_BYTES: Final = 65_536
MAX_MANIFEST_NESTING: Final = 8
MAX_INFLATED_BYTES: Final = 256 * 1024 * 1024
INFLATE_STEP_BYTES: Final = 1024 * 1024

MAX_TENSORS: Final = 4_096
MAX_PARAMETERS: Final = 2**31
"""Learned and frozen together."""

MAX_LAYERS: Final = 256
MAX_MODEL_DIM: Final = 16_384
MAX_MLP_HIDDEN_DIM: Final = 65_536
MAX_LORA_RANK: Final = MAX_MODEL_DIM
MAX_VOCAB_SIZE: Final = 2**17
MAX_SEQ_LEN_TOKENS: Final = 65_536
MAX_EXPONENT: Final = 24

MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_TEXT_CHARACTERS: Final = 200
MAX_CONFIG_BYTES: Final = 16_384
MAX_TRAIN_SHARDS: Final = 512
