"""How `inspect` and `diff` look in a terminal (rich).

Names in an artifact are a stranger's: they are printed as plain text, never as markup.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from rich import box
from rich.bar import Bar
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from artifact.format import limits
from artifact.format.architecture import Role
from artifact.format.manifest import Group
from artifact.inspection import Difference, Inspection, TensorRow

BAR_CELLS: Final = 26
MAX_DIFF_ROWS: Final = 40
SHOWN_DIGEST: Final = 16
SHOWN_VALUE: Final = 60


def inspection(found: Inspection, *, file_name: str, all_tensors: bool) -> RenderableType:
    """The whole `inspect` page; `all_tensors` lists every tensor instead of one line for all layers."""
    rows = [[row] for row in found.tensors] if all_tensors else _merged(found.tensors)
    return Stack(
        _heading(found, file_name),
        _section("manifest", _facts(found)),
        _section("linears", _linears(found.manifest["linears"])),
        _section("tensors" if all_tensors else "tensors, all layers together (--tensors lists each)", _tensors(rows)),
        _section("where the bytes went", _groups(found)),
        _margin(found),
    )


def _section(title: str, body: RenderableType) -> RenderableType:
    return Stack(Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, 2)))


def _plain_table(*columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _heading(found: Inspection, file_name: str) -> Text:
    text = Text(file_name, style="bold")
    text.append(f"  {found.file_bytes:,} bytes", style="cyan")
    text.append(f"\nsha256 {found.sha256}", style="dim not bold")
    return text


def _facts(found: Inspection) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _fact_lines(found):
        table.add_row(label, Text(value))
    return table


def _fact_lines(found: Inspection) -> Iterator[tuple[str, str]]:
    m, model = found.manifest, found.manifest["model"]
    yield "name", _joined(m["name"], m.get("author") and f"by {m['author']}", m.get("license"))
    tied = "tied embeddings" if model["tie_embeddings"] else "untied head"
    yield (
        "network",
        _joined(
            f"{model['num_layers']} layers x {model['model_dim']}",
            f"{model['num_heads']} heads ({model['num_kv_heads']} kv)",
            f"mlp {model['mlp']} {model['mlp_hidden_dim']}",
            f"vocab {model['vocab_size']:,}",
            tied,
        ),
    )
    yield (
        "",
        _joined(
            f"rope {model['rope_dims']} dims, base {model['rope_base']:g}",
            f"softcap {model['logit_softcap']:g}",
            "qk norm" if model["qk_norm"] else "no qk norm",
            f"residual {model['residual']}" + (" with mix" if model["residual_mix"] else ""),
            f"trained on windows of {model['seq_len']:,}",
        ),
    )
    yield "parameters", f"{found.num_learned:,} learned, {found.num_frozen:,} frozen (0 bytes)"
    backbone, tokenizer = m["backbone"], m["tokenizer"]
    digest = backbone["codes_sha256"][:SHOWN_DIGEST]
    yield "backbone", _joined(backbone["algorithm"], f"seed {backbone['seed']}", f"codes {digest}...")
    pieces = tokenizer["pieces_sha256"][:SHOWN_DIGEST]
    yield "tokenizer", _joined(tokenizer["name"], f"{tokenizer['vocab_size']:,} pieces", f"{pieces}...")
    yield "eval", f"{m['eval']['mode']} windows of {m['eval']['seq_len']:,}, stride {m['eval']['stride']:,}"
    yield from _claimed_lines(m)


def _claimed_lines(m: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the submitter says; nothing here was measured."""
    claims, training = m.get("claims"), m.get("training")
    if claims:
        bpb, loss = f"val_bpb {claims['val_bpb']:.6f}", f"val_loss {claims['val_loss']:.6f} nats/token"
        yield "claimed", _joined(bpb, loss, claims["dtype"], f"set {claims['valset_sha256'][:SHOWN_DIGEST]}...")
    if training:
        yield (
            "claimed",
            _joined(
                f"preset {training['preset']}",
                f"{training['steps']:,} steps, {training['tokens']:,} tokens",
                f"{training['train_seconds']:,.1f} s on {training['world_size']} x {training['device']}",
            ),
        )


def _joined(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)


def _linears(linears: dict[str, Any]) -> Table:
    table = _plain_table("role", "layers", "base", "distribution", "gain", "adapter")
    for role in Role:
        if role in linears["roles"]:
            table.add_row(role, "all", *_spec_cells(linears["roles"][role]))
    for override in linears["overrides"]:
        layers = _ranges(override["layers"])
        table.add_row(", ".join(override["roles"]), f"{layers}, instead", *_spec_cells(override["linear"]))
    return table


def _spec_cells(spec: dict[str, Any]) -> tuple[str, str, str, str]:
    distribution = f"{spec['distribution']} x 2^-{spec['exponent']}" if "distribution" in spec else ""
    adapter = spec["adapter"]
    if "lora_rank" in spec:
        adapter += f" rank {spec['lora_rank']}"
    if "lora_scaling" in spec:
        adapter += f", scaling {spec['lora_scaling']:g}"
    return spec["base"], distribution, spec["gain"], adapter


def _ranges(layers: list[int]) -> str:
    runs = groupby(enumerate(layers), key=lambda pair: pair[1] - pair[0])
    spans = [[layer for _, layer in run] for _, run in runs]
    return ", ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)


def _merged(rows: Iterable[TensorRow]) -> Iterator[list[TensorRow]]:
    """Tensors that differ only in the layer's number, and their scales, together, in the order of the groups."""
    merged: dict[tuple[int, str], list[TensorRow]] = {}
    order = [group.value for group in Group]
    for row in rows:
        key = order.index(row.group), _any_layer(row.name.removesuffix(".scale"))
        merged.setdefault(key, []).append(row)
    yield from (merged[key] for key in sorted(merged))


def _any_layer(name: str) -> str:
    return re.sub(r"\A(layers|skips)\.\d+", r"\1.*", name)


def _tensors(lines: Iterable[list[TensorRow]]) -> Table:
    table = _plain_table("tensor", "n", "group", "type", "shape", "bytes", "packed", right=("n", "bytes", "packed"))
    for rows in lines:
        scales = [row for row in rows if row.name.endswith(".scale")]
        values = [row for row in rows if row not in scales] or scales
        first, shape = values[0], _shapes(values)
        name = first.name if len(values) == 1 else _any_layer(first.name)
        kind = first.dtype if values is scales or not scales else f"{first.dtype}+{scales[0].dtype}"
        sizes = (sum(row.inflated_bytes for row in rows), sum(row.compressed_bytes for row in rows))
        table.add_row(name, str(len(values)), first.group, kind, shape, *(f"{size:,}" for size in sizes))
    return table


def _shapes(rows: Iterable[TensorRow]) -> str:
    """The rows' one shape; overrides can give a role another rank in some layers."""
    found = list(dict.fromkeys(" x ".join(map(str, row.shape)) for row in rows))
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"


def _groups(found: Inspection) -> Table:
    table = _plain_table("group", "bytes", "", "packed", " ", "ratio", right=("bytes", "packed", "ratio"))
    largest = max(inflated for inflated, _ in found.groups.values())
    for name, (inflated, packed) in found.groups.items():
        bars = (Bar(largest, 0, size, width=BAR_CELLS, color=c) for size, c in ((inflated, "blue"), (packed, "cyan")))
        before, after = bars
        table.add_row(name, f"{inflated:,}", before, f"{packed:,}", after, f"{packed / inflated:.2f}")
    table.add_row("head, manifest", f"{found.overhead_bytes:,}", "", f"{found.overhead_bytes:,}", "", "1.00")
    return table


def _margin(found: Inspection) -> Text:
    used = found.file_bytes / limits.TRACK_FILE_BYTES
    left = f"{found.margin_bytes:,} bytes left of" if found.margin_bytes >= 0 else f"{-found.margin_bytes:,} bytes over"
    text = Text("\n")
    text.append(f"{left} {limits.TRACK_FILE_BYTES:,}", style="green" if found.margin_bytes >= 0 else "bold red")
    text.append(f" ({used:.1%} used; the file alone, a track counts code too)", style="dim")
    return text


def difference(found: Difference) -> RenderableType:
    """The whole `diff` page."""
    if found.same:
        same = "the same file" if found.same_file else "equal manifest and tensors, compressed differently"
        return Text(same, style="green")
    fields = [(path, _short(one), _short(two)) for path, (one, two) in found.fields.items()]
    tensors = [(name, *(" x ".join(map(str, shape)) for shape in shapes)) for name, shapes in found.reshaped.items()]
    tensors += [(name, "present", "absent") for name in found.only_in_first]
    tensors += [(name, "absent", "present") for name in found.only_in_second]
    values = [
        (change.name, f"{change.num_changed:,} of {change.num_elements:,}", f"{change.largest:.3g}")
        for change in found.tensors
    ]
    return Stack(
        _capped(("manifest", "first", "second"), fields),
        _capped(("tensor", "first", "second"), tensors),
        _capped(("parameter", "values that differ", "largest difference"), values),
    )


def _capped(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> RenderableType:
    """A table of at most `MAX_DIFF_ROWS` rows that says how many it leaves out; nothing for no rows."""
    if not rows:
        return Stack()
    table = _plain_table(*columns)
    for row in rows[:MAX_DIFF_ROWS]:
        table.add_row(*(Text(cell) for cell in row))
    if len(rows) > MAX_DIFF_ROWS:
        table.add_row(Text(f"... and {len(rows) - MAX_DIFF_ROWS} more (--json lists all)", style="dim"))
    return Padding(table, (0, 0, 1, 0))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[: SHOWN_VALUE - 3]}..."
