"""The entrants of `benchmarks/training.py`: distil in both frameworks, and transformers.

Each class is a runner of `distil.benchmarking`: `warm_up`, and `train`, which returns the number of
tokens it trained on, without padding.
"""

import importlib
import itertools

import corpora
import numpy as np

import distil
from distil.common.steps.batching import Features, collate, padding_share, plan_epoch
from distil.common.steps.recipe import read_recipe
from distil.training.preparing import dtype_of

BATCH = {"full": 16, "short": 32, "long": 16}  # rows
FULL = 128  # tokens of a full row
TEXTS = 768  # the batches that are trained on are a fair sample of these
LEARNING_RATE = 5e-5
SORTED = 100  # batches cut from rows sorted by length, as in recipes by default; 1 sorts nothing


def make_features(folder, kind):
    """Rows with random labels: full, or of different lengths like texts."""
    random = np.random.default_rng(0)
    if kind == "full":
        rows = list(random.integers(1000, 30000, (BATCH[kind], FULL)))
    else:
        tokenizer = distil.load_tokenizer(folder)
        texts = corpora.make_texts(folder, kind, TEXTS)
        rows = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
    return Features(
        ids=np.concatenate(rows).astype(np.int32),
        starts=np.cumsum([0, *map(len, rows)]),
        targets={"labels": random.integers(0, 2, len(rows)).astype(np.int32)},
    )


class Entrant:
    """The batches, of which `steps` are trained on in each round.

    Of an epoch's batches these are the shortest, the longest and some at equal distances in
    between, so that a round is like an epoch, in whatever order.
    """

    window = SORTED

    def __init__(self, folder, kind, steps, precision):
        self.recipe = read_recipe(
            {
                "task": "sequence-classification",
                "output": "nowhere",
                "model": {"name": folder},
                "data": {"train": "none"},
                "batch": {"examples": BATCH[kind], "window": self.window},
                "precision": precision,
            }
        )
        features = make_features(folder, kind)
        plan = plan_epoch(features.lengths, self.recipe.batch, choices=1, seed=0, epoch=0)
        batches = sorted((collate(features, rows, pad=0) for rows in plan), key=lambda b: b.size)
        places = np.linspace(0, len(batches) - 1, steps + 2)[1:-1].round().astype(int)
        self.batches = [batches[place] for place in places]
        self.number = itertools.count()
        self.load()

    def load(self):
        raise NotImplementedError

    def step(self, batch):
        raise NotImplementedError

    def warm_up(self):
        """Take a step on the smallest batch; return the share of padding in all batches."""
        self.step(self.batches[0])
        return padding_share(self.batches)

    def train(self):
        for batch in self.batches:
            self.step(batch)
        return sum(batch.tokens for batch in self.batches)


class Distil(Entrant):
    def __init__(self, *arguments, framework, **options):
        self.framework = framework
        super().__init__(*arguments, **options)

    def load(self):
        if self.framework == "pt":  # as `distil train` does
            importlib.import_module("distil.pt.training.freed_memory").keep_freed_memory()
        model = distil.load(
            self.recipe.model.name,
            framework=self.framework,
            task=self.recipe.task,
            dtype=dtype_of(self.recipe, self.framework),
        )
        module = importlib.import_module(f"distil.{self.framework}.train")
        self.trainer = module.Step(model, self.recipe)

    def step(self, batch):
        self.trainer.train([batch], LEARNING_RATE, [0, next(self.number)])


class TransformersTorch(Entrant):
    """Padded to the longest row of each batch, in random order."""

    window = 1

    def load(self):
        from finetuning_transformers import Trainer

        self.trainer = Trainer(self.recipe, ("negative", "positive"))

    def step(self, batch):
        self.trainer.train(batch.inputs, LEARNING_RATE)


class TransformersTF(Entrant):
    """Compiled, and trained by Keras's `train_on_batch`; full rows only."""

    def load(self):
        import tf_keras
        from transformers import TFAutoModelForSequenceClassification

        self.model = TFAutoModelForSequenceClassification.from_pretrained(
            self.recipe.model.name, from_pt=True
        )
        self.model.compile(
            optimizer=tf_keras.optimizers.AdamW(LEARNING_RATE, global_clipnorm=1.0),
            loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def step(self, batch):
        inputs = {"input_ids": batch.inputs["input_ids"]}
        inputs["attention_mask"] = np.ones_like(inputs["input_ids"])
        self.model.train_on_batch(inputs, batch.inputs["labels"])
