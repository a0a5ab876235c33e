"""The configuration of a DistilBERT: every field of config.json, typed and in range.

Source of names and defaults: config.json of the hub's distilbert checkpoints, and
``DistilBertConfig`` of transformers 4.57.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, overload

from distil.common import config_files
from distil.common.compatibility import keywords
from distil.common.compatibility.config import DEFAULTS, KNOWN, ConfigHabits
from distil.common.config_files import MODEL_TYPE
from distil.common.config_rules import (
    ACTIVATIONS,
    CLASS_NAMES,
    DTYPES,
    HEADS,
    ID2LABEL,
    LABEL2ID,
    LAYERS,
    PROBLEM_TYPES,
)
from distil.common.config_values import ALIASES, checked, native_names, refuse, with_labels
from distil.common.rules import AMOUNT, COUNT, FLAG, NATURAL, RATE, Rule, one_of, or_none
from distil.errors import ConfigError, shorten
from distil.storage import hub
from distil.storage.paths import check_name
from distil.storage.pending import current_config


def _field(default: Any, rule: Rule) -> Any:
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"rule": rule})
    return field(default=default, metadata={"rule": rule})


@dataclass(init=False)
class DistilBertConfig(ConfigHabits):
    """The architecture of a model and what its heads are for.

    All arguments are keywords, and every field has the default of distilbert-base-uncased.
    What is there for transformers' sake is in `distil.common.compatibility.config`.
    A field can be assigned later as with transformers, and is checked again then; a model
    reads its sizes once, when it is built, so assigning a size afterwards changes no model.
    Keys that are not fields are kept in `extra`, readable as attributes, and written back.

    Args:
        vocab_size: Number of tokens.
        max_position_embeddings: Longest sequence, in tokens.
        sinusoidal_pos_embds: Start positions from sinusoids, and do not train them.
        n_layers: Number of layers. Alias: num_hidden_layers.
        n_heads: Attention heads in a layer. Alias: num_attention_heads.
        dim: Width of the hidden states, a multiple of `n_heads`. Alias: hidden_size.
        hidden_dim: Width inside the feed-forward part.
        dropout: Rate after embeddings and feed-forward parts.
        attention_dropout: Rate on attention weights.
        activation: Name of the function in the feed-forward part, see `config_rules.ACTIVATIONS`.
        initializer_range: Standard deviation of new weights.
        qa_dropout: Rate before the question-answering head.
        seq_classif_dropout: Rate before the classifier of sequences and choices.
        pad_token_id: Token whose embedding is not trained, or None.
        id2label: Label of each class.
        label2id: Number of each label.
        num_labels: Number of classes, in place of `id2label`: they are called LABEL_0 and so on.
        problem_type: One of `config_rules.PROBLEM_TYPES`, or None to infer it from the labels.
        output_hidden_states: Return the hidden states of every layer unless a call says otherwise.
        output_attentions: Return attention weights unless a call says otherwise.
        return_dict: Return output objects rather than tuples unless a call says otherwise.
        tie_word_embeddings: The masked-LM head's last matrix is the word embedding.
        pruned_heads: Heads that were pruned, by layer.
        architectures: Names of the classes that the checkpoint was saved from.
        dtype: Type of the stored weights, see `config_rules.DTYPES`. Alias: torch_dtype.

    Raises:
        ConfigError: A value has the wrong type or is out of range, or two do not fit together.
    """

    vocab_size: int = _field(30522, COUNT)
    max_position_embeddings: int = _field(512, COUNT)
    sinusoidal_pos_embds: bool = _field(False, FLAG)
    n_layers: int = _field(6, LAYERS)
    n_heads: int = _field(12, COUNT)
    dim: int = _field(768, COUNT)
    hidden_dim: int = _field(3072, COUNT)
    dropout: float = _field(0.1, RATE)
    attention_dropout: float = _field(0.1, RATE)
    activation: str = _field("gelu", one_of(ACTIVATIONS))
    initializer_range: float = _field(0.02, AMOUNT)
    qa_dropout: float = _field(0.1, RATE)
    seq_classif_dropout: float = _field(0.2, RATE)
    pad_token_id: int | None = _field(0, or_none(NATURAL))
    id2label: dict[int, str] = _field({0: "LABEL_0", 1: "LABEL_1"}, ID2LABEL)
    label2id: dict[str, int] = _field({"LABEL_0": 0, "LABEL_1": 1}, LABEL2ID)
    problem_type: str | None = _field(None, one_of(PROBLEM_TYPES, or_none=True))
    output_hidden_states: bool = _field(False, FLAG)
    output_attentions: bool = _field(False, FLAG)
    return_dict: bool = _field(True, FLAG)
    tie_word_embeddings: bool = _field(True, FLAG)
    pruned_heads: dict[int, list[int]] = _field({}, HEADS)
    architectures: list[str] | None = _field(None, CLASS_NAMES)
    dtype: str | None = _field(None, one_of(DTYPES, or_none=True))
    extra: dict[str, Any] = field(default_factory=dict)

    model_type = MODEL_TYPE

    # Files may hold a key "self".
    def __init__(self, /, **values: Any) -> None:
        values = with_labels(native_names(values))
        if values.pop("model_type", MODEL_TYPE) != MODEL_TYPE:
            raise ConfigError(
                "not a DistilBERT configuration", where="model_type",
                fix="read other configurations with DistilBertConfig.from_dict",
            )  # fmt: skip
        extra = values.pop("extra", {})
        if not isinstance(extra, Mapping):
            refuse("extra", "a table", extra)
        extra = dict(extra)
        for name, item in _FIELDS.items():
            given = name in values
            value = values.pop(name) if given else _default(item)
            object.__setattr__(self, name, checked(name, value, _rule(name)))
        object.__setattr__(self, "extra", extra | values)
        self._check_together()

    def __setattr__(self, name: str, value: Any) -> None:
        name = ALIASES.get(name, name)
        if name == "num_labels":
            self._assign(with_labels({"num_labels": value}))
        elif name == "id2label":
            self._assign(with_labels({"id2label": value}))
        elif name in _FIELDS:
            self._assign({name: value})
        elif name == "extra":
            object.__setattr__(self, "extra", dict(value))
        elif name.startswith("_") or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            self.extra[name] = value

    def __getattr__(self, name: str) -> Any:
        # Only asked for names that are neither fields nor methods.
        if name in ALIASES:
            return getattr(self, ALIASES[name])
        if not name.startswith("__") and name in self.__dict__.get("extra", {}):
            return self.extra[name]
        if name in DEFAULTS:
            return DEFAULTS[name]
        raise AttributeError(f"DistilBertConfig has no field {name!r}")

    def _assign(self, values: dict[str, Any]) -> None:
        """Set fields, or none of them if they break a rule."""
        before = dict(self.__dict__)
        self.__dict__.update({n: checked(n, value, _rule(n)) for n, value in values.items()})
        try:
            self._check_together()
        except ConfigError:
            self.__dict__.update(before)
            raise

    def _check_together(self) -> None:
        """The rules that concern more than one field."""
        if self.dim % self.n_heads:
            refuse("dim", f"a multiple of n_heads ({self.n_heads})", self.dim)
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            refuse("pad_token_id", f"below vocab_size ({self.vocab_size})", self.pad_token_id)
        for layer, heads in self.pruned_heads.items():
            if not 0 <= layer < self.n_layers:
                refuse("pruned_heads", f"layers below n_layers ({self.n_layers})", layer)
            if not all(0 <= head < self.n_heads for head in heads):
                refuse("pruned_heads", f"heads below n_heads ({self.n_heads})", heads)
            if len(set(heads)) == self.n_heads:
                refuse("pruned_heads", "at least one head left in each layer", {layer: heads})

    @property
    def num_labels(self) -> int:
        """Number of classes: the length of `id2label`."""
        return len(self.id2label)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads

    def attention_width(self, layer: int) -> int:
        """Width of queries, keys and values in `layer`: that of the heads it has left."""
        return (self.n_heads - len(set(self.pruned_heads.get(layer, ())))) * self.head_dim

    @property
    def settable(self) -> frozenset[str]:
        """Names that `replace` takes: of fields, and of keys that are known or there already."""
        return _SETTABLE | self.extra.keys()

    def replace(self, /, **values: Any) -> DistilBertConfig:
        """A copy with some fields changed; a new `num_labels` renames the labels to LABEL_0, ...

        Raises:
            ConfigError: A value is wrong, or there is no such field.
        """
        for name in values:
            if name not in self.settable:
                near = get_close_matches(name, self.settable, n=1)
                raise ConfigError(
                    "unknown field", found=shorten(name),
                    fix=f"did you mean {near[0]}?" if near else None,
                )  # fmt: skip
        values = native_names(values)
        if values.get("num_labels") == self.num_labels:
            del values["num_labels"]
        own = {name: copy.deepcopy(getattr(self, name)) for name in _FIELDS}
        if not {"num_labels", "id2label"}.isdisjoint(values):
            del own["id2label"], own["label2id"]
        return DistilBertConfig(**(copy.deepcopy(self.extra) | own | values))

    def to_dict(self) -> dict[str, Any]:
        """The content of config.json: the architecture, and whatever else is not the default."""
        table: dict[str, Any] = copy.deepcopy(self.extra)
        for name, item in _FIELDS.items():
            value = copy.deepcopy(getattr(self, name))
            if name in _ALWAYS_WRITTEN or value != _default(item):
                table[name] = value
        if not _LABELS.isdisjoint(table):  # each would be worked out from the other
            table |= {name: copy.deepcopy(getattr(self, name)) for name in _LABELS}
        return table | {"model_type": MODEL_TYPE}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], **overrides: Any) -> DistilBertConfig:
        """The configuration in the content of a config.json, of a DistilBERT or of a BERT.

        Args:
            table: What the JSON file holds.
            **overrides: Fields to set instead.

        Raises:
            ConfigError: A field is wrong, the model is of another type, or its weights are stored
                in a way that is not read.
        """
        config = cls(**config_files.fields_of(table))
        return config.replace(**overrides) if overrides else config

    @overload
    @classmethod
    def from_pretrained(
        cls, name: str | Path | None = None, *, return_unused_kwargs: Literal[True], **options: Any
    ) -> tuple[DistilBertConfig, dict[str, Any]]: ...

    @overload
    @classmethod
    def from_pretrained(
        cls, name: str | Path | None = None, **options: Any
    ) -> DistilBertConfig: ...

    @classmethod
    def from_pretrained(cls, name: str | Path | None = None, **options: Any) -> Any:
        """The configuration of a checkpoint: a folder, a bundled or a hub name; or a file.

        A file is a config.json, or YAML with the same fields, as in configs/models.

        Args:
            name: Where it is.  Also called pretrained_model_name_or_path.
            **options: `revision`, `cache_dir`, `local_files_only` and `token` as in
                `distil.load`; `subfolder`; `return_unused_kwargs`, to get a pair of the
                configuration and the options that are not fields; all others override a field.

        Raises:
            InputError: An argument is refused.
            ConfigError: A value is wrong, or there is no such field.
        """
        name = keywords.first_argument(name, options, "pretrained_model_name_or_path")
        name = keywords.in_subfolder(name, options)
        pair = options.pop("return_unused_kwargs", False)
        hub_options, overrides = hub.split_options(keywords.loading(options))
        check_name(name, "name")
        path, own = config_files.find(name, hub_options)
        try:
            config = cls.from_dict(config_files.read(path, own=own))
            unused = {n: x for n, x in overrides.items() if pair and n not in config.settable}
            config = config.replace(**{n: x for n, x in overrides.items() if n not in unused})
            config.name_or_path = name
            return (config, unused) if pair else config
        except ConfigError as error:
            raise error.at(path) from None

    def save_pretrained(self, folder: str | Path | None = None, **options: Any) -> None:
        """Write config.json into `folder`, making the folder if need be.

        Args:
            folder: Where to.  Also called save_directory.
            **options: See `distil.common.compatibility.keywords`.

        Raises:
            ConfigError: A number in it is not finite.
            CheckpointError: It cannot be written.
        """
        folder = Path(keywords.first_argument(folder, options, "save_directory"))
        keywords.saving(options)
        config_files.write(folder, self.to_dict())


def read_config(folder: Path) -> tuple[DistilBertConfig, str]:
    """The configuration of the checkpoint in a folder, and the model type it declares.

    Raises:
        ConfigError: It is not valid.
    """
    path = current_config(folder)
    try:
        table = config_files.read(path, own=True)
        return DistilBertConfig.from_dict(table), table.get("model_type", MODEL_TYPE)
    except ConfigError as error:
        raise error.at(path) from None


_FIELDS = {item.name: item for item in fields(DistilBertConfig) if item.name != "extra"}
_LABELS = {"id2label", "label2id"}
_SETTABLE = frozenset({*_FIELDS, *ALIASES, *KNOWN, "num_labels", "extra", "model_type"})
_ALWAYS_WRITTEN = (
    "activation", "attention_dropout", "dim", "dropout", "hidden_dim", "initializer_range",
    "max_position_embeddings", "n_heads", "n_layers", "pad_token_id", "qa_dropout",
    "seq_classif_dropout", "sinusoidal_pos_embds", "tie_word_embeddings", "vocab_size",
)  # fmt: skip


def _rule(name: str) -> Rule:
    rule: Rule = _FIELDS[name].metadata["rule"]
    return rule


def _default(item: Any) -> Any:
    return item.default_factory() if item.default is MISSING else item.default
