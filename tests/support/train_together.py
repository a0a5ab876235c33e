"""One of those who train together; run as a program with a framework and a file that says what.

Who it is, the environment says.  What each recipe came to is printed as a line of JSON; how
the command after them ended is the exit status.

A command that is interrupted comes first: the second worker gets SIGTERM after some step.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # no other network is needed, nor always there

from distil.cli import main as command_line
from distil.training import cache, distill, examples, loop, train
from distil.training.loop import Loop
from distil.training.session import open_workers


class IdsFile(cache.IdsFile):
    """Counts how many files of token ids this process writes."""

    written = 0

    def finish(self):
        IdsFile.written += 1
        return super().finish()


kept = []


def save_state(folder, *arguments, save=loop.save_state):
    """Counts the checkpoints that this process writes."""
    kept.append(folder)
    save(folder, *arguments)


def run(table, kill_at, workers):
    """What a training came to; the first worker kills itself after step `kill_at`."""
    steps = []

    def listen(progress):
        steps.append(progress.step)
        if progress.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    before = IdsFile.written
    kept.clear()
    result = (distill if table["teacher"] else train)(table, listener=listen, workers=workers)
    return {
        "metrics": dict(result.metrics), "tokens": result.tokens, "steps": steps,
        "tokenized": IdsFile.written - before, "checkpoints": len(kept),
    }  # fmt: skip


def interrupted(command, step, workers):
    """The status of a command whose second worker gets SIGTERM after `step`."""
    tell = Loop._tell

    def tell_and_stop(loop, *arguments):
        tell(loop, *arguments)
        if loop.position.step == step and workers.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    Loop._tell = tell_and_stop
    try:
        return command_line(command)
    finally:
        Loop._tell = tell


def main(framework, path):
    warnings.simplefilter("ignore")
    examples.IdsFile = IdsFile
    loop.save_state = save_state
    work = json.loads(Path(path).read_text())
    with open_workers(framework) as workers:
        if work["interrupted"]:
            status = interrupted(work["interrupted"], work["stop_at"], workers)
            print(json.dumps(status), flush=True)
        for table, kill_at in work["recipes"]:
            print(json.dumps(run(table, kill_at, workers)), flush=True)
        return command_line(work["command"]) if work["command"] else 0  # it joins these workers


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
