"""What transformers' configuration has besides: other names, other ways in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from distil.common.compatibility import keywords
from distil.errors import ConfigError
from distil.storage.files import json_text, write_json

# Keys that transformers' configurations may have, and that say nothing about a DistilBERT.  They
# can be set when a configuration is loaded, and are kept.
KNOWN = frozenset({
    "add_cross_attention", "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
    "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id",
    "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
    "eos_token_id", "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id",
    "forced_eos_token_id", "is_decoder", "is_encoder_decoder", "length_penalty", "max_length",
    "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_past", "output_scores", "prefix", "remove_invalid_values", "repetition_penalty",
    "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params",
    "temperature", "tf_legacy_loss", "tie_encoder_decoder", "tie_weights_", "tokenizer_class",
    "top_k", "top_p", "torchscript", "transformers_version", "typical_p", "use_bfloat16",
    "use_cache",
})  # fmt: skip


# What those of them that are asked for are where nothing has set them.
DEFAULTS: Mapping[str, Any] = {
    "add_cross_attention": False, "bos_token_id": None, "chunk_size_feed_forward": 0,
    "eos_token_id": None, "finetuning_task": None, "is_decoder": False, "prefix": None,
    "sep_token_id": None, "task_specific_params": None, "tie_encoder_decoder": False,
    "tokenizer_class": None, "torchscript": False,
}  # fmt: skip


class ConfigHabits:
    """Base of `DistilBertConfig`."""

    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers",
    }  # fmt: skip

    is_encoder_decoder: ClassVar[bool] = False
    is_composition: ClassVar[bool] = False
    # Attributes that begin with an underscore are set on an object, and never saved.
    _commit_hash: str | None = None
    _attn_implementation: str | None = "sdpa"
    _name_or_path: str = ""

    if TYPE_CHECKING:
        extra: dict[str, Any]
        return_dict: bool
        torchscript: bool

        def to_dict(self) -> dict[str, Any]: ...  # noqa: D102
        @classmethod
        def from_dict(cls, table: Mapping[str, Any]) -> Self: ...  # noqa: D102
        @classmethod
        def from_pretrained(cls, name: Any) -> Any: ...  # noqa: D102

    def __iter__(self) -> Iterator[str]:
        yield from self.to_dict()

    def __contains__(self, name: object) -> bool:
        return name in self.to_dict()

    @property
    def use_return_dict(self) -> bool:
        """Whether a model gives objects: `return_dict`, but never for torch.jit."""
        return bool(self.return_dict and not self.torchscript)

    @property
    def name_or_path(self) -> str:
        """What the configuration was loaded by; not saved."""
        return self._name_or_path

    @name_or_path.setter
    def name_or_path(self, value: Any) -> None:
        object.__setattr__(self, "_name_or_path", str(value))

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """A configuration from one, from one of transformers', or from a name or a path.

        Raises:
            ConfigError: It is none of these.
        """
        if value is None or isinstance(value, cls):
            return value
        if isinstance(value, str | Path):
            return cls.from_pretrained(value)  # type: ignore[no-any-return]
        if hasattr(value, "to_diff_dict"):
            return cls.from_dict(value.to_diff_dict())
        raise ConfigError(
            "not a configuration", expected="a DistilBertConfig, a folder or a file",
            found=type(value).__name__, where="config",
        )  # fmt: skip

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: Any, **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The content of a checkpoint's configuration, and the options that are fields of it."""
        config, rest = cls.from_pretrained(  # type: ignore[call-arg]
            pretrained_model_name_or_path, return_unused_kwargs=True, **options
        )
        return config.to_dict(), rest

    def to_diff_dict(self) -> dict[str, Any]:
        """`to_dict`, which leaves defaults out by itself."""
        return self.to_dict()

    @classmethod
    def from_json_file(cls, json_file: str | Path) -> Self:
        """The configuration in a JSON file."""
        return cls.from_pretrained(json_file)  # type: ignore[no-any-return]

    def to_json_string(self, use_diff: bool = True) -> str:
        """The content of config.json as text."""
        return json_text(self.to_dict())

    def to_json_file(self, json_file_path: str | Path, use_diff: bool = True) -> None:
        """Write the content of config.json to a file."""
        write_json(Path(json_file_path), self.to_dict())

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Set several fields, one after another, as by assignment."""
        for name, value in config_dict.items():
            setattr(self, name, value)

    def push_to_hub(self, *_: Any, **__: Any) -> None:
        """Refused: nothing here uploads."""
        keywords.saving({"push_to_hub": True})
