"""Clients for serving.py: processes of their own, on plain sockets, so that they cost little.

A closed loop asks again as soon as it is answered: it measures throughput.  An open loop asks at
times drawn beforehand, whatever the answers do, and measures latency from those times: a server
that falls behind is not asked less.
"""

import asyncio
import json
import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

PATH = "/predict"

# Requests of one process that are not answered yet; a process has as many sockets.  What would be
# more is not sent, and has the status -1.
MOST_WAITING = 2000


def requests_of(texts):
    """Whole requests, a text each."""
    found = []
    for text in texts:
        body = json.dumps({"inputs": text, "truncate": True}).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        found.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return found


class Connection:
    """One that is kept open."""

    def __init__(self, address):
        self.address, self.streams = address, None

    async def ask(self, request):
        """Status and best label; 0 where the server ended the connection."""
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection(*self.address)
            reader, writer = self.streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = head.lower().split(b"\r\n")
            length = next(one for one in fields if one.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.split(b":")[1]))
        except (OSError, asyncio.IncompleteReadError):
            self.streams = None
            return 0, None
        status = int(head[9:12])
        return status, json.loads(body)[0]["label"] if status == 200 else None


async def closed_loop(address, requests, seconds, connections):
    """Latency in seconds, status, label and number of the text, of each request."""
    end = time.monotonic() + seconds
    found = []

    async def loop(first):
        connection, number = Connection(address), first
        while (begin := time.monotonic()) < end:
            text = number % len(requests)
            found.append((*await connection.ask(requests[text]), text, begin))
            found[-1] = (time.monotonic() - begin, *found[-1][:3])
            number += connections

    await asyncio.gather(*map(loop, range(connections)))
    return found


async def open_loop(address, requests, seconds, rate, seed):
    """Likewise; latency counts from when a request was due."""
    draw = random.Random(seed)
    free, found, tasks = [], [], set()

    async def ask(text, due):
        connection = free.pop() if free else Connection(address)
        status, label = await connection.ask(requests[text])
        found.append((time.monotonic() - due, status, label, text))
        free.append(connection)

    start = due = time.monotonic()
    while (due := due + draw.expovariate(rate)) < start + seconds:
        await asyncio.sleep(max(0, due - time.monotonic()))
        if len(tasks) >= MOST_WAITING:
            found.append((0, -1, None, 0))
            continue
        task = asyncio.ensure_future(ask(draw.randrange(len(requests)), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return found


def _client(address, texts, seconds, kind, amount, seed):
    requests = requests_of(texts)
    loop = closed_loop if kind == "closed" else open_loop
    more = (amount,) if kind == "closed" else (amount, seed)
    return asyncio.run(loop(address, requests, seconds, *more))


def run(address, texts, seconds, *, processes, connections=None, rate=None):
    """All answers that several processes got.

    Args:
        address: Host and port.
        texts: What they ask.
        seconds: For how long.
        processes: How many.
        connections: Of all together, in a closed loop.
        rate: Requests a second of all together, in an open loop.
    """
    kind, amount = ("closed", connections) if rate is None else ("open", rate)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        share = amount / processes if kind == "open" else max(1, amount // processes)
        tasks = [
            pool.submit(_client, address, texts, seconds, kind, share, seed)
            for seed in range(processes)
        ]
        return [one for task in tasks for one in task.result()]
