"""What transformers' PyTorch models have besides; see `distil.common.compatibility`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from distil.arrays import Array
from distil.common.compatibility.model import ModelHabits
from distil.common.spec import parameters
from distil.pt.weights import owner, to_numpy, to_tensor


class Habits(ModelHabits):
    """A base of all PyTorch models."""

    @classmethod
    def first_accelerator(cls) -> str | None:
        """What device_map="auto" means."""
        return "cuda" if torch.cuda.is_available() else "cpu"

    @classmethod
    def as_array(cls, value: Any) -> Array:
        """A tensor of a state_dict, as an array."""
        return to_numpy(value) if isinstance(value, Tensor) else value

    @property
    def dummy_inputs(self) -> dict[str, Tensor]:
        """Inputs that the model takes."""
        return {"input_ids": torch.from_numpy(self.example_ids())}

    @property
    def _keys_to_ignore_on_save(self) -> list[str] | None:
        """What a file lacks because it is one with another weight; Trainer asks when it resumes."""
        tied = self.task == "masked-lm" and self.config.tie_word_embeddings
        return ["vocab_projector.weight"] if tied else None

    def own_weights(self) -> dict[str, Tensor]:
        """Weights that a subclass has besides, by their names in the state_dict."""
        places = (owner(self, weight) for weight in parameters(self.config, self.task))
        known = {id(getattr(module, leaf)) for module, leaf, _ in places}
        state = self.state_dict(keep_vars=True)
        return {name: value for name, value in state.items() if id(value) not in known}

    @torch.no_grad()
    def put_own(self, name: str, array: Array) -> None:
        """Give one of these its values."""
        old = self.own_weights()[name]
        old.copy_(to_tensor(array).to(old.device, old.dtype))

    def enable_input_require_grads(self) -> None:
        """Let gradients flow into the embeddings' output, even where their table is frozen."""
        self._require_grads_hook = self.get_input_embeddings().register_forward_hook(
            lambda module, inputs, output: output.requires_grad_(True)
        )

    def disable_input_require_grads(self) -> None:
        """Take that back."""
        self._require_grads_hook.remove()

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of all parameters, and of buffers."""
        tensors = [*self.parameters(), *(self.buffers() if return_buffers else ())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the layer that scores words."""
        self.vocab_projector = new_embeddings
