"""docs/config.md: every field of a training configuration, as the trainer's models know them."""

from pydantic import BaseModel

from tests.docs.model_tables import first_paragraph, sections, table
from trainer.config import Config
from trainer.presets import PRESETS
from trainer.toml import dumps

HEAD = """# Presets and configuration

Every field of a training run, from the code. A preset is a complete configuration; `--config FILE` (TOML) and
`--set path=value` replace fields; `seedgolf train --preset NAME --print-config` prints what a run would use. How to
choose stands under [training](training.md).

A field's path is its heading and its name: `optim.learned_lr`, `linears.attn.q.lora_rank`. In `--set`, `*` stands for
every key at its place. A dash says that there is no default: the preset has the value. Equal sections stand here once:
`linears.attn.k` has the fields of `linears.attn.q`.
"""


def page() -> str:
    """The whole page."""
    presets = [f"| `{name}` | {first_paragraph(make)} |" for name, make in PRESETS.items()]
    demo = dumps(PRESETS["demo"]().model_dump(mode="json", exclude_none=True))
    parts = [
        HEAD,
        "## Presets\n",
        "\n".join(["| preset | what it is |", "| --- | --- |", *presets]) + "\n",
        *(_section(path, model) for path, model in sections(Config)),
        f"## The preset demo, complete\n\n```toml\n{demo.strip()}\n```\n",
    ]
    return "\n".join(parts)


def _section(path: str, model: type[BaseModel]) -> str:
    title = f"`{path}`" if path else "Sections"
    return f"## {title}\n\n{first_paragraph(model)}\n\n{table(model, with_default=True)}\n"
