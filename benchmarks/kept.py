"""A plot of what students keep of their teachers, against size and speed.

    python benchmarks/kept.py --output docs/images/kept.png

The points are figures of docs/results.md, which has their commands, and of the paper (Sanh et al.
2019, tables 1 to 3).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Point:
    """A student beside its teacher.

    Attributes:
        name: What it is.
        kept: Share of the teacher's score, in percent.
        size: Share of the teacher's parameters, in percent.
        speed: How many times as fast; texts one by one on a CPU.
        paper: Whether the figures are the paper's.
    """

    name: str
    kept: float
    size: float
    speed: float
    paper: bool = False


# Of the paper's students: 66 of 110 million parameters, and 410 s in place of 668 s.
PAPER = {"size": 60.0, "speed": 668 / 410, "paper": True}
# Three of six layers, with all words (17.2 of 22.6 million parameters) or 10,000 (9.5 of 14.8).
LAYERS = {"size": 76.4, "speed": 1.91}
SMALL = {"size": 64.1, "speed": 1.91}

POINTS = (
    Point("paper: GLUE, mean of nine", 96.9, **PAPER),
    Point("paper: IMDb", 99.3, **PAPER),
    Point("paper: SQuAD, F1", 96.9, **PAPER),
    Point("paper: SQuAD, taught twice", 98.2, **PAPER),
    Point("sentence encoder: STS-B, nothing fine-tuned", 99.2, **LAYERS),
    Point("sentence encoder: retrieval", 98.1, **LAYERS),
    Point("taught in the task: sst2-small", 98.1, **SMALL),
    Point("taught in the task: STS-B", 97.6, **LAYERS),
    Point("taught in the task: WikiANN", 95.9, **LAYERS),
    Point("general, fine-tuned on few rows: mean of three", 89.3, **LAYERS),
)
MARKERS = "osD^vP*X<>hd"


def draw(points, path):
    """Two panels: what is kept against the share of parameters, and against speed."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for number, point in enumerate(points):
        style = {
            "marker": MARKERS[number % len(MARKERS)], "linestyle": "", "alpha": 0.85,
            "color": "tab:orange" if point.paper else "tab:blue", "label": point.name,
        }  # fmt: skip
        left.plot(point.size, point.kept, **style)
        right.plot(point.speed, point.kept, **style)
    left.plot(100, 100, "k*", markersize=10, label="the teacher")
    right.plot(1, 100, "k*", markersize=10)
    left.set_xlabel("parameters, % of the teacher's")
    left.set_ylabel("kept, % of the teacher's score")
    right.set_xlabel("times as fast, texts one by one on a CPU")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize="small", frameon=False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a PNG file")
    draw(POINTS, parser.parse_args().output)


if __name__ == "__main__":
    main()
