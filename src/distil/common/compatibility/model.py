"""What transformers' models have besides: other names, and what asks for nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from distil.arrays import Array
from distil.common.compatibility import keywords
from distil.common.config import DistilBertConfig
from distil.common.model import encoder_of
from distil.errors import InputError


class ModelHabits:
    """A base of all model classes; each framework completes it in its compatibility.py."""

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    main_input_name: ClassVar[str] = "input_ids"
    supports_gradient_checkpointing: ClassVar[bool] = True

    if TYPE_CHECKING:
        task: str
        config: DistilBertConfig

    @property
    def num_labels(self) -> int:
        """Number of classes."""
        return self.config.num_labels

    @property
    def name_or_path(self) -> str:
        """What the model was loaded by, "" for a new one."""
        return self.config.name_or_path

    def example_ids(self) -> Array:
        """Token ids that the model takes: (3, 5), or (3, 1, 5) with choices."""
        ids = np.array([[7, 6, 0, 0, 1], [1, 2, 3, 0, 0], [0, 0, 0, 4, 5]])
        ids = ids % self.config.vocab_size
        return ids[:, None] if self.task == "multiple-choice" else ids

    def can_generate(self) -> bool:
        """Whether the model writes text: no."""
        return False

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: Any = None, every_n_layers: int = 1,
        offload: bool = False,
    ) -> None:  # fmt: skip
        """`gradient_checkpointing_enable` by its name in transformers 5.

        Args:
            activation_checkpointing_kwargs: Accepted; there is one way.
            every_n_layers: Only 1.
            offload: Only False: activations stay on the device.

        Raises:
            InputError: Some layers are to be left out, or activations offloaded.
        """
        if offload:
            raise InputError("activations stay on the device", where="offload", expected=False,
                             found=offload)  # fmt: skip
        model: Any = self
        model.gradient_checkpointing_enable(activation_checkpointing_kwargs, every_n_layers)

    def activation_checkpointing_disable(self) -> None:
        """`gradient_checkpointing_disable` by its name in transformers 5."""
        model: Any = self
        model.gradient_checkpointing_disable()

    @property
    def is_activation_checkpointing(self) -> bool:
        """`is_gradient_checkpointing` by its name in transformers 5."""
        model: Any = self
        return bool(model.is_gradient_checkpointing)

    def post_init(self) -> None:
        """Nothing: a model has its weights when it has its layers."""

    def init_weights(self) -> None:
        """Likewise."""

    def set_input_embeddings(self, value: Any) -> None:
        """Replace the layer with the word embeddings."""
        encoder_of(self).embeddings.word_embeddings = value

    def get_output_embeddings(self) -> Any:
        """The layer that scores words, None in other heads than masked LM."""
        return getattr(self, "vocab_projector", None)

    def push_to_hub(self, *_: Any, **__: Any) -> None:
        """Refused: nothing here uploads."""
        keywords.saving({"push_to_hub": True})
