"""PyTorch and TensorFlow trained by one recipe, with both curves in one plot.

    python benchmarks/training_curves.py --model CHECKPOINT --teacher MASKED_LM --data FOLDER
        --output FOLDER [--plots docs/images]

A few steps of fine-tuning (configs/finetune/sst2.yaml) and of distillation
(configs/distill/mlm.yaml) in both frameworks: without dropout, where the curves must coincide, and
fine-tuning also with the recipe's dropout, which each framework draws in its own way.  Each
training is `distil train` or `distil distill` in a separate process; finished ones are not
repeated.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from distil.training.log import read_log
from distil.training.report import draw_curves

CONFIGS = Path(__file__).parents[1] / "configs"
FRAMEWORKS = {"pt": "PyTorch", "tf": "TensorFlow"}
NO_DROPOUT = "model.config={dropout: 0.0, attention_dropout: 0.0, seq_classif_dropout: 0.0}"
FINE_TUNING = (
    "data.max_train_rows=1600", "schedule.epochs=2", "optimizer.learning_rate=1e-4",
    "evaluation.every=25", "checkpoints.every=50", "log.every=2",
)  # fmt: skip
DISTILLATION = (
    "teacher.layers=[0,2,4]", "distillation.restrict_to_mask=true",
    "data.train=imdb_unsup/text.txt.gz", "data.unit=line", "data.max_train_rows=300",
    "data.max_dev_rows=50", "batch.tokens=1024", "batch.accumulation=1", "schedule.steps=60",
    "evaluation.every=20", "checkpoints.every=60", "log.every=2",
)  # fmt: skip


def logs_of(name, command, recipe, settings, output):
    """Train in both frameworks; return their logs by name."""
    logs = {}
    for framework, title in FRAMEWORKS.items():
        folder = output / f"{name}-{framework}"
        subprocess.run(
            [sys.executable, "-m", "distil", command, str(CONFIGS / recipe), *settings,
             f"output={folder}", "--framework", framework],
            check=True,
        )  # fmt: skip
        logs[title] = [
            {key: value for key, value in record.items() if key != "learning_rate"}
            for record in read_log(folder)
        ]
    return logs


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="checkpoint to fine-tune")
    parser.add_argument("--teacher", required=True, help="masked LM that teaches")
    parser.add_argument("--data", required=True, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="folder of the plots (default: the output folder)",
    )
    arguments = parser.parse_args()
    plots = arguments.plots or arguments.output
    data = f"data.folder={arguments.data}"
    tuning = (*FINE_TUNING, data, f"model.name={arguments.model}")
    recipe = "finetune/sst2.yaml"
    logs = logs_of("sst2", "train", recipe, (*tuning, NO_DROPOUT), arguments.output)
    draw_curves(logs, plots / "training-curves.png", metric="accuracy")
    logs = logs_of("dropout", "train", recipe, tuning, arguments.output)
    draw_curves(logs, plots / "dropout-curves.png", metric="accuracy")
    settings = (*DISTILLATION, data, f"teacher.name={arguments.teacher}", NO_DROPOUT)
    logs = logs_of("mlm", "distill", "distill/mlm.yaml", settings, arguments.output)
    draw_curves(logs, plots / "distillation-curves.png", metric="perplexity")


if __name__ == "__main__":
    main()
