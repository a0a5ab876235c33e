"""What README.md and docs/ show: Python is run, and commands are run or parsed."""

import argparse
import gzip
import importlib.util
import json
import re
import shlex
import shutil
import sys
import tomllib
from configparser import ConfigParser
from itertools import islice
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import yaml

from distil import benchmarking
from distil.benchmarking.entrants import ways
from distil.cli import main, make_parser
from distil.cli._training import recipe_of_command
from support.models import build, config_for

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks/README.md", *sorted((ROOT / "src/distil/bundled").glob("*/README.md")),
]  # fmt: skip
# Pages whose commands are run; those of the others need data or GPUs, and are parsed.
RUN = ("README.md", "docs/start.md", "docs/loading.md", "docs/predicting.md", "docs/parity.md")

FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["one", "text", "another", "a", "fine", "film", ".", "##s"]


def blocks(kind):
    """The blocks of a kind, each with its page and the number of its line."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            if found[1] == kind:
                line = text[: found.start()].count("\n") + 1
                yield page.relative_to(ROOT).as_posix(), line, found[2]


def commands():
    """Every command line shown, as words."""
    for page, _, text in blocks("console"):
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                yield page, [word for word in words if not re.match(r"[A-Z_]+=", word)]


def run_commands():
    """Those that are run, each once."""
    return list(
        {" ".join(words): words for page, words in commands() if is_run(page, words)}.values()
    )


def is_run(page, words):
    return page in RUN and words[0] == "distil" and "&&" not in words


def marks(text):
    found = [getattr(pytest.mark, name) for name in ("pt", "tf") if f'framework="{name}"' in text]
    return found or [pytest.mark.pt, pytest.mark.tf]


def case(page, line, text):
    return pytest.param(text, marks=marks(text), id=f"{page}:{line}")


def write_checkpoint(folder, framework, task):
    config = config_for(task, num_labels=2, max_position_embeddings=128)
    build(framework, config, task, dtype="float32").save_pretrained(folder)
    words = [*SPECIAL, *WORDS]
    words += [f"[unused{number}]" for number in range(config.vocab_size - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def write_data(folder):
    """The recipes, a few rows for the one that is shown, and texts to predict."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    table = "sentence\tlabel\n" + "a fine film .\t1\nanother text\t0\n" * 3
    (folder / "my-data" / "sst2").mkdir(parents=True)
    (folder / "my-data/sst2/dev.tsv").write_text(table)
    (folder / "my-data/sst2/train.tsv.gz").write_bytes(gzip.compress(table.encode()))
    (folder / "my-texts.csv").write_text("review\na fine film\nanother text\n")
    (folder / "my-sentences.txt").write_text("a fine film\nanother text\n")


# What examples use of packages that are not installed for the tests: every name and call is there.
ELSEWHERE = ("optuna", "mlflow", "wandb")


def stand_in(name):
    """A module that takes any call, and of Optuna runs the objective once."""
    module = MagicMock(name=name)
    if name == "optuna":
        trial = MagicMock(number=0)
        trial.suggest_float.return_value = 1e-4
        trial.should_prune.return_value = False
        study = module.create_study.return_value
        study.optimize.side_effect = lambda objective, n_trials: objective(trial)
        module.calls = trial.report
    module.calls = {
        "optuna": getattr(module, "calls", None), "mlflow": module.log_metrics,
        "wandb": module.init.return_value.__enter__.return_value.log,
    }[name]  # fmt: skip
    return module


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_listeners_of_other_tools(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_recipe_file(tmp_path)
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    code = text.split(f"<!-- example: {name} -->")[1].split("```python\n")[1].split("```")[0]
    module = stand_in(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, "an example", "exec"), {})
    assert module.calls.call_count == (3 if name == "wandb" else 1)


def make_recipe_file(folder):
    from support.training import make_recipe

    recipe = make_recipe(folder, "sequence-classification", "pt", **{"schedule.steps": 2})
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.to_table()))


def is_complete(text):
    """Whether an example runs with nothing but what is installed for the tests."""
    return not any(f"import {name}" in text for name in ELSEWHERE) and "distil.push(" not in text


@pytest.mark.parametrize(
    "text", [case(*block) for block in blocks("python") if is_complete(block[2])]
)
def test_python(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    framework = "tf" if 'framework="tf"' in text else "pt"
    tasks = {
        "MaskedLM": "masked-lm", "TextEmbedder": "base", "sentence-embeddings": "base",
        '"question-answering"': "question-answering",
    }  # fmt: skip
    task = next((tasks[word] for word in tasks if word in text), "sequence-classification")
    write_checkpoint(tmp_path / "my-checkpoint", framework, task)
    exec(compile(text, "an example", "exec"), {})


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("words", run_commands(), ids=" ".join)
def test_command(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # `bench` starts a process for each way; two are enough here.
    monkeypatch.setattr(benchmarking, "ways", lambda *given: islice(ways(*given), 2))
    # `serve` would go on until it is told to stop.
    monkeypatch.setattr("distil.serving.http.run", lambda app, **options: print(options))
    write_checkpoint(tmp_path / "my-checkpoint", "pt", "sequence-classification")
    write_data(tmp_path)
    assert main(words[1:]) == 0
    assert capsys.readouterr().out or "--output" in words


@pytest.mark.pt
def test_output_of_the_bundled_model_is_as_shown(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command, shown = re.search(
        r"^\$ distil (predict \"A joy.*?)\n(.*?)```", readme, re.M | re.S
    ).groups()
    assert main([*shlex.split(command), "--framework", "pt"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
    assert printed == shown.strip().splitlines()


class Parsed(Exception):  # noqa: N818 - not an error
    """A script has read its command line."""


def check_distil(words):
    """A command of ours: its options exist, and a recipe takes the keys that are set."""
    arguments = make_parser().parse_args(words)
    if words[0] in ("train", "distill"):
        recipe = recipe_of_command(arguments)
        assert (recipe.teacher is not None) == (words[0] == "distill")


def check_script(words, monkeypatch):
    """A script of the repository: its parser takes the options."""
    script = ROOT / words[0]
    assert script.is_file()
    if script.parent.name != "benchmarks":
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, *_):
        parse(parser, words[1:])
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.syspath_prepend(script.parent)
    found = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    with pytest.raises(Parsed):
        module.main()


def check_pip(words):
    """What is installed exists: extras of this package, files of this repository."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in words[1:]:
        for names in re.findall(r"\[(.*)\]", word):
            assert set(names.split(",")) <= set(extras)
    if "-c" in words:
        assert (ROOT / words[words.index("-c") + 1]).is_file()


def check_tox(words):
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini")
    if "-e" in words:
        assert f"testenv:{words[words.index('-e') + 1]}" in tox.sections()


def check_npm(words):
    if words[0] == "install":  # of packages, into a folder of its own
        assert words[1] == "--prefix"
        return
    scripts = json.loads((ROOT / words[1] / "package.json").read_text())["scripts"]
    assert words[2:] == ["ci"] or (words[2] == "run" and words[3] in scripts)


def check_pytest(words):
    paths = [word for word in words if "/" in word]
    assert all((ROOT / path).exists() for path in paths), paths


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=f"{page}: {' '.join(words)}")
        for page, words in commands()
        if words and not is_run(page, words)
    ],
)
def test_command_can_be_parsed(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    program, *rest = words
    while "&&" in rest:  # the last one is what is shown; those before it prepare
        (check_distil if program == "distil" else check_pip)(rest[: rest.index("&&")])
        program, *rest = rest[rest.index("&&") + 1 :]
    match program:
        case "distil":
            check_distil(rest)
        case "torchrun":
            check_distil(rest[rest.index("distil") + 1 :])
        case "python" if rest[0] != "-m":
            check_script(rest, monkeypatch)
        case "pip":
            check_pip(rest)
        case "tox":
            check_tox(rest)
        case "pytest":
            check_pytest(rest)
        case "npm":
            check_npm(rest)
        case "python" | "export" | "." | "sphinx-build" | "curl" | "tensorboard":
            pass
        case _:
            pytest.fail(f"no check for {program}")


def test_there_is_something_to_run():
    assert len(list(blocks("python"))) >= 15
    assert len(run_commands()) >= 12
    assert len(list(commands())) >= 50
