"""Models in the hands of PyTorch libraries that know nothing of them, as their pages show."""

import copy

import pytest
import torch
from torch.utils.data import DataLoader

import distil
from support.folders import make_folder, make_tokenizer

pytestmark = [pytest.mark.pt, pytest.mark.filterwarnings("ignore")]  # of these libraries
TEXTS = ["it is a film", "good", "it is bad", "the good film"]
CLASSIFIER = "sequence-classification"


@pytest.fixture
def model(tmp_path):
    folder = make_folder(tmp_path / "model", CLASSIFIER, num_labels=2)
    return distil.load(folder, framework="pt")


@pytest.fixture
def batch():
    return make_tokenizer()(TEXTS, padding=True, return_tensors="pt")


def test_gradient_checkpointing_by_its_name_in_transformers_5(model):
    model.activation_checkpointing_enable({"use_reentrant": False}, every_n_layers=1, offload=False)
    assert model.is_activation_checkpointing
    assert model.distilbert.transformer.gradient_checkpointing
    model.activation_checkpointing_disable()
    assert not model.is_gradient_checkpointing
    for option in ({"every_n_layers": 2}, {"offload": True}):
        with pytest.raises(distil.InputError, match=next(iter(option))):
            model.activation_checkpointing_enable(**option)
    assert not model.is_activation_checkpointing


class TestLightning:
    @pytest.fixture
    def lightning(self):
        return pytest.importorskip("lightning")

    @pytest.fixture
    def module(self, lightning, tmp_path):
        class Module(lightning.LightningModule):
            def __init__(self, name, rate=1e-2):
                super().__init__()
                self.save_hyperparameters()
                self.model = distil.load(name, framework="pt")

            def training_step(self, batch, _):
                return self.model(**batch).loss

            def validation_step(self, batch, _):
                self.log("loss", self.model(**batch).loss)

            def configure_optimizers(self):
                return torch.optim.AdamW(self.parameters(), lr=self.hparams.rate)

        return Module(str(make_folder(tmp_path / "model", CLASSIFIER, num_labels=2)))

    def test_fit_validate_and_go_on(self, lightning, module, batch, tmp_path):
        rows = [
            {name: values[number] for name, values in batch.items()}
            | {"labels": torch.tensor(number % 2)}
            for number in range(len(TEXTS))
        ]
        loader = DataLoader(rows, batch_size=2)

        def trainer(epochs):
            return lightning.Trainer(
                max_epochs=epochs, accelerator="cpu", default_root_dir=tmp_path, logger=False,
                enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            )  # fmt: skip

        first = trainer(1)
        (before,) = first.validate(module, loader, verbose=False)
        first.fit(module, loader, loader)
        (after,) = first.validate(module, loader, verbose=False)
        assert after["loss"] < before["loss"]
        assert module.model.training == first.training  # Lightning sets modes, and sets them back
        saved = first.checkpoint_callback.best_model_path
        again = type(module).load_from_checkpoint(saved)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
        trainer(2).fit(module, loader, ckpt_path=saved)
        module.model.save_pretrained(tmp_path / "saved")
        saved = distil.load(tmp_path / "saved", framework="pt").state_dict()
        assert all(saved[name].equal(x) for name, x in module.model.state_dict().items())


class TestCaptum:
    @pytest.fixture
    def attr(self):
        pytest.importorskip("captum")
        from captum import attr

        return attr

    @pytest.fixture
    def score(self, model):
        return lambda ids, mask: model(input_ids=ids, attention_mask=mask).logits

    def test_layer_integrated_gradients_add_up(self, attr, model, score, batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        method = attr.LayerIntegratedGradients(score, model.distilbert.embeddings.word_embeddings)
        found, delta = method.attribute(
            ids, torch.zeros_like(ids), additional_forward_args=(mask,), target=1, n_steps=200,
            return_convergence_delta=True,
        )  # fmt: skip
        assert found.shape == (*ids.shape, model.config.dim)
        apart = (score(ids, mask) - score(torch.zeros_like(ids), mask))[:, 1]
        torch.testing.assert_close(found.sum((1, 2)), apart, rtol=0.05, atol=0.02)
        assert delta.abs().max() < 0.02 + 0.05 * apart.abs().max()

    def test_gradients_of_embeddings(self, attr, model, batch):
        vectors = model.get_input_embeddings()(batch["input_ids"]).detach().requires_grad_()
        mask = batch["attention_mask"]
        method = attr.Saliency(lambda x: model(inputs_embeds=x, attention_mask=mask).logits)
        found = method.attribute(vectors, target=0)
        (expected,) = torch.autograd.grad(
            model(inputs_embeds=vectors, attention_mask=mask).logits[:, 0].sum(), vectors
        )
        torch.testing.assert_close(found, expected.abs())


class TestTorchao:
    @pytest.fixture
    def quantization(self):
        pytest.importorskip("torchao")
        from torchao import quantization

        return quantization

    @pytest.mark.parametrize(
        "kind", ["Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig"]
    )
    def test_computes_and_is_refused_by_name_when_saved(
        self, quantization, kind, model, batch, tmp_path
    ):
        plain = copy.deepcopy(model)
        quantization.quantize_(model, getattr(quantization, kind)())
        with torch.no_grad():
            found, expected = model(**batch).logits, plain(**batch).logits
        assert not found.equal(expected)
        assert (found - expected).abs().max() < 0.1 * expected.abs().max()
        with pytest.raises(distil.InputError) as caught:
            model.save_pretrained(tmp_path / "saved")
        assert caught.value.fix
        assert not list((tmp_path / "saved").iterdir())
