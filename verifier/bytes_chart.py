"""Where an artifact's bytes went, as inline SVG and as rows of a table: packed groups, head and manifest, counted code.

Two bars: the parts against each other, and all of them against the track's limit. Colours are classes `part-N`, given
by report.css. Knows no file; escapes what it is given.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Final

from artifact.format.accounting import MAX_STEP_BYTES
from verifier.report import SizeRecord, TensorSize

WIDTH: Final = 1000
PACKED: Final = (
    "One zlib stream holds all tensors. Packed are the bytes by which it moved on while a tensor came out of it: "
    f"measured, within {MAX_STEP_BYTES} bytes at either end; with the header they sum to the payload."
)
LAYER: Final = re.compile(r"\A(layers|skips)\.\d+")
SVG: Final = f'<svg class="bar" viewBox="0 0 {WIDTH} 10" preserveAspectRatio="none" role="img"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of what the track counts; `inflated_bytes` is absent where nothing was compressed."""

    name: str
    inflated_bytes: int | None
    packed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The tensors of one role in every layer."""

    name: str
    num_tensors: int
    inflated_bytes: int
    packed_bytes: int


def parts(size: SizeRecord) -> tuple[Part, ...]:
    """All that counts against the limit; law: for a file that could be read, the packed bytes sum to the total."""
    groups = [
        Part(name=group.group, inflated_bytes=group.inflated_bytes, packed_bytes=group.compressed_bytes)
        for group in size.groups
    ]
    if size.overhead_bytes is not None:
        groups.append(Part(name="head, manifest", inflated_bytes=None, packed_bytes=size.overhead_bytes))
    return (*groups, Part(name="counted code", inflated_bytes=None, packed_bytes=size.code_bytes))


def chart(size: SizeRecord) -> str:
    """Both bars, each with its words."""
    left = f"{size.margin_bytes:,} bytes left" if size.margin_bytes >= 0 else f"{-size.margin_bytes:,} bytes over"
    caption = f"{size.total_bytes:,} of {size.limit_bytes:,} bytes, {left}"
    return (
        f'<figure class="bytes">{_composition(parts(size))}{_against_limit(size)}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def rows(size: SizeRecord) -> Iterator[str]:
    """A row a part: colour, name, bytes before and after compression, share of all."""
    total = sum(part.packed_bytes for part in parts(size)) or 1
    for number, part in enumerate(parts(size)):
        inflated = "" if part.inflated_bytes is None else f"{part.inflated_bytes:,}"
        swatch = f'<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">{_rect(number, 0, 1, height=1)}</svg>'
        cells = (
            ("bytes", inflated),
            ("packed", f"{part.packed_bytes:,}"),
            ("share", f"{part.packed_bytes / total:.1%}"),
        )
        numbers = "".join(
            f'<td class="number" data-label="{label}">{text}</td>' if text else "<td></td>" for label, text in cells
        )
        yield f'<tr><th scope="row">{swatch}{escape(part.name)}</th>{numbers}</tr>'


def roles(size: SizeRecord) -> tuple[Role, ...]:
    """The tensors by role, the largest first: all layers together, and a tensor's scales with its codes."""
    merged: dict[str, list[TensorSize]] = {}
    for tensor in size.tensors:
        merged.setdefault(LAYER.sub(r"\1.*", tensor.name.removesuffix(".scale")), []).append(tensor)
    found = (
        Role(
            name=name,
            num_tensors=len(tensors),
            inflated_bytes=sum(tensor.inflated_bytes for tensor in tensors),
            packed_bytes=sum(tensor.compressed_bytes for tensor in tensors),
        )
        for name, tensors in merged.items()
    )
    return tuple(sorted(found, key=lambda role: -role.packed_bytes))


def role_rows(size: SizeRecord) -> Iterator[str]:
    """A row a role: how many tensors, bytes before and after compression, share of all that counts."""
    total = size.total_bytes or 1
    for role in roles(size):
        numbers = (
            ("tensors", f"{role.num_tensors:,}"),
            ("bytes", f"{role.inflated_bytes:,}"),
            ("packed", f"{role.packed_bytes:,}"),
            ("share", f"{role.packed_bytes / total:.1%}"),
        )
        cells = "".join(f'<td class="number" data-label="{label}">{text}</td>' for label, text in numbers)
        yield f'<tr><th scope="row">{escape(role.name)}</th>{cells}</tr>'


def _composition(found: tuple[Part, ...]) -> str:
    total = sum(part.packed_bytes for part in found) or 1
    widths = [WIDTH * part.packed_bytes / total for part in found]
    starts = accumulate(widths, initial=0.0)
    rects = (
        _rect(number, start, width, height=10, title=f"{part.name}: {part.packed_bytes:,} bytes")
        for number, (part, start, width) in enumerate(zip(found, starts, widths, strict=False))
    )
    return f'{SVG} aria-label="the parts against each other">{"".join(rects)}</svg>'


def _against_limit(size: SizeRecord) -> str:
    scale = WIDTH / (max(size.total_bytes, size.limit_bytes) or 1)
    used = f'<rect class="{"over" if size.margin_bytes < 0 else "used"}" width="{scale * size.total_bytes:.2f}"'
    limit = f'<rect class="limit" x="{max(0.0, scale * size.limit_bytes - 4):.2f}" width="4" height="10"></rect>'
    return f'{SVG} aria-label="all of them against the limit">{used} height="10"></rect>{limit}</svg>'


def _rect(number: int, start: float, width: float, *, height: int, title: str = "") -> str:
    label = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect class="part-{number}" x="{start:.2f}" width="{width:.2f}" height="{height}">{label}</rect>'
