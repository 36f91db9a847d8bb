"""Forgeries for the tests of this package: SentencePiece models byte by byte, streams, a small causal model."""

import struct
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from verifier.bytes_table import BytesTable, bytes_table
from verifier.demo_corpus import demo_streams, demo_tokenizer
from verifier.shards import Tokens
from verifier.tokenizer import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text: str, score: float = 0.0, kind: int = NORMAL) -> bytes:
    return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + field(3, kind))


def model(*pieces: bytes) -> bytes:
    """A model the library takes: BPE (trainer field 3 = 2) with byte fallback (field 35)."""
    return b"".join(pieces) + field(2, field(3, 2) + field(35, 1))


ROLES = [
    piece("<pad>", kind=CONTROL),
    piece("<s>", kind=CONTROL),
    piece("</s>", kind=CONTROL),
    piece("<unk>", kind=UNKNOWN),
]
BYTES = [piece(f"<0x{value:02X}>", kind=BYTE) for value in range(256)]


@cache
def demo() -> tuple[Tokenizer, BytesTable]:
    tokenizer = demo_tokenizer()
    return tokenizer, bytes_table(tokenizer)


@cache
def demo_shards() -> tuple[Tokens, Tokens]:
    """The demo corpus, extracted once for all tests of a process."""
    return demo_streams()


def random_stream(num_tokens: int, *, vocab_size: int, key: int = 0) -> Tokens:
    """Tokens of documents of about 40 tokens, the first opened by BOS (1)."""
    generator = np.random.Generator(np.random.Philox(key=key))
    tokens = generator.integers(4, vocab_size, size=num_tokens, dtype=np.uint16)
    tokens[generator.random(num_tokens) < 1 / 40] = 1
    tokens[0] = 1
    return tokens


class TinyModel(torch.nn.Module):
    """One causal attention layer and an MLP of width D, softcapped; every weight is drawn from a fixed seed."""

    def __init__(self, vocab_size: int, *, width: int = 48, heads: int = 2) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        shapes = {
            "embedding": (vocab_size, width),
            "qkv": (3 * width, width),
            "out": (width, width),
            "head": (vocab_size, width),
        }
        for name, shape in shapes.items():
            scale = 1.0 if name == "embedding" else 1.5 / width**0.5
            self.register_buffer(name, torch.randn(shape, generator=generator) * scale)
        self.heads = heads

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding[tokens]  # (B, T, D)
        B, T, D = x.shape
        q, k, v = linear(x, self.qkv).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, K)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, D)
        x = torch.tanh(x + linear(mixed, self.out))
        return 15 * torch.tanh(linear(x, self.head) / 15)
