"""The table of names in checkpoints.md, made from `distil.common.spec`.

    python docs/checkpoint_names.py      # writes it into checkpoints.md

A test holds the page against this, so that the two cannot drift apart.
"""

from collections.abc import Iterator
from pathlib import Path

from distil.common import spec

PAGE = Path(__file__).with_name("checkpoints.md")
START, END = "<!-- names: made by checkpoint_names.py -->", "<!-- end of names -->"

_TURNED = " (transposed)"


def table() -> str:
    """The table, as Markdown."""
    lines = [
        "| in PyTorch files | shape there | in TensorFlow files | in a BERT's PyTorch files |",
        "|---|---|---|---|",
    ]
    parts = {"every model": (*spec.EMBEDDINGS, *spec.LAYER)}
    parts |= {task: rows for task, rows in spec.HEADS.items() if rows}
    for part, rows in parts.items():
        lines.append(f"| **{part}** | | | |")
        lines.extend(line for row in rows for line in _lines(row))
    return "\n".join(lines)


def _lines(row: spec.Row) -> Iterator[str]:
    in_encoder = row in spec.EMBEDDINGS or row in spec.LAYER
    layer = "N" if "{}" in row.name else None
    module = row.name.replace("{}", "N")
    prefix = spec.ENCODER_PREFIX if in_encoder else ""
    for leaf, pt in spec.LEAVES["pt"][row.kind].items():
        tf = spec.LEAVES["tf"][row.kind][leaf]
        path = spec.tf_path(row.name, layer, tf.name)
        letters = row.shape.split()[: None if leaf == "weight" else 1]
        bert = f"`{row.bert.replace('{}', 'N')}.{pt.name}`" if row.bert else ""
        yield (
            f"| `{f'({prefix}.)' if prefix else ''}{module}.{pt.name}` | {', '.join(letters)} "
            f"| `{f'{prefix}/' if prefix else ''}{path}`{_TURNED if tf.transposed else ''} "
            f"| {bert} |"
        )


def replaced(page: str) -> str:
    """`page` with the table as it should be."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
