"""A candidate for the benchmark that computes nothing."""

import os
import time


class Echo:
    """Says the same label of every row; its number is the row's length."""

    def __init__(self, label, delay=0.0, fails=False):
        self.label, self.delay, self.fails = label, delay, fails

    def predict(self, rows):
        if self.fails:
            self.fail()
        time.sleep(self.delay)
        self.rows = rows

    def answers(self):
        return [[[self.label], [float(len(row))]] for row in self.rows]

    def latency(self, row, repeat):
        return 0.001 * repeat

    def chatter(self):
        os.write(1, b"{}\n")
        print("hello")
        return "answer"

    def fail(self):
        raise ValueError("no such row")

    def leave(self, status):
        os._exit(status)
