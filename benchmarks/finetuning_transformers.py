"""transformers' DistilBERT, trained by one of distil's recipes in a plain PyTorch loop.

    python benchmarks/finetuning_transformers.py RECIPE [KEY=VALUE ...]

Takes the arguments of `distil train` and prints one JSON document as `distil train --json` does, so
that `benchmarks/finetuning.py` can compare the two.  Batches, learning rates and metrics are
distil's; the model, the initial weights of the head, dropout, losses and the optimizer are
transformers' and PyTorch's.  Nothing is written.
"""

import json
import math
import sys
import time

import torch
import transformers
from torch import nn

from distil.common.steps.batching import collate, plan_epoch
from distil.common.steps.recipe import read_recipe
from distil.common.steps.recipe_rules import read_assignments
from distil.common.steps.stepping import Evaluation
from distil.common.steps.workers import Workers
from distil.training.evaluation import Judge
from distil.training.preparing import prepare
from distil.training.schedule import rate_factor

CLASSES = {
    "sequence-classification": "DistilBertForSequenceClassification",
    "multiple-choice": "DistilBertForMultipleChoice",
    "token-classification": "DistilBertForTokenClassification",
    "question-answering": "DistilBertForQuestionAnswering",
}


class Trainer:
    """The model and its optimizer, with the two methods that training and evaluation need."""

    def __init__(self, recipe, labels):
        transformers.logging.set_verbosity_error()
        config = dict(recipe.model.config)
        if recipe.task in {"sequence-classification", "token-classification"}:
            config["num_labels"] = len(labels) or 1
        self.recipe = recipe
        torch.manual_seed(recipe.seed)  # of the head, and of dropout
        self.model = getattr(transformers, CLASSES[recipe.task]).from_pretrained(
            recipe.model.name, **config
        )
        settings = recipe.optimizer
        self.optimizer = torch.optim.AdamW(
            [{"params": [], "weight_decay": settings.weight_decay},
             {"params": [], "weight_decay": 0.0}],
            betas=(settings.beta_1, settings.beta_2), eps=settings.epsilon, fused=True,
        )  # fmt: skip
        for name, parameter in self.model.named_parameters():
            spared = name.endswith("bias") or "layer_norm" in name.lower()
            self.optimizer.param_groups[spared]["params"].append(parameter)

    def train(self, inputs, learning_rate):
        """Take one step; return the loss."""
        self.model.train()
        loss = self._output(inputs).loss
        loss.backward()
        if self.recipe.optimizer.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    @torch.inference_mode()
    def evaluate(self, inputs):
        """As of `distil.common.steps.stepping.Step`."""
        self.model.eval()
        output = self._output(inputs)
        outputs = {name: output[name].float().numpy() for name in output if name != "loss"}
        return Evaluation(loss=output.loss.item(), outputs=outputs)

    def _output(self, inputs):
        """All arguments as transformers expects them: int64, with a mask."""
        tensors = {
            name: torch.from_numpy(values).long() if values.dtype.kind == "i"
            else torch.from_numpy(values)
            for name, values in inputs.items()
        }  # fmt: skip
        tensors.setdefault("attention_mask", torch.ones_like(tensors["input_ids"]))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return self.model(**tensors)


def run(recipe):
    """Train and evaluate by a recipe; return what `distil train --json` would print."""
    if recipe.task not in CLASSES or recipe.batch.accumulation != 1 or recipe.schedule.steps:
        raise SystemExit("this loop knows no masked-LM, no accumulation and no number of steps")
    begin = time.monotonic()
    prepared = prepare(recipe)
    pad = prepared.tokenizer.pad_token_id
    judge = Judge(recipe=recipe, examples=prepared.dev, labels=prepared.labels, pad=pad)
    trainer = Trainer(recipe, prepared.labels)
    features = prepared.train.features
    plans = [
        plan_epoch(
            features.lengths, recipe.batch, choices=features.choices, seed=recipe.seed, epoch=epoch
        )
        for epoch in range(recipe.schedule.epochs)
    ]
    total, step, tokens = sum(map(len, plans)), 0, 0
    best, best_step = {}, 0
    for plan in plans:
        for rows in plan:
            batch = collate(features, rows, pad=pad)
            rate = recipe.optimizer.learning_rate * rate_factor(recipe.schedule, step, total)
            loss = trainer.train(batch.inputs, rate)
            if not math.isfinite(loss):
                raise SystemExit(f"the loss of step {step + 1} is {loss}")
            step, tokens = step + 1, tokens + batch.tokens
            every = recipe.evaluation.every
            if step == total or (rows is plan[-1] if every is None else step % every == 0):
                found = judge.judge(trainer, Workers())
                if judge.is_better(found[judge.metric], best.get(judge.metric)):
                    best, best_step = found, step
    return {
        "metrics": best, "metric": judge.metric, "best_step": best_step, "steps": total,
        "examples": len(features), "tokens": tokens,
        "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(read_recipe(sys.argv[1], read_assignments(sys.argv[2:])))))
