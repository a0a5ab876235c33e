"""Outputs read as objects, as tuples and as mappings, like those of transformers."""

from dataclasses import fields

import pytest

from distil.common.outputs import OUTPUTS, EncoderOutput, HeadOutput, QuestionAnsweringOutput

FIELDS = {
    EncoderOutput: ["last_hidden_state", "hidden_states", "attentions"],
    HeadOutput: ["loss", "logits", "hidden_states", "attentions"],
    QuestionAnsweringOutput: ["loss", "start_logits", "end_logits", "hidden_states", "attentions"],
}


@pytest.mark.parametrize("cls", OUTPUTS)
def test_fields_and_their_order(cls):
    assert [item.name for item in fields(cls)] == FIELDS[cls]
    assert cls().to_tuple() == ()


OUTPUT = HeadOutput(loss=None, logits="logits", attentions=("one", "two"))


def test_as_an_object():
    assert OUTPUT.logits == "logits"
    assert OUTPUT.loss is None


def test_as_a_tuple():
    assert OUTPUT.to_tuple() == ("logits", ("one", "two"))
    assert OUTPUT[0] == "logits"
    assert OUTPUT[-1] == ("one", "two")
    assert OUTPUT[:1] == ("logits",)
    assert len(OUTPUT) == 2
    with pytest.raises(IndexError):
        OUTPUT[2]


def test_as_a_mapping():
    assert dict(OUTPUT) == {"logits": "logits", "attentions": ("one", "two")}
    assert list(OUTPUT) == OUTPUT.keys() == ["logits", "attentions"]
    assert OUTPUT.values() == ["logits", ("one", "two")]
    assert OUTPUT.items() == [("logits", "logits"), ("attentions", ("one", "two"))]
    assert OUTPUT["logits"] == "logits"
    assert "loss" not in OUTPUT
    assert OUTPUT.get("loss", 7) == 7
    with pytest.raises(KeyError):
        OUTPUT["loss"]


def test_a_loss_of_0_is_there():
    """What counts is None, not truth."""
    output = HeadOutput(loss=0.0, logits=1.0)
    assert output.to_tuple() == (0.0, 1.0)
