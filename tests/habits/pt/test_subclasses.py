"""Classes of one's own on distil's, as transformers' tutorials write them."""

import numpy as np
import pytest
import torch

import distil
from distil.pt import (
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertPreTrainedModel,
)
from support.models import batch_for, build, config_for, spread

pytestmark = pytest.mark.pt
CLASSIFIER = "sequence-classification"


class WithHead(DistilBertForSequenceClassification):
    """Takes a configuration and no more."""

    def __init__(self, config):
        super().__init__(config)
        self.extra = torch.nn.Linear(config.dim, 3)
        self.post_init()


class WithArgument(DistilBertForSequenceClassification):
    """Takes an argument of its own."""

    def __init__(self, config, width=2, **options):
        super().__init__(config, **options)
        self.extra = torch.nn.Linear(config.dim, width)


class TwoTasks(DistilBertPreTrainedModel):
    """The encoder under heads of its own."""

    def __init__(self, config):
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.topic = torch.nn.Linear(config.dim, 5)
        self.mood = torch.nn.Linear(config.dim, 2)
        self.init_weights()

    def forward(self, **inputs):
        first = self.distilbert(**inputs)[0][:, 0]
        return self.topic(first), self.mood(first)


def state(model):
    return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("cls", [WithHead, WithArgument, TwoTasks])
@pytest.mark.parametrize("format_name", ["safetensors", "bin"])
def test_own_weights_are_kept(cls, format_name, tmp_path):
    model = cls(config_for(CLASSIFIER)).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value)
    model.save_pretrained(tmp_path, format=format_name)
    again = cls.from_pretrained(tmp_path)
    one, other = state(model), state(again)
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert not again.training


def test_an_argument_of_its_own(tmp_path):
    model = WithArgument(config_for(CLASSIFIER), width=7)
    model.save_pretrained(tmp_path)
    assert WithArgument.from_pretrained(tmp_path, width=7).extra.out_features == 7
    # Weights of another shape are new, and that is said.
    with pytest.warns(distil.CheckpointWarning, match=r"extra\.weight"):
        assert WithArgument.from_pretrained(tmp_path).extra.out_features == 2


def test_a_checkpoint_of_the_plain_class(tmp_path):
    config = config_for(CLASSIFIER)
    plain = build("pt", config, CLASSIFIER, spread(config, CLASSIFIER), dtype="float32")
    plain.save_pretrained(tmp_path)
    with pytest.warns(distil.CheckpointWarning, match=r"extra\.weight"):
        model = WithHead.from_pretrained(tmp_path)
    batch = {name: torch.from_numpy(x) for name, x in batch_for(config, CLASSIFIER).items()}
    torch.testing.assert_close(model(**batch).logits, plain(**batch).logits, rtol=0, atol=0)
    model.save_pretrained(tmp_path / "again")
    with pytest.warns(distil.CheckpointWarning, match="extra"):
        distil.load(tmp_path / "again", framework="pt")


def test_heads_of_ones_own_on_an_encoder(tmp_path):
    config = config_for("base")
    encoder = build("pt", config, "base", spread(config, "base"), dtype="float32")
    encoder.save_pretrained(tmp_path)
    with pytest.warns(distil.CheckpointWarning, match=r"topic\.weight"):
        model = TwoTasks.from_pretrained(tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(model.distilbert(ids)[0], encoder(ids)[0], rtol=0, atol=0)
    topic, mood = model(input_ids=ids)
    assert (topic.shape, mood.shape) == ((1, 5), (1, 2))
    model.resize_token_embeddings(70)
    assert model.distilbert.embeddings.word_embeddings.num_embeddings == 70
    assert model.num_parameters() == sum(p.numel() for p in model.parameters())


def test_new_ones_have_weights():
    for cls in (WithHead, TwoTasks):
        torch.manual_seed(0)
        one = cls(config_for(CLASSIFIER))
        assert not any(value.is_meta for value in one.parameters())
        torch.manual_seed(0)
        other = cls(config_for(CLASSIFIER))
        assert all(
            (a == b).all() for a, b in zip(one.parameters(), other.parameters(), strict=True)
        )


def test_the_layout_of_tensorflow_has_no_room(tmp_path):
    with pytest.raises(distil.CheckpointError, match=r"extra\.weight"):
        WithHead(config_for(CLASSIFIER)).save_pretrained(tmp_path, format="h5")


def test_gradients_into_frozen_embeddings():
    model = build("pt", config_for(CLASSIFIER), CLASSIFIER, dtype="float32").train()
    model.requires_grad_(False)
    ids = torch.tensor([[5, 6, 7]])
    assert not model(ids).logits.requires_grad
    model.enable_input_require_grads()
    assert model(ids).logits.requires_grad
    model.disable_input_require_grads()
    assert not model(ids).logits.requires_grad


def test_bytes():
    model = build("pt", config_for(CLASSIFIER), CLASSIFIER, dtype="float32")
    assert model.get_memory_footprint() == 4 * model.num_parameters()
