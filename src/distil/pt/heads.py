"""The encoder by itself and under five heads, in PyTorch.

Shapes: b batch, s length, d dim.  The twin of this file is `distil.tf.heads`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from distil.common import labels as rules
from distil.common.config import DistilBertConfig
from distil.common.outputs import (
    EncoderOutput,
    HeadOutput,
    ModelOutput,
    QuestionAnsweringOutput,
)
from distil.common.spec import NORM_EPSILON
from distil.pt import losses
from distil.pt.activations import ACTIVATIONS
from distil.pt.checks import check_inputs
from distil.pt.dropout import Dropout
from distil.pt.encoder import Embeddings, Transformer
from distil.pt.model import DistilBertPreTrainedModel


class DistilBertModel(DistilBertPreTrainedModel):
    """The encoder: token ids to hidden states."""

    task = "base"

    def make_layers(self, config: DistilBertConfig) -> None:  # noqa: D102
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> EncoderOutput | tuple[Any, ...]:
        """Encode texts.

        Args:
            input_ids: Token ids (b, s), of any integer type.
            attention_mask: 0 where a token is padding (b, s); None shows all.
            head_mask: Factors for attention heads, (n_heads) or (n_layers, n_heads).
            inputs_embeds: Word embeddings (b, s, d) instead of ids.
            output_attentions: Give attention weights; None as the configuration says.
            output_hidden_states: Give all hidden states; None as the configuration says.
            return_dict: Give an output object rather than a tuple; None likewise.
            position_ids: Position of each token, (b, s) or (s); None counts from 0.
            token_type_ids: Ignored, with one warning: DistilBERT has none.

        Raises:
            InputError: The inputs do not fit the model or one another.
        """
        check_inputs(
            self.config,
            input_ids,
            attention_mask,
            inputs_embeds,
            position_ids,
            token_type_ids,
            head_mask,
        )
        output = self.transformer(
            self.embeddings(input_ids, position_ids, inputs_embeds),
            attention_mask,
            head_mask,
            self.chosen("output_attentions", output_attentions),
            self.chosen("output_hidden_states", output_hidden_states),
        )
        return self.finish(output, return_dict)


class DistilBertHeadModel(DistilBertPreTrainedModel):
    """The encoder under a head; a head says its layers, and how it scores hidden states."""

    output_class: type[ModelOutput] = HeadOutput

    def make_layers(self, config: DistilBertConfig) -> None:  # noqa: D102
        self.distilbert = DistilBertModel(config, initialise=False)
        self.make_head(config)

    def make_head(self, config: DistilBertConfig) -> None:
        """Set the head's modules as attributes."""
        raise NotImplementedError

    def head(self, hidden: Tensor) -> Tensor:
        """Logits from the encoder's last hidden states (b, s, d)."""
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> HeadOutput | tuple[Any, ...]:
        """Score texts; the arguments are those of `DistilBertModel.forward`, and one more.

        Args:
            labels: What to learn, see `distil.common.labels`; with them there is a loss.

        Raises:
            InputError: The inputs or labels do not fit the model or one another.
        """
        return self.run(
            labels,
            return_dict,
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            token_type_ids=token_type_ids,
        )

    def run(
        self, targets: Any, return_dict: bool | None, **inputs: Any
    ) -> ModelOutput | tuple[Any, ...]:
        """What `forward` does, whatever it calls its targets."""
        texts = inputs["inputs_embeds"] if inputs["input_ids"] is None else inputs["input_ids"]
        return self.finish(self.outcome(self.encode(**inputs), texts, targets), return_dict)

    def encode(self, **arguments: Any) -> EncoderOutput:
        """Run the encoder."""
        return self.distilbert(**arguments, return_dict=True)

    def outcome(self, encoded: EncoderOutput, texts: Tensor, targets: Any) -> ModelOutput:
        """The output, with a loss where there are targets.

        Args:
            encoded: The output of the encoder.
            texts: The ids or embeddings that it encoded.
            targets: As `loss_of` takes them, or None.
        """
        scores = self.split(self.head(encoded.last_hidden_state), texts)
        loss = None if targets is None else self.loss_of(scores, targets)
        return self.output_class(loss, *scores, encoded.hidden_states, encoded.attentions)

    def split(self, logits: Tensor, texts: Tensor) -> tuple[Tensor, ...]:
        """Logits as the output has them, which may be in several tensors."""
        return (logits,)

    def loss_of(self, scores: tuple[Tensor, ...], targets: Any) -> Tensor:
        """The loss of logits, as `split` gives them, on labels."""
        return losses.loss(self.config, self.task, *scores, targets)


class DistilBertForMaskedLM(DistilBertHeadModel):
    """Scores every word of the vocabulary at every position: logits (b, s, vocab_size)."""

    task = "masked-lm"

    def make_head(self, config: DistilBertConfig) -> None:  # noqa: D102
        self.activation = ACTIVATIONS[config.activation]
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, eps=NORM_EPSILON)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)

    def head(self, hidden: Tensor) -> Tensor:  # noqa: D102
        transformed = self.activation(self.vocab_transform(hidden))  # b s d
        return self.vocab_projector(self.vocab_layer_norm(transformed))

    def tie_weights(self) -> None:
        """Let the projector use the word embeddings, unless the configuration says otherwise."""
        if self.config.tie_word_embeddings:
            self.vocab_projector.weight = self.get_input_embeddings().weight
            self.vocab_projector.out_features = self.vocab_projector.weight.shape[0]

    def get_output_embeddings(self) -> nn.Linear:
        """The layer that scores words."""
        return self.vocab_projector


class DistilBertForSequenceClassification(DistilBertHeadModel):
    """Classifies a text, or a pair of them, by its first token: logits (b, num_labels)."""

    task = "sequence-classification"

    def make_head(self, config: DistilBertConfig) -> None:  # noqa: D102
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.dropout = Dropout(config.seq_classif_dropout)
        self.classifier = nn.Linear(config.dim, self.outputs(config))

    def outputs(self, config: DistilBertConfig) -> int:
        """How many numbers are given for a text."""
        return config.num_labels

    def head(self, hidden: Tensor) -> Tensor:  # noqa: D102
        pooled = functional.relu(self.pre_classifier(hidden[:, 0]))  # b d
        return self.classifier(self.dropout(pooled))


class DistilBertForMultipleChoice(DistilBertForSequenceClassification):
    """Scores several texts a row, inputs (b, choices, s), against each other: (b, choices)."""

    task = "multiple-choice"

    def outputs(self, config: DistilBertConfig) -> int:  # noqa: D102
        return 1

    def encode(self, **arguments: Any) -> EncoderOutput:
        """Run the encoder on all choices as if each were a row of its own."""
        names = ("input_ids", "attention_mask", "inputs_embeds", "position_ids", "token_type_ids")
        check_inputs(self.config, *(arguments[name] for name in names), choices=True)
        for name in names:
            if arguments[name] is not None and arguments[name].dim() > 2:
                arguments[name] = arguments[name].flatten(0, 1)
        return super().encode(**arguments)

    def split(self, logits: Tensor, texts: Tensor) -> tuple[Tensor, ...]:
        """One number a text, as rows of choices."""
        return (logits.reshape(texts.shape[:2]),)


class DistilBertForTokenClassification(DistilBertHeadModel):
    """Classifies every token: logits (b, s, num_labels)."""

    task = "token-classification"

    def make_head(self, config: DistilBertConfig) -> None:  # noqa: D102
        self.dropout = Dropout(config.dropout)
        self.classifier = nn.Linear(config.dim, config.num_labels)

    def head(self, hidden: Tensor) -> Tensor:  # noqa: D102
        return self.classifier(self.dropout(hidden))


class DistilBertForQuestionAnswering(DistilBertHeadModel):
    """Scores every token as the start and as the end of an answer: each (b, s)."""

    task = "question-answering"
    output_class = QuestionAnsweringOutput

    def make_head(self, config: DistilBertConfig) -> None:  # noqa: D102
        rules.check_task(config, self.task)
        self.dropout = Dropout(config.qa_dropout)
        self.qa_outputs = nn.Linear(config.dim, config.num_labels)

    def head(self, hidden: Tensor) -> Tensor:  # noqa: D102
        return self.qa_outputs(self.dropout(hidden))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> QuestionAnsweringOutput | tuple[Any, ...]:
        """Find answers; the arguments are those of `DistilBertModel.forward`, and two more.

        Args:
            start_positions: First token of the answer (b); outside of the text it is ignored.
            end_positions: Last token of the answer (b), likewise.

        Raises:
            InputError: The inputs or positions do not fit the model or one another.
        """
        return self.run(
            rules.positions(start_positions, end_positions),
            return_dict,
            input_ids=input_ids,
            attention_mask=attention_mask,
            head_mask=head_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            position_ids=position_ids,
            token_type_ids=token_type_ids,
        )

    def split(self, logits: Tensor, texts: Tensor) -> tuple[Tensor, ...]:
        """Those of starts, and those of ends."""
        return logits.unbind(-1)

    def loss_of(self, scores: tuple[Tensor, ...], targets: Any) -> Tensor:
        """The loss of logits on start and end positions."""
        return losses.span(*scores, *targets)
