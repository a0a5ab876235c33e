"""A mutation run: small mistakes, made one at a time in distil's code, and the tests that see them.

    python tests/mutation.py --minutes 20 --seed 0 --report mutation.md

A mutant is a copy of the code with one operator, constant or keyword replaced (cosmic-ray's own
operators).  It is killed where one of the tests that execute its line fails, hangs or crashes.
There are many thousands, so a seeded sample is tried, the modules taking turns, until the time is
up; a run takes a few minutes more than it is given, to learn which test executes which lines.

Nothing is written into this repository: the code that is changed is a temporary copy.  Needs
`fork`, cosmic-ray and coverage; `tox -e mutation` has them.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import importlib
import itertools
import json
import os
import py_compile
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
ROOMS = ("common", "checkpoints", "training")
# Imported once, before a process is forked for each mutant.
HEAVY = ("h5py", "huggingface_hub", "hypothesis", "ml_dtypes", "numpy", "safetensors.numpy",
         "tokenizers", "yaml", "sklearn.metrics", "torch")  # fmt: skip
# Of the tests of one mutant: how long they take together when nothing is wrong, and the limit.
SECONDS, LONGEST = 10.0, 60
MOST_BYTES = 8 * 2**30
NOT_STARTED = 99  # the exit status where pytest itself could not be run
LOG = "mutation.log"  # in the copy: what the last process said
LEFT_OUT = ("core/NoOp", "core/RemoveDecorator")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One replacement: the `occurrence`-th place in `path` where `operator` applies."""

    path: Path
    operator: str
    occurrence: int
    line: int


@dataclass(kw_only=True)
class Knowledge:
    """What a run of the tests as they are has shown.

    Attributes:
        seconds: What each test takes.
        tests: The tests that execute a line, by file (relative to src/distil) and line.
        executed: Lines executed by any test, or when a file is imported.
    """

    seconds: dict[str, float]
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    executed: set[tuple[str, int]] = field(default_factory=set)

    def of(self, path: str, line: int) -> list[str]:
        """The fastest tests that execute a line; of the whole file if it runs at import only."""
        if (path, line) not in self.executed:
            return []
        found = self.tests.get((path, line)) or set().union(
            *(tests for (file, _), tests in self.tests.items() if file == path)
        )
        ordered = sorted(found, key=lambda test: (self.seconds[test], test))
        total = itertools.accumulate(self.seconds[test] for test in ordered)
        chosen = [test for test, so_far in zip(ordered, total, strict=True) if so_far < SECONDS]
        return chosen or ordered[:1]


class Watch:
    """A pytest plugin: coverage by test, and the seconds of each."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.measured.switch_context(item.nodeid)
        result = yield
        self.measured.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)


def forked(work: Callable[[], int], limit: int) -> int:
    """The exit status of `work` in a process of its own, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = NOT_STARTED
        try:
            signal.alarm(limit)  # whose default is to end the process
            limit_memory()
            said = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))


def run_tests(arguments: list[str], *plugins: object) -> int:
    # hypothesis, a plugin itself, is imported already.
    plain = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*plain, *arguments], plugins=[*plugins]))


def learn(copy: Path, options: list[str], places: list[str]) -> Knowledge:
    """Run the tests as they are; those that fail so are left out."""
    data, seconds = copy / "coverage.data", copy / "seconds.json"
    source = copy / "src" / "distil"

    def work() -> int:
        measured = coverage.Coverage(str(data), source=[str(source)], config_file=False)
        watch = Watch(measured)
        measured.start()
        status = run_tests([*options, *places], watch)
        measured.stop()
        measured.save()
        passed = {test: x for test, x in watch.seconds.items() if test not in watch.failed}
        seconds.write_text(json.dumps(passed))
        return status

    status = forked(work, 3600)
    if status not in {0, 1}:
        said = Path(LOG).read_text(errors="replace")[-3000:]
        raise SystemExit(f"the tests could not be run as they are: status {status}\n{said}")
    known = Knowledge(seconds=json.loads(seconds.read_text()))
    found = coverage.CoverageData(str(data))
    found.read()
    for file in found.measured_files():
        path = Path(file).relative_to(source).as_posix()
        for line, contexts in found.contexts_by_lineno(file).items():
            known.executed.add((path, line))
            known.tests[path, line] |= known.seconds.keys() & set(contexts)
    return known


def mutants_of(path: Path, source: Path, seed: int) -> list[Mutant]:
    """One replacement at every place of a file where there can be one, in random order."""
    code = (source / path).read_text("utf-8")
    idle = {place for node in ast.walk(ast.parse(code)) for place in without_effect(node)}
    nodes = list(ast_nodes(get_ast(code)))
    by_place: dict[tuple[int, int], list[Mutant]] = defaultdict(list)
    for name in operator_names():
        if name in LEFT_OUT or get_operator(name).arguments():
            continue
        places = (
            place for node in nodes for place in get_operator(name)().mutation_positions(node)
        )
        for occurrence, (start, _) in enumerate(places):
            mutant = Mutant(path=path, operator=name, occurrence=occurrence, line=start[0])
            by_place[start].append(mutant)
    choice = random.Random(f"{seed} {path}")
    found = [choice.choice(by_place[place]) for place in sorted(by_place.keys() - idle)]
    choice.shuffle(found)
    return found


def without_effect(node: ast.AST) -> Iterator[tuple[int, int]]:
    """Places (line, column) in annotations and in decorators of classes."""
    roots = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    roots += node.decorator_list if isinstance(node, ast.ClassDef) else []
    for root in filter(None, roots):
        for line in range(root.lineno, root.end_lineno + 1):
            first = root.col_offset if line == root.lineno else 0
            last = root.end_col_offset if line == root.end_lineno else 200
            yield from ((line, column) for column in range(first, last))


def attempt(mutant: Mutant, copy: Path, known: Knowledge, options: list[str]) -> tuple[str, str]:
    """What became of a mutant, and its difference.

    It was killed, survived, is not executed by any test, or is not valid Python.
    """
    path = copy / "src" / "distil" / mutant.path
    code = path.read_text("utf-8")
    changed = mutate_code(code, get_operator(mutant.operator)(), mutant.occurrence)
    pairs = zip(code.splitlines(), changed.splitlines(), strict=False)
    before, after = next((a.strip(), b.strip()) for a, b in pairs if a != b)
    try:
        ast.parse(changed)
    except SyntaxError:  # a bare `*` among parameters, say
        return "not valid", ""
    tests = known.of(mutant.path.as_posix(), mutant.line)
    if not tests:
        return "not executed", f"`{before}` -> `{after}`"
    path.write_text(changed, "utf-8")
    try:
        status = forked(lambda: run_tests(["-x", *options, *tests]), LONGEST)
    finally:
        path.write_text(code, "utf-8")
    if status in {pytest.ExitCode.NO_TESTS_COLLECTED, NOT_STARTED}:
        raise SystemExit(f"no test could be run for {mutant}")
    return ("survived" if status == 0 else "killed"), f"`{before}` -> `{after}`"


def in_turn(mutants: dict[Path, list[Mutant]]) -> Iterator[Mutant]:
    """The mutants, one of each file in turn."""
    rounds = itertools.zip_longest(*(mutants[path] for path in sorted(mutants)))
    return (mutant for each in rounds for mutant in each if mutant is not None)


def report(tried: dict[Mutant, tuple[str, str]], total: int) -> str:
    """The share killed of each module, and every mutant that lived, as Markdown."""
    counts: dict[Path, list[str]] = defaultdict(list)
    for mutant, (outcome, _) in tried.items():
        counts[mutant.path].append(outcome)
    killed = sum(found.count("killed") for found in counts.values())
    run = sum(len(found) - found.count("not executed") for found in counts.values())
    lines = [
        f"{len(tried)} mutants of {total} places: {killed} killed, {run - killed} survived, and "
        f"{len(tried) - run} stand in lines that these tests do not execute.",
        f"Killed of those executed: {killed / max(1, run):.0%}.",
        "",
        "| module | mutants | not executed | survived | killed |",
        "|---|---:|---:|---:|---:|",
    ]
    for path, found in sorted(counts.items()):
        numbers = (found.count(outcome) for outcome in ("not executed", "survived", "killed"))
        lines.append(f"| {path} | {len(found)} | " + " | ".join(map(str, numbers)) + " |")
    lines += ["", "Not killed:", ""]
    lines += [f"- {mutant.path}:{mutant.line} {outcome}: {difference}"
              for mutant, (outcome, difference) in sorted(tried.items(), key=lambda x: str(x[0]))
              if outcome != "killed"]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20, help="for mutants; default 20")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--rooms", nargs="+", default=list(ROOMS), help="folders or files of distil"
    )
    parser.add_argument(
        "--tests", nargs="+", default=["tests/unit"], help="where to look for tests"
    )
    parser.add_argument("--frameworks", default="pt", help="as pytest's; default pt")
    parser.add_argument("--report", type=Path, default=Path("mutation.md"))
    options = parser.parse_args()

    for name in HEAVY if options.frameworks != "none" else HEAVY[:-1]:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder).resolve()
        unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT, copy, ignore=unwanted, dirs_exist_ok=True)
        source = copy / "src" / "distil"
        # Compiled by content: a file changed twice within a second must not be taken for old.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(source, quiet=2, invalidation_mode=mode)
        report_path = options.report.resolve()
        os.chdir(copy)
        sys.path.insert(0, str(source.parent))
        os.environ |= {"PYTHONPATH": str(source.parent), "OMP_NUM_THREADS": "1"}
        arguments = ["--frameworks", options.frameworks]
        known = learn(copy, arguments, options.tests)
        print(f"{len(known.seconds)} tests, {sum(known.seconds.values()):.0f} s", flush=True)
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        places = [source / room for room in options.rooms]
        files = {
            file
            for place in places
            for file in (place.rglob("*.py") if place.is_dir() else [place])
        }
        paths = sorted(file.relative_to(source) for file in files)
        mutants = {path: mutants_of(path, source, options.seed) for path in paths}
        total = sum(map(len, mutants.values()))
        tried: dict[Mutant, tuple[str, str]] = {}
        end = time.monotonic() + 60 * options.minutes
        for mutant in in_turn(mutants):
            if time.monotonic() > end:
                break
            outcome, difference = attempt(mutant, copy, known, arguments)
            if outcome == "not valid":
                continue
            tried[mutant] = outcome, difference
            if outcome != "killed":
                print(f"{mutant.path}:{mutant.line} {outcome}: {difference}", flush=True)
        text = report(tried, total)
        report_path.write_text(text, "utf-8")
        print(text)


if __name__ == "__main__":
    main()
