"""How fast `distil serve` answers, asked by other processes on this machine.

    python benchmarks/serving.py [--engine onnxruntime] [--peer] [--overload 600] [--json FILE]

throughput  texts a second, one a request, as a share of the pipeline's own on the same texts: they
            take turns, each in a process of its own
latency     p50 and p99 at a quarter, half and nine tenths of that, by requests that come at random
            times; and the highest rate at which p99 stays below --p99
overload    five times the throughput, for so many seconds: statuses, answers that differ from the
            pipeline's, and the server's memory

--peer measures a transformers pipeline behind FastAPI as well, if both are installed.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import corpora
import serving_clients

HERE = Path(__file__).parent
OWN = """
import json, sys, time, distil
folder, engine, dtype, rounds = json.loads(sys.argv[1])
texts = json.load(sys.stdin)
pipe = distil.pipeline(model=folder, engine=engine, dtype=dtype, truncation=True)
labels, seconds = pipe(texts), []
for _ in range(rounds):
    begin = time.perf_counter()
    pipe(texts)
    seconds.append(time.perf_counter() - begin)
print(json.dumps([[one["label"] for one in labels], min(seconds)]))
"""


def own(folder, arguments, texts):
    """What the pipeline says, and how many texts a second."""
    given = json.dumps([str(folder), arguments.engine, arguments.dtype, 2])
    done = subprocess.run(
        [sys.executable, "-c", OWN, given], input=json.dumps(texts), text=True, check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    labels, seconds = json.loads(done.stdout.splitlines()[-1])
    return labels, len(texts) / seconds


@contextmanager
def started(command, environment=None, port=None):
    """A server in a process of its own: its address and its process."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if port is None else None,
        text=True, cwd=HERE, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    try:
        if port is None:  # it says where it is
            said = next(line for line in process.stderr if " serves at " in line)
            port = int(said.rsplit(":", 1)[1])
            # A pipe that nobody reads would stop the server once it is full.
            threading.Thread(target=sys.stderr.writelines, args=(process.stderr,)).start()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, "the server did not start"
                time.sleep(0.2)
        yield ("127.0.0.1", port), process
    finally:
        process.terminate()
        process.wait()


def servers(folder, arguments):
    """Names, and what starts each."""
    command = [sys.executable, "-m", "distil", "serve", str(folder), "--port", "0",
               "--no-access-log", "--dtype", arguments.dtype]  # fmt: skip
    if arguments.engine:
        command += ["--engine", arguments.engine]
    yield "distil serve", lambda: started(command)
    if arguments.peer:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        peer = [sys.executable, "-m", "uvicorn", "serving_peer:app", "--port", str(port),
                "--log-level", "error"]  # fmt: skip
        yield (
            "FastAPI + transformers",
            lambda: started(
                peer,
                {"DISTIL_PEER_MODEL": str(folder), "HF_HUB_OFFLINE": "1"},
                port,
            ),
        )


def milliseconds(answers):
    """p50 and p99 of those that were answered."""
    found = sorted(seconds for seconds, status, *_ in answers if status == 200)
    if len(found) < 2:
        return None, None
    cuts = quantiles(found, n=100, method="inclusive")
    return round(1000 * cuts[49], 1), round(1000 * cuts[98], 1)


def highest_rate(ask, bound, most):
    """The highest rate at which p99 stays below a bound, to a sixteenth of `most`."""
    low, high = 0.0, most
    for _ in range(4):
        rate = (low + high) / 2
        answers = ask(rate=rate)
        p99 = milliseconds(answers)[1]
        good = p99 is not None and p99 <= bound and all(one[1] == 200 for one in answers)
        low, high = (rate, high) if good else (low, rate)
    return low


def memory(process):
    """Megabytes that a process holds."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def overloaded(address, process, texts, labels, rate, arguments):
    """Minute by minute: statuses, answers that differ, memory."""
    rows, left = [], arguments.overload
    while left > 0:
        seconds = min(60, left)
        answers = serving_clients.run(
            address, texts, seconds, processes=arguments.processes, rate=5 * rate
        )
        statuses = Counter(status for _, status, *_ in answers)
        other = sum(status == 200 and label != labels[text] for _, status, label, text in answers)
        rows.append({"statuses": dict(statuses), "other labels": other, "MB": memory(process)})
        print(f"  overload, {seconds} s: {rows[-1]}", flush=True)
        left -= seconds
    return rows


def measure(name, start, texts, labels, arguments, base):
    """All figures of one server; `base` is the pipeline's texts a second."""
    with start() as (address, process):

        def ask(seconds=arguments.seconds, **how):
            return serving_clients.run(
                address, texts, seconds, processes=arguments.processes, **how
            )

        ask(seconds=2, connections=8)  # warms up
        answers = ask(connections=arguments.connections)
        rate = sum(status == 200 for _, status, *_ in answers) / arguments.seconds
        wrong = sum(label != labels[text] for _, status, label, text in answers if status == 200)
        row = {"texts/s": round(rate, 1), "share": round(rate / base, 3), "other labels": wrong}
        for part in (0.25, 0.5, 0.9):
            row[f"ms at {part}"] = milliseconds(ask(rate=part * rate))
        row[f"texts/s with p99 <= {arguments.p99} ms"] = highest_rate(ask, arguments.p99, rate)
        print(f"  {name}: {row}", flush=True)
        if arguments.overload and name == "distil serve":
            row["overload"] = overloaded(address, process, texts, labels, rate, arguments)
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of a classifier (default: a random base model)")
    parser.add_argument("--engine", help="of both, pipeline and server (the framework)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--kinds", nargs="+", default=("short", "long"), choices=corpora.LENGTHS)
    parser.add_argument("--texts", type=int, default=256, help="texts in a corpus (256)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (20)")
    parser.add_argument("--rounds", type=int, default=3, help="pipeline and server in turns (3)")
    parser.add_argument("--processes", type=int, default=2, help="of clients (2)")
    parser.add_argument("--connections", type=int, default=64, help="for throughput (64)")
    parser.add_argument("--p99", type=float, default=500.0, help="bound in milliseconds (500)")
    parser.add_argument("--peer", action="store_true", help="FastAPI and transformers as well")
    parser.add_argument("--overload", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or corpora.make_checkpoint(temporary)
        folder = Path(folder).absolute()  # servers run elsewhere
        for kind in arguments.kinds:
            texts = corpora.make_texts(folder, kind, arguments.texts)
            rows = results[kind] = {}
            for number in range(arguments.rounds):
                labels, base = own(folder, arguments, texts)
                print(f"{kind}, round {number + 1}: the pipeline {base:.1f} texts/s", flush=True)
                for name, start in servers(folder, arguments):
                    row = measure(name, start, texts, labels, arguments, base)
                    rows.setdefault(name, []).append({"pipeline texts/s": round(base, 1), **row})
            for name, own_rows in rows.items():
                share = median(row["share"] for row in own_rows)
                print(f"{kind}: {name}: {share:.0%} of the pipeline's throughput", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
