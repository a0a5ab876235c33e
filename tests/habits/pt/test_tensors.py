"""Tensors of other classes than torch.Tensor, and other ways of PyTorch to compute."""

import copy

import pytest
import torch
import torch.distributed
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import distil
from distil.errors import InputError
from distil.pt import DistilBertForSequenceClassification
from support.models import build, config_for

pytestmark = [
    pytest.mark.pt,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]
CLASSIFIER = "sequence-classification"
IDS = torch.tensor([[5, 6, 7], [8, 9, 0]])


def made(**changes):
    return build("pt", config_for(CLASSIFIER, **changes), CLASSIFIER, dtype="float32").eval()


def test_fake_tensors():
    """Shapes without values; a tensor that is not fake is still looked at."""
    model = made()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output = model(mode.from_tensor(IDS), labels=mode.from_tensor(torch.tensor([0, 1])))
        assert (output.logits.shape, output.loss.shape) == ((2, 3), ())
        fresh = DistilBertForSequenceClassification(model.config)
        assert fresh(torch.zeros(2, 3, dtype=torch.long)).logits.shape == (2, 3)
    with pytest.raises(InputError, match="input_ids"):
        model(IDS + 1000)


@pytest.mark.parametrize("training", [False, True])
def test_forward_derivatives(training):
    """The dropout of both ways is the same."""
    model = made(dropout=0.5, attention_dropout=0.5, seq_classif_dropout=0.5).double()
    model.train(training)
    embeddings = model.get_input_embeddings()(IDS).detach()
    tangent = torch.randn(embeddings.shape, dtype=torch.float64)

    def logits(embeddings):
        torch.manual_seed(3)
        return model(inputs_embeds=embeddings, output_attentions=True).logits

    _, forward = torch.func.jvp(logits, (embeddings,), (tangent,))
    backward = torch.autograd.functional.jacobian(logits, embeddings)
    torch.testing.assert_close(forward, (backward * tangent).sum((2, 3, 4)))


def test_parts_of_weights_are_not_saved(tmp_path):
    """Of FSDP2, in one process: what is saved are whole weights, or nothing."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        model = made()
        shards = fully_shard(copy.deepcopy(model), mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(InputError, match="DTensor"):
            shards.save_pretrained(tmp_path / "shards")
        assert not list((tmp_path / "shards").glob("*"))
        whole = get_model_state_dict(shards, options=StateDictOptions(full_state_dict=True))
        shards.save_pretrained(tmp_path / "whole", state_dict=whole)
    finally:
        torch.distributed.destroy_process_group()
    again = distil.load(tmp_path / "whole", framework="pt")
    torch.testing.assert_close(again(IDS).logits, model(IDS).logits, rtol=0, atol=0)
