"""The payload: tensors <-> a safetensors file <-> one zlib stream (docs/format.md, Payload).

The safetensors form is the library's own: compact JSON header padded with spaces to a multiple of 8, tensors by
type and then name, contiguous from 0. The manifest implies that header to the byte, so a reader compares and never
trusts; only a header that differs is parsed, to say what is wrong with it.

Law: `parse(serialise(tensors, specs), specs)` gives equal tensors.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from artifact.format import limits
from artifact.format.errors import (
    BadTensorHeader,
    InflatedSizeMismatch,
    InflateError,
    TensorSetMismatch,
    shown,
)
from artifact.format.tensors import Stored, StoredTensor

Tensors = Mapping[str, NDArray[np.generic]]

LENGTH_BYTES: Final = 8
MAX_HEADER_BYTES: Final = limits.MAX_TENSORS * 256
INPUT_STEP_BYTES: Final = 64 * 1024
STRATEGIES: Final = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)
ENTRY: Final = re.compile(
    rb'"([^"\\\x00-\x1f]{1,512})":\{"dtype":"(F32|F16|I8)",'
    rb'"shape":\[((?:(?:0|[1-9]\d{0,9})(?:,(?:0|[1-9]\d{0,9})){0,7})?)\],'
    rb'"data_offsets":\[(0|[1-9]\d{0,11}),(0|[1-9]\d{0,11})\]\}'
)


def header(specs: Sequence[StoredTensor]) -> bytes:
    """The header's JSON for tensors in payload order, padded to a multiple of 8 bytes."""
    entries, offset = [], 0
    for spec in specs:
        shape = ",".join(map(str, spec.shape))
        end = offset + spec.num_bytes
        entries.append(f'"{spec.name}":{{"dtype":"{spec.stored}","shape":[{shape}],"data_offsets":[{offset},{end}]}}')
        offset = end
    text = "{" + ",".join(entries) + "}"
    return (text + " " * (-len(text) % 8)).encode("ascii")


def inflated_bytes(specs: Sequence[StoredTensor]) -> int:
    """The payload's size that these tensors imply."""
    return LENGTH_BYTES + len(header(specs)) + sum(spec.num_bytes for spec in specs)


def serialise(tensors: Tensors, specs: Sequence[StoredTensor]) -> bytes:
    """The safetensors bytes of `tensors`, which must be exactly those of `specs`.

    Raises:
        TensorSetMismatch: a tensor is missing, too many, or of another shape or type.
    """
    check_set(tensors, specs)
    head = header(specs)
    parts = [len(head).to_bytes(LENGTH_BYTES, "little"), head]
    parts += [np.ascontiguousarray(tensors[spec.name]).tobytes() for spec in specs]
    return b"".join(parts)


def check_set(tensors: Tensors, specs: Sequence[StoredTensor]) -> None:
    """Refuse any set of tensors but the one of `specs`.

    Raises:
        TensorSetMismatch: with the first tensor that differs.
    """
    extra = sorted(set(tensors) - {spec.name for spec in specs})
    if extra:
        raise TensorSetMismatch(f"tensor {shown(extra[0])}", expected="no such tensor", got="one")
    for spec in specs:
        if spec.name not in tensors:
            raise TensorSetMismatch(f"tensor {spec.name}", expected=_described(spec), got="no such tensor")
        array = tensors[spec.name]
        if array.shape != spec.shape or array.dtype != spec.stored.numpy:
            got = f"{array.dtype} {list(array.shape)}"
            raise TensorSetMismatch(f"tensor {spec.name}", expected=_described(spec), got=got)


def _described(spec: StoredTensor) -> str:
    return f"{spec.stored} {list(spec.shape)}"


def parse(raw: NDArray[np.uint8], specs: Sequence[StoredTensor]) -> dict[str, NDArray[np.generic]]:
    """Read-only views into `raw`, one per tensor of `specs`, without a copy. `raw` has the implied size.

    Raises:
        BadTensorHeader: the header is not in the one canonical form.
        TensorSetMismatch: it is, but of other tensors.
    """
    expected = header(specs)
    length = int.from_bytes(raw[:LENGTH_BYTES].tobytes(), "little")
    found = raw[LENGTH_BYTES : LENGTH_BYTES + min(length, MAX_HEADER_BYTES)].tobytes()
    if found != expected:
        _diagnose(found, length, len(raw), specs)
    start, tensors = LENGTH_BYTES + length, {}
    for spec in specs:
        flat: NDArray[np.generic] = raw[start : start + spec.num_bytes].view(spec.stored.numpy)
        flat.flags.writeable = False
        tensors[spec.name] = flat.reshape(spec.shape)
        start += spec.num_bytes
    return tensors


def _diagnose(found: bytes, length: int, total_bytes: int, specs: Sequence[StoredTensor]) -> None:
    """Say why a header is not the expected one; always raises."""
    if length > MAX_HEADER_BYTES or length % 8 or LENGTH_BYTES + length > total_bytes:
        expected = f"a multiple of 8 of at most {MAX_HEADER_BYTES} bytes inside the payload"
        raise BadTensorHeader("tensor header length", expected=expected, got=f"{length} bytes")
    data_bytes, mismatch, num_entries = 0, None, 0
    for name, description, end in _entries(found):
        data_bytes = end
        if mismatch is None and num_entries < len(specs):
            spec = specs[num_entries]
            if (name, description) != (spec.name, _described(spec)):
                got = f"{shown(name)} {description}"
                place = f"tensor {num_entries} of the payload"
                mismatch = TensorSetMismatch(place, expected=f"{spec.name} {_described(spec)}", got=got)
        num_entries += 1
    if LENGTH_BYTES + length + data_bytes != total_bytes:
        got = f"{total_bytes - LENGTH_BYTES - length} bytes of data"
        raise BadTensorHeader("tensor header", expected=f"tensors that fill the payload, {data_bytes} bytes", got=got)
    raise mismatch or TensorSetMismatch("payload", expected=f"{len(specs)} tensors", got=f"{num_entries} tensors")


def _entries(found: bytes) -> Iterator[tuple[str, str, int]]:
    """`(name, "dtype shape", end offset)` of every entry, refusing any form but the canonical one."""
    body = found.rstrip(b" ")
    if not (body.startswith(b"{") and body.endswith(b"}")) or len(found) - len(body) > 7:
        raise BadTensorHeader(
            "tensor header", expected="a compact JSON object padded by up to 7 spaces", got="other bytes"
        )
    position, offset, previous = 1, 0, (-1, b"")
    while position < len(body) - 1:
        separator = 0 if position == 1 else 1
        entry = ENTRY.match(body, position + separator)
        if entry is None or body[position : position + separator] != b","[:separator]:
            expected = 'an entry "name":{"dtype":..,"shape":[..],"data_offsets":[..]} in compact form'
            raise BadTensorHeader(f"tensor header, offset {position}", expected=expected, got="other bytes")
        name, stored = entry.group(1), Stored(entry.group(2).decode())
        dims = [int(dim) for dim in entry.group(3).split(b",") if dim]
        place = f"tensor {shown(name.decode('utf-8', 'replace'))}"
        begin, end = int(entry.group(4)), int(entry.group(5))
        if (begin, end) != (offset, offset + prod(dims) * stored.item_bytes):
            expected = f"data_offsets [{offset},{offset + prod(dims) * stored.item_bytes}]"
            raise BadTensorHeader(place, expected=expected, got=f"[{begin},{end}]")
        key = (list(Stored).index(stored), name)
        if key <= previous:
            raise BadTensorHeader(place, expected="every tensor once, by type, then name", got="another order")
        offset, previous, position = end, key, entry.end()
        yield name.decode("utf-8", "replace"), f"{stored} {dims}", offset


def compress(raw: bytes) -> bytes:
    """The smallest of zlib's strategies at level 9; a reader needs no hint which one won."""
    return min((_deflate(raw, strategy) for strategy in STRATEGIES), key=len)


def _deflate(raw: bytes, strategy: int) -> bytes:
    stream = zlib.compressobj(level=9, wbits=15, memLevel=9, strategy=strategy)
    return stream.compress(raw) + stream.flush()


def inflate(stream: memoryview, expected_bytes: int) -> NDArray[np.uint8]:
    """Inflate into exactly `expected_bytes` bytes, in steps, so that a bomb is refused at the first byte too many.

    Raises:
        InflateError: not one complete zlib stream that ends with the payload.
        InflatedSizeMismatch: more or fewer bytes than expected.
    """
    result, filled = np.empty(expected_bytes, np.uint8), 0  # pages are taken only as they are filled
    decoder = zlib.decompressobj(wbits=15)
    for start in range(0, len(stream), INPUT_STEP_BYTES):
        chunk: bytes | memoryview = stream[start : start + INPUT_STEP_BYTES]
        while chunk and not decoder.eof:
            try:
                piece = decoder.decompress(chunk, limits.INFLATE_STEP_BYTES)
            except zlib.error as error:
                raise InflateError("payload", expected="a zlib stream without dictionary", got=str(error)) from None
            if filled + len(piece) > expected_bytes:
                got = f"more than {expected_bytes} bytes"
                raise InflatedSizeMismatch("payload", expected=f"{expected_bytes} bytes inflated", got=got)
            result[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
            chunk = decoder.unconsumed_tail
        if decoder.eof:
            consumed = min(start + INPUT_STEP_BYTES, len(stream)) - len(decoder.unused_data)
            _check_end(consumed, len(stream))
            break
    if not decoder.eof:
        raise InflateError(
            "payload", expected="a complete zlib stream", got=f"its end missing after {len(stream)} bytes"
        )
    if filled != expected_bytes:
        raise InflatedSizeMismatch("payload", expected=f"{expected_bytes} bytes inflated", got=f"{filled} bytes")
    return result


def _check_end(consumed: int, payload_bytes: int) -> None:
    if consumed != payload_bytes:
        got = f"{payload_bytes - consumed} bytes after it"
        raise InflateError("payload", expected="a zlib stream that ends with the payload", got=got)
