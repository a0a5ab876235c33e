"""From a recipe to what the loop needs: tokenizer, labels, examples, model."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distil.api import load_located, load_tokenizer
from distil.arrays import Array
from distil.checkpoints.located import locate
from distil.common.config import DistilBertConfig
from distil.common.labels import CROSS_ENTROPY, IGNORED
from distil.common.model import encoder_of
from distil.common.spec import parameters
from distil.common.steps.masking import Masking, token_counts
from distil.common.steps.recipe import Recipe
from distil.common.steps.stepping import is_frozen
from distil.errors import ConfigError, WeightsError
from distil.frameworks import FRAMEWORKS, choose_form, model_class
from distil.storage.hub import HubOptions
from distil.training.cache import cache_path, load_features, save_features
from distil.training.classes import classes_of
from distil.training.examples import Examples, Reader, check_some, read_split
from distil.training.features import BUILDERS
from distil.training.splitting import held_out
from distil.training.student import make_student, smaller_vocabulary

# Every kind of dropout that a configuration has.
_DROPOUTS = ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The data of a training.

    Attributes:
        tokenizer: Of the model.
        counts: Names of the classes, and how often each is in the training rows, or None where
            the recipe names them; empty where the task has none, or for regression.
        train: Examples to learn from.
        dev: Examples to be judged by, or None.
        masking: Of masked-LM, else None.
        tokens: Ids that the model has for those that it keeps; None where it keeps all.
        held: Number of training rows that were held out as dev rows.
    """

    tokenizer: Any
    counts: Mapping[str, int | None]
    train: Examples
    dev: Examples | None
    masking: Masking | None
    tokens: tuple[int, ...] | None = None
    held: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, by their numbers."""
        return tuple(self.counts)

    @property
    def fingerprint(self) -> dict[str, int]:
        """Numbers that tell other training data apart."""
        features = self.train.features
        sums = [features.starts, *features.targets.values(), *features.token_targets.values()]
        check = zlib.crc32(features.ids.data)
        for array in sums:
            check = zlib.crc32(array.data, check)
        return {"examples": len(features), "tokens": len(features.ids), "checksum": check}


def prepare(recipe: Recipe) -> Prepared:
    """Read and tokenize what the recipe names.

    Raises:
        InputError: A file is missing, or a row of it is not as it should be.
        ConfigError: The recipe asks for what cannot be.
        TokenizerError: The model has no tokenizer.
    """
    tokenizer = load_tokenizer(str(recipe.origin.name), revision=recipe.origin.revision)
    held = held_out(recipe)
    counts = classes_of(recipe, held)
    labels = tuple(counts)
    theirs = _teachers_tokenizer(recipe, tokenizer)
    tokens = _tokens_to_keep(recipe, tokenizer, labels, held)
    if tokens is not None:
        tokenizer = tokenizer.keep_tokens(tokens)
    if theirs is not None and theirs.get_vocab() == tokenizer.get_vocab():
        theirs = None
    if theirs is not None and recipe.data.stride is not None:
        raise ConfigError(
            "windows of a student and of a teacher with another vocabulary are of different texts",
            expected="null", found=recipe.data.stride, where="data.stride",
        )  # fmt: skip
    splits = ["train", "dev"] if recipe.data.has_dev else ["train"]
    examples = {split: _examples(recipe, split, tokenizer, labels, held) for split in splits}
    if theirs is not None:
        for split, own in examples.items():
            other = _examples(recipe, split, theirs, labels, held)
            features = replace(own.features, teacher=other.features)
            examples[split] = replace(own, features=features)
    masking = None
    if recipe.model_task.masks_words:
        masking = Masking.over(
            examples["train"].features.ids,
            recipe.masking,
            vocabulary=len(tokenizer),
            mask=tokenizer.mask_token_id,
            special=tokenizer.all_special_ids,
        )
    return Prepared(
        tokenizer=tokenizer,
        counts=counts,
        train=examples["train"],
        dev=examples.get("dev"),
        masking=masking,
        tokens=tokens,
        held=0 if held is None else int(held.sum()),
    )


def _teachers_tokenizer(recipe: Recipe, tokenizer: Any) -> Any:
    """The teacher's tokenizer, where it may be another one than the student's; else None."""
    if recipe.teacher is None or not recipe.may_differ_in_words:
        return None
    if recipe.origin is recipe.teacher:
        return tokenizer
    return load_tokenizer(recipe.teacher.name, revision=recipe.teacher.revision)


def _tokens_to_keep(
    recipe: Recipe, tokenizer: Any, labels: tuple[str, ...], held: Array | None
) -> tuple[int, ...] | None:
    """Ids of the tokens that a smaller vocabulary keeps; None if that would be all."""
    size = recipe.model.vocabulary
    if size is None or size >= len(tokenizer):
        return None
    ids = _examples(recipe, "train", tokenizer, labels, held).features.ids
    special = (*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder)
    counts = token_counts(ids, len(tokenizer))
    return tuple(smaller_vocabulary(tokenizer.get_vocab(), special, counts, size))


def _examples(
    recipe: Recipe, split: str, tokenizer: Any, labels: tuple[str, ...], held: Array | None
) -> Examples:
    """The examples of a split, tokenized now or before."""
    path = cache_path(recipe, split, tokenizer, labels)
    # What is on the hub may change without anybody here noticing.
    kept = path if recipe.data.hub is None else None
    found = None if kept is None else load_features(kept)
    if found is not None:
        return Examples(features=found)
    reader = Reader(
        data=recipe.data, tokenizer=tokenizer, labels=labels, several=recipe.has_several_labels,
        ids_path=path, split=split,
    )  # fmt: skip
    rows = read_split(recipe.data, split, held)
    examples = check_some(BUILDERS[recipe.task](rows, reader), split)
    # Details are there to judge by; what is learned is in the features.
    if kept is not None and (split == "train" or examples.details is None):
        save_features(kept, examples.features)
    return examples


def load_model(recipe: Recipe, framework: str, prepared: Prepared, teacher: Any = None) -> Any:
    """The model to train, with the labels and the vocabulary of its data.

    Args:
        recipe: What to load.
        framework: To load it in.
        prepared: The data.
        teacher: That a student is made of where the recipe names no model.

    Raises:
        ConfigError: It has no room for sequences as long as the recipe's, or lacks a layer that
            is not to be trained.
        InputError: The teacher has no such layers.
        CheckpointError: Its files are damaged or missing.
    """
    config = dict(recipe.model.config)
    labels = prepared.labels
    if labels:
        config |= {
            "id2label": dict(enumerate(labels)),
            "label2id": {name: number for number, name in enumerate(labels)},
        }
    elif recipe.model_task.has_problem_type:
        config["num_labels"] = 1
    dtype = dtype_of(recipe, framework)
    if recipe.model.name is None:
        layers = None if recipe.teacher is None else recipe.teacher.numbers
        model = make_student(
            teacher, layers=layers, new_weights=recipe.model.new_weights, seed=recipe.seed,
            dtype=dtype, **config,
        )  # fmt: skip
    elif recipe.model.new_weights:
        name, revision = recipe.model.name, recipe.model.revision
        model = model_class(framework, recipe.model_task).make(
            DistilBertConfig.from_pretrained(name, revision=revision, **config), {},
            seed=recipe.seed, dtype=dtype, device=None,
        )  # fmt: skip
    else:
        form = choose_form(framework=framework, dtype=dtype)
        with locate(recipe.model.name, HubOptions(revision=recipe.model.revision)) as found:
            try:
                model = load_located(
                    found, recipe.model_task, form, seed=recipe.seed,
                    ignore_mismatched_sizes=recipe.model.new_head, **config,
                )  # fmt: skip
            except WeightsError as error:
                if "ignore_mismatched_sizes" not in str(error.fix):
                    raise
                fix = "set model.new_head=true to train a new head"
                raise WeightsError(
                    error.problem, found=error.found, where=error.where, fix=fix
                ) from None
    rate = None if recipe.teacher is None else recipe.distillation.dropout
    if prepared.tokens is not None or rate is not None:
        own = {name: getattr(model.config, name) for name in _DROPOUTS}
        rates: dict[str, Any] = {} if rate is None else dict.fromkeys(_DROPOUTS, rate)
        every = range(model.config.n_layers)
        model = make_student(model, layers=every, tokens=prepared.tokens, dtype=dtype, **rates)
        # Layers have their rates by now; what is saved is for trainings to come.
        model.config = encoder_of(model).config = model.config.replace(**own)
    check_length(recipe, model.config)
    _check_kind(recipe, model.config)
    _check_freeze(recipe, model)
    return model


def _check_kind(recipe: Recipe, config: DistilBertConfig) -> None:
    """See that a model's own configuration takes no other loss than the recipe is about.

    Raises:
        ConfigError: It does.
    """
    found, given = config.problem_type, recipe.model.config.get("problem_type")
    if recipe.model_task.has_problem_type and found not in (None, CROSS_ENTROPY, given):
        raise ConfigError(
            "the model is for another kind of labels",
            expected=f"problem_type {given or CROSS_ENTROPY}", found=found,
            where="model.config.problem_type", fix="set it in the recipe",
        )  # fmt: skip


def _check_freeze(recipe: Recipe, model: Any) -> None:
    """See that a model has what is not to be trained, and something else.

    Raises:
        ConfigError: It has not.
    """
    freeze, layers = recipe.model.freeze or (), model.config.n_layers
    if any(isinstance(part, int) and part >= layers for part in freeze):
        raise ConfigError(
            "the model has no such layer to freeze", expected=f"layers from 0 to {layers - 1}",
            found=", ".join(map(str, freeze)), where="model.freeze",
        )  # fmt: skip
    if all(is_frozen(weight, freeze) for weight in parameters(model.config, model.task)):
        raise ConfigError(
            "nothing is left to train", found=", ".join(map(str, freeze)), where="model.freeze"
        )


def dtype_of(recipe: Recipe, framework: str) -> str:
    """The type that a model of the recipe's precision is loaded in."""
    if recipe.precision != "bfloat16":
        return recipe.precision
    return FRAMEWORKS[framework].dtype_of_bfloat16


def check_length(recipe: Recipe, config: DistilBertConfig) -> None:
    """See that a model has room for the recipe's sequences.

    Raises:
        ConfigError: It has not.
    """
    longest = config.max_position_embeddings
    if recipe.data.max_length > longest:
        raise ConfigError(
            "data.max_length is longer than the model allows",
            expected=f"at most {longest}", found=recipe.data.max_length, where="data.max_length",
        )  # fmt: skip


def class_weights(recipe: Recipe, prepared: Prepared) -> Array | None:
    """What a label of each class counts in the loss (c); None where that is one each.

    Raises:
        ConfigError: The recipe has weights for other classes.
    """
    given, labels = recipe.loss.class_weights, prepared.labels
    if given is None:
        return None
    if isinstance(given, dict):
        named = {str(name): weight for name, weight in given.items()}
        if named.keys() != set(labels) or not any(named.values()):
            raise ConfigError(
                "every class needs a weight, and one of them above 0",
                expected=", ".join(labels), found=", ".join(named), where="loss.class_weights",
            )  # fmt: skip
        return np.array([named[name] for name in labels])
    features = prepared.train.features
    found = {**features.targets, **features.token_targets}["labels"]
    counts = np.bincount(found[found != IGNORED], minlength=len(labels))
    # A class without rows is learned from nowhere.
    weights: Array = np.where(counts > 0, counts.sum() / (len(labels) * np.maximum(counts, 1)), 0.0)
    return weights
