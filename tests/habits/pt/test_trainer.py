"""transformers' Trainer on models of this library, and what it saves."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import distil
from support.folders import make_folder, make_tokenizer
from support.models import NO_DROPOUT

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from distil.pt.trainer import Trainer, WholeCheckpoints  # noqa: E402 - needs both

pytestmark = [
    pytest.mark.pt,
    pytest.mark.filterwarnings("ignore:.*torch_dtype.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers"),
]
TEXTS = ["it is a film", "good", "it is bad", "who was born in paris ?", "the", "good film"]
CLASSIFIER = "sequence-classification"


@pytest.fixture
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def rows(tokenizer):
    """Ragged ones."""
    return [
        {**tokenizer(text), "labels": number % 3} for number, text in enumerate(TEXTS)
    ]  # fmt: skip


def arguments(folder, **options):
    return transformers.TrainingArguments(
        str(folder), **{
            "per_device_train_batch_size": 2, "num_train_epochs": 2, "learning_rate": 1e-2,
            "report_to": "none", "use_cpu": True, "disable_tqdm": True, "logging_strategy": "no",
            "dataloader_pin_memory": False, "save_strategy": "no", "seed": 5, **options,
        }
    )  # fmt: skip


def load(folder, task=CLASSIFIER, **changes):
    make_folder(folder, task, **changes)
    return distil.load(folder, framework="pt", task=task)


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, msg=name)


def logits_of(model, batch):
    with torch.no_grad():
        return model.eval()(**batch).logits


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing_factor": 0.1},
        {"gradient_checkpointing": True,
         "gradient_checkpointing_kwargs": {"use_reentrant": False}},
    ],
    ids=["plain", "label smoothing", "gradient checkpointing"],
)  # fmt: skip
def test_trains_evaluates_and_predicts(options, rows, tokenizer, tmp_path):
    model = load(tmp_path / "model")
    trainer = Trainer(
        model=model, args=arguments(tmp_path / "out", **options), train_dataset=rows,
        eval_dataset=rows, processing_class=tokenizer,
        compute_metrics=lambda found: {
            "right": float((found.predictions.argmax(-1) == found.label_ids).mean())
        },
    )  # fmt: skip
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_loss"] < before
    found = trainer.predict(rows)
    assert found.predictions.shape == (6, 3)
    assert found.metrics["test_right"] == after["eval_right"]
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    np.testing.assert_allclose(found.predictions, logits_of(model, batch), rtol=1e-4, atol=1e-5)


def test_a_loss_of_ones_own_and_keys_to_leave_out(rows, tokenizer, tmp_path):
    model = load(tmp_path / "model", output_hidden_states=True)
    seen = []

    def loss(outputs, labels, num_items_in_batch=None):
        seen.append(type(outputs))
        return outputs.logits.square().sum() + labels.sum() * 0

    trainer = Trainer(
        model=model, args=arguments(tmp_path / "out"), train_dataset=rows,
        processing_class=tokenizer, compute_loss_func=loss,
    )  # fmt: skip
    trainer.train()
    assert seen[0].__name__ == "HeadOutput"
    found = trainer.predict(rows, ignore_keys=["hidden_states"])
    assert found.predictions.shape == (6, 3)


def test_what_is_saved_is_whole(rows, tokenizer, tmp_path):
    model = load(tmp_path / "model")
    trainer = Trainer(
        model=model, train_dataset=rows, eval_dataset=rows, processing_class=tokenizer,
        args=arguments(
            tmp_path / "out", save_strategy="epoch", eval_strategy="epoch",
            load_best_model_at_end=True,
        ),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(tmp_path / "last")
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = logits_of(model, batch)
    best = trainer.state.best_model_checkpoint
    assert best is not None
    for folder in (tmp_path / "last", best):
        ours = distil.load(folder, framework="pt")
        theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        torch.testing.assert_close(logits_of(ours, batch), expected, rtol=0, atol=0)
        torch.testing.assert_close(logits_of(theirs, batch), expected)
        for read in (distil.load_tokenizer, transformers.AutoTokenizer.from_pretrained):
            assert read(folder)(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]
    assert (tmp_path / "last" / "training_args.bin").exists()


def test_it_goes_on_as_if_never_interrupted(rows, tokenizer, tmp_path):
    def trainer(folder, **options):
        model = load(tmp_path / "model", **NO_DROPOUT)
        return Trainer(
            model=model, train_dataset=rows, processing_class=tokenizer,
            args=arguments(folder, save_strategy="steps", save_steps=2, **options),
        )  # fmt: skip

    whole = trainer(tmp_path / "out")
    whole.train()
    again = trainer(tmp_path / "out")
    again.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    assert_same(weights(again.model), weights(whole.model))


@pytest.mark.parametrize("tied", [True, False])
def test_masked_lm(tied, tokenizer, tmp_path):
    rows = [tokenizer(text) for text in TEXTS]
    model = load(tmp_path / "model", "masked-lm", tie_word_embeddings=tied)
    trainer = Trainer(
        model=model, train_dataset=rows,
        args=arguments(tmp_path / "out", save_strategy="epoch", num_train_epochs=1),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer),
    )  # fmt: skip
    trainer.train()
    folder = tmp_path / "out" / "checkpoint-3"
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = logits_of(model, batch)
    ours = distil.load(folder, framework="pt")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    torch.testing.assert_close(logits_of(ours, batch), expected, rtol=0, atol=0)
    torch.testing.assert_close(logits_of(theirs, batch), expected)
    assert distil.load_tokenizer(folder)(TEXTS)["input_ids"] == [row["input_ids"] for row in rows]
    trainer.train(resume_from_checkpoint=str(folder))
    assert model.vocab_projector.weight.equal(
        model.get_input_embeddings().weight
    ) == tied  # fmt: skip


def test_which_collator(rows, tokenizer, tmp_path):
    model = load(tmp_path / "model")
    options = {"model": model, "args": arguments(tmp_path / "out")}
    own = transformers.DataCollatorWithPadding(tokenizer, padding="max_length")
    chosen = Trainer(processing_class=tokenizer, **options).data_collator
    assert type(chosen) is transformers.DataCollatorWithPadding
    assert Trainer(processing_class=tokenizer, data_collator=own, **options).data_collator is own
    assert Trainer(**options).data_collator is transformers.default_data_collator
    theirs = transformers.DistilBertTokenizerFast(vocab_file=str(tmp_path / "model" / "vocab.txt"))
    chosen = Trainer(processing_class=theirs, **options).data_collator
    assert type(chosen) is transformers.DataCollatorWithPadding


def test_adapters_of_peft(rows, tokenizer, tmp_path):
    peft = pytest.importorskip("peft")
    model = load(tmp_path / "model")
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["q_lin", "v_lin"])
    )
    trainer = Trainer(
        model=adapted, args=arguments(tmp_path / "out"), train_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    trainer.save_model(tmp_path / "adapters")
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = logits_of(adapted, batch)
    assert not (tmp_path / "adapters" / "model.safetensors").exists()
    again = peft.PeftModel.from_pretrained(
        distil.load(tmp_path / "model", framework="pt"), tmp_path / "adapters"
    )
    torch.testing.assert_close(logits_of(again, batch), expected)
    merged = again.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    whole = distil.load(tmp_path / "merged", framework="pt")
    torch.testing.assert_close(logits_of(whole, batch), expected)


def test_weights_that_others_hand_over_are_what_is_saved(rows, tmp_path):
    """As accelerate does for what is spread over devices; and a module of no library."""
    model = load(tmp_path / "model")
    trainer = Trainer(model=model, args=arguments(tmp_path / "out"), train_dataset=rows)
    trainer._save(tmp_path / "saved", {name: x + 1 for name, x in model.state_dict().items()})
    again = distil.load(tmp_path / "saved", framework="pt")
    assert again.classifier.bias.equal(model.classifier.bias + 1)
    other = Trainer(model=torch.nn.Linear(2, 2), args=arguments(tmp_path / "out"))
    other.save_model(tmp_path / "other")
    assert (tmp_path / "other" / "model.safetensors").exists()


def test_what_transformers_own_trainer_saved_is_not_lost(rows, tokenizer, tmp_path):
    model = load(tmp_path / "model")
    trainer = transformers.Trainer(
        model=model, args=arguments(tmp_path / "out"), train_dataset=rows,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(tmp_path / "saved")
    with pytest.raises(distil.CheckpointNotFoundError) as caught:
        distil.load(tmp_path / "saved", framework="pt")
    assert "from_pretrained(folder, config=" in caught.value.fix
    again = type(model).from_pretrained(tmp_path / "saved", config=tmp_path / "model")
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    torch.testing.assert_close(logits_of(again, batch), logits_of(model, batch), rtol=0, atol=0)


def test_other_trainers_save_whole_checkpoints_too(rows, tokenizer, tmp_path):
    class Theirs(transformers.Trainer):
        pass

    class Mine(WholeCheckpoints, Theirs):
        pass

    model = load(tmp_path / "model")
    trainer = Mine(
        model, arguments(tmp_path / "out", max_steps=1, save_strategy="steps", save_steps=1),
        train_dataset=rows, processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    saved = distil.load(tmp_path / "out" / "checkpoint-1", framework="pt")
    assert_same(weights(saved), weights(model))


def test_the_example_of_the_page(tmp_path, monkeypatch):
    page = Path(__file__).parents[3] / "docs" / "libraries.md"
    (example,) = re.findall(r"^```py\n(.*?)^```", page.read_text(), re.M | re.S)
    make_folder(tmp_path / "my-checkpoint", CLASSIFIER, num_labels=2)
    monkeypatch.chdir(tmp_path)
    exec(example.replace('report_to="none"', 'report_to="none", **quiet'), {
        "quiet": {"use_cpu": True, "disable_tqdm": True, "dataloader_pin_memory": False},
    })  # fmt: skip
    assert distil.load(tmp_path / "my-model", framework="pt").num_labels == 2
