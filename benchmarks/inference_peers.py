"""How other libraries run the same classifier, for `benchmarks/inference.py`; the machine's speed.

Each class is a runner of `distil.benchmarking`: `predict`, `answers` and `latency`.
"""

import time
from pathlib import Path
from statistics import median

import numpy as np

ROWS_AT_ONCE = 32


class Peer:
    """Padded batches of 32; with `sort`, texts of similar length share a batch."""

    def __init__(self, name, sort=False, **options):
        from tokenizers import Tokenizer

        self.name, self.sort = name, sort
        self.tokenizer = Tokenizer.from_file(str(Path(name) / "tokenizer.json"))
        self.tokenizer.enable_truncation(512)
        self.tokenizer.no_padding()
        self.load(**options)

    def load(self):
        raise NotImplementedError

    def logits(self, ids, mask):
        raise NotImplementedError

    def predict(self, rows):
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(rows)]
        order = (
            sorted(range(len(ids)), key=lambda i: -len(ids[i])) if self.sort else range(len(ids))
        )
        logits = np.empty((len(ids), 2), np.float32)
        for start in range(0, len(ids), ROWS_AT_ONCE):
            part = list(order[start : start + ROWS_AT_ONCE])
            width = max(len(ids[i]) for i in part)
            padded, mask = (
                np.zeros((len(part), width), np.int64),
                np.zeros((len(part), width), np.int64),
            )
            for row, i in enumerate(part):
                padded[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            logits[part] = self.logits(padded, mask)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        self.scores = powers / powers.sum(1, keepdims=True)

    def answers(self):
        return [([f"LABEL_{one.argmax()}"], [float(one.max())]) for one in self.scores]

    def latency(self, row, repeat):
        seconds = []
        for _ in range(repeat):
            begin = time.perf_counter()
            self.predict([row])
            seconds.append(time.perf_counter() - begin)
        return median(seconds)


class TransformersTorch(Peer):
    def load(self, dtype="float32"):
        import torch
        from transformers import AutoModelForSequenceClassification

        self.torch = torch
        self.model = AutoModelForSequenceClassification.from_pretrained(
            self.name, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        ).eval()

    def logits(self, ids, mask):
        with self.torch.inference_mode():
            ids, mask = self.torch.from_numpy(ids), self.torch.from_numpy(mask)
            return self.model(input_ids=ids, attention_mask=mask).logits.float().numpy()


class TransformersTorchInt8(TransformersTorch):
    def load(self):
        super().load()
        self.torch.backends.quantized.engine = "x86"
        from torch.ao.quantization import quantize_dynamic

        self.model = quantize_dynamic(self.model, {self.torch.nn.Linear}, dtype=self.torch.qint8)


class TransformersPipeline(Peer):
    def load(self):
        from transformers import pipeline

        self.pipe = pipeline("text-classification", model=self.name, framework="pt", device="cpu")

    def predict(self, rows):
        found = self.pipe(rows, batch_size=ROWS_AT_ONCE, truncation=True, top_k=None)
        self.scores = np.array(
            [[one["score"] for one in sorted(row, key=lambda one: one["label"])] for row in found]
        )


class TransformersTF(Peer):
    def load(self):
        import tensorflow as tf
        from transformers import TFAutoModelForSequenceClassification

        model = TFAutoModelForSequenceClassification.from_pretrained(self.name, from_pt=True)
        spec = tf.TensorSpec([None, None], tf.int64)
        self.call = tf.function(
            lambda ids, mask: model(input_ids=ids, attention_mask=mask, training=False).logits,
            input_signature=[spec, spec],
        )

    def logits(self, ids, mask):
        return self.call(ids, mask).numpy()


class Machine:
    """How many GFLOP/s a plain matrix product reaches here."""

    shapes = ((2048, 768, 3072), (2048, 3072, 768))

    def __init__(self):
        import torch

        self.torch = torch

    def peak(self, dtype):
        return max(self.rate(dtype, *shape) for shape in self.shapes)

    def rate(self, dtype, m, k, n):
        torch = self.torch
        if dtype == "int8":
            a = torch.randint(-127, 127, (m, k), dtype=torch.int8)
            b = torch.randint(-127, 127, (n, k), dtype=torch.int8).t()
            product = torch._int_mm
        else:
            a = torch.randn(m, k).to(getattr(torch, dtype))
            b = torch.randn(n, k).to(getattr(torch, dtype))
            product = torch.nn.functional.linear
        seconds = []
        for _ in range(8):
            begin = time.perf_counter()
            product(a, b)
            seconds.append(time.perf_counter() - begin)
        return 2 * m * k * n / min(seconds[1:]) / 1e9
