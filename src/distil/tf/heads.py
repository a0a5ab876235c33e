"""The encoder by itself and under five heads, in TensorFlow.

Shapes: b batch, s length, d dim.  The twin of this file is `distil.pt.heads`.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from distil.common import labels as rules
from distil.common.config import DistilBertConfig
from distil.common.outputs import (
    EncoderOutput,
    HeadOutput,
    ModelOutput,
    QuestionAnsweringOutput,
)
from distil.common.spec import NORM_EPSILON
from distil.tf import losses
from distil.tf.activations import ACTIVATIONS
from distil.tf.checks import check_inputs
from distil.tf.encoder import Embeddings, Transformer
from distil.tf.layers import VocabProjector, dropout, linear, norm, split_seed
from distil.tf.model import Seed, TFDistilBertPreTrainedModel, dropout_seed


@keras.saving.register_keras_serializable("distil")
class TFDistilBertModel(TFDistilBertPreTrainedModel):
    """The encoder: token ids to hidden states."""

    task = "base"

    def make_layers(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        self.embeddings = Embeddings(config, **options)
        self.transformer = Transformer(config, **options)

    def call(
        self,
        input_ids: tf.Tensor | None = None,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        position_ids: tf.Tensor | None = None,
        token_type_ids: tf.Tensor | None = None,
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
            training: Whether dropout is on.
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
        embeddings_seed, transformer_seed = split_seed(dropout_seed(self, training), 2)
        output = self.transformer(
            self.embeddings(
                input_ids=input_ids,
                position_ids=position_ids,
                inputs_embeds=inputs_embeds,
                seed=embeddings_seed,
            ),
            attention_mask=attention_mask,
            head_mask=head_mask,
            output_attentions=self.chosen("output_attentions", output_attentions),
            output_hidden_states=self.chosen("output_hidden_states", output_hidden_states),
            seed=transformer_seed,
        )
        return self.finish(output, return_dict)


class TFDistilBertHeadModel(TFDistilBertPreTrainedModel):
    """The encoder under a head; a head says its layers, and how it scores hidden states."""

    output_class: type[ModelOutput] = HeadOutput

    def make_layers(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        self.distilbert = TFDistilBertModel(config, initialise=False, name="distilbert", **options)
        self.make_head(config, **options)

    def make_head(self, config: DistilBertConfig, **options: Any) -> None:
        """Set the head's layers as attributes."""
        raise NotImplementedError

    def head(self, hidden: tf.Tensor, seed: Seed) -> tf.Tensor:
        """Logits from the encoder's last hidden states (b, s, d)."""
        raise NotImplementedError

    def call(
        self,
        input_ids: tf.Tensor | None = None,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: tf.Tensor | None = None,
        training: bool = False,
        position_ids: tf.Tensor | None = None,
        token_type_ids: tf.Tensor | None = None,
    ) -> HeadOutput | tuple[Any, ...]:
        """Score texts; the arguments are those of `TFDistilBertModel.call`, and one more.

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
            training=training,
        )

    def run(
        self, targets: Any, return_dict: bool | None, **inputs: Any
    ) -> ModelOutput | tuple[Any, ...]:
        """What `call` does, whatever it calls its targets."""
        texts = inputs["inputs_embeds"] if inputs["input_ids"] is None else inputs["input_ids"]
        encoded = self.encode(**inputs)
        seed = dropout_seed(self, inputs["training"])
        return self.finish(self.outcome(encoded, texts, targets, seed), return_dict)

    def encode(self, **arguments: Any) -> EncoderOutput:
        """Run the encoder."""
        return self.distilbert(**arguments, return_dict=True)

    def outcome(
        self, encoded: EncoderOutput, texts: tf.Tensor, targets: Any, seed: Seed
    ) -> ModelOutput:
        """The output, with a loss where there are targets.

        Args:
            encoded: The output of the encoder.
            texts: The ids or embeddings that it encoded.
            targets: As `loss_of` takes them, or None.
            seed: Of dropout.
        """
        scores = self.split(self.head(encoded.last_hidden_state, seed), texts)
        loss = None if targets is None else self.loss_of(scores, targets)
        return self.output_class(loss, *scores, encoded.hidden_states, encoded.attentions)

    def split(self, logits: tf.Tensor, texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Logits as the output has them, which may be in several tensors."""
        return (logits,)

    def loss_of(self, scores: tuple[tf.Tensor, ...], targets: Any) -> tf.Tensor:
        """The loss of logits, as `split` gives them, on labels."""
        return losses.loss(self.config, self.task, *scores, targets)


@keras.saving.register_keras_serializable("distil")
class TFDistilBertForMaskedLM(TFDistilBertHeadModel):
    """Scores every word of the vocabulary at every position: logits (b, s, vocab_size)."""

    task = "masked-lm"

    def make_head(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        self.activation = ACTIVATIONS[config.activation]
        self.vocab_transform = linear(config.dim, config.dim, name="vocab_transform", **options)
        self.vocab_layer_norm = norm(config.dim, NORM_EPSILON, name="vocab_layer_norm", **options)
        inputs = None if config.tie_word_embeddings else config.dim
        self.vocab_projector = VocabProjector(inputs, config.vocab_size, **options)

    def head(self, hidden: tf.Tensor, seed: Seed) -> tf.Tensor:  # noqa: D102
        transformed = self.activation(self.vocab_transform(hidden))  # b s d
        return self.vocab_projector(
            self.vocab_layer_norm(transformed), tied=self.get_input_embeddings()
        )

    def get_output_embeddings(self) -> VocabProjector:
        """The layer that scores words."""
        return self.vocab_projector


@keras.saving.register_keras_serializable("distil")
class TFDistilBertForSequenceClassification(TFDistilBertHeadModel):
    """Classifies a text, or a pair of them, by its first token: logits (b, num_labels)."""

    task = "sequence-classification"

    def make_head(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        self.pre_classifier = linear(config.dim, config.dim, name="pre_classifier", **options)
        self.dropout = config.seq_classif_dropout
        self.classifier = linear(config.dim, self.outputs(config), name="classifier", **options)

    def outputs(self, config: DistilBertConfig) -> int:
        """How many numbers are given for a text."""
        return config.num_labels

    def head(self, hidden: tf.Tensor, seed: Seed) -> tf.Tensor:  # noqa: D102
        pooled = tf.nn.relu(self.pre_classifier(hidden[:, 0]))  # b d
        return self.classifier(dropout(pooled, self.dropout, seed))


@keras.saving.register_keras_serializable("distil")
class TFDistilBertForMultipleChoice(TFDistilBertForSequenceClassification):
    """Scores several texts a row, inputs (b, choices, s), against each other: (b, choices)."""

    task = "multiple-choice"

    def outputs(self, config: DistilBertConfig) -> int:  # noqa: D102
        return 1

    def encode(self, **arguments: Any) -> EncoderOutput:
        """Run the encoder on all choices as if each were a row of its own."""
        names = ("input_ids", "attention_mask", "inputs_embeds", "position_ids", "token_type_ids")
        check_inputs(self.config, *(arguments[name] for name in names), choices=True)
        for name in names:
            if arguments[name] is not None and len(arguments[name].shape) > 2:
                shape = tf.shape(arguments[name])
                rows = tf.concat([[shape[0] * shape[1]], shape[2:]], 0)
                arguments[name] = tf.reshape(arguments[name], rows)
        return super().encode(**arguments)

    def split(self, logits: tf.Tensor, texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """One number a text, as rows of choices."""
        return (tf.reshape(logits, tf.shape(texts)[:2]),)


@keras.saving.register_keras_serializable("distil")
class TFDistilBertForTokenClassification(TFDistilBertHeadModel):
    """Classifies every token: logits (b, s, num_labels)."""

    task = "token-classification"

    def make_head(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        self.dropout = config.dropout
        self.classifier = linear(config.dim, config.num_labels, name="classifier", **options)

    def head(self, hidden: tf.Tensor, seed: Seed) -> tf.Tensor:  # noqa: D102
        return self.classifier(dropout(hidden, self.dropout, seed))


@keras.saving.register_keras_serializable("distil")
class TFDistilBertForQuestionAnswering(TFDistilBertHeadModel):
    """Scores every token as the start and as the end of an answer: each (b, s)."""

    task = "question-answering"
    output_class = QuestionAnsweringOutput

    def make_head(self, config: DistilBertConfig, **options: Any) -> None:  # noqa: D102
        rules.check_task(config, self.task)
        self.dropout = config.qa_dropout
        self.qa_outputs = linear(config.dim, config.num_labels, name="qa_outputs", **options)

    def head(self, hidden: tf.Tensor, seed: Seed) -> tf.Tensor:  # noqa: D102
        return self.qa_outputs(dropout(hidden, self.dropout, seed))

    def call(
        self,
        input_ids: tf.Tensor | None = None,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        start_positions: tf.Tensor | None = None,
        end_positions: tf.Tensor | None = None,
        training: bool = False,
        position_ids: tf.Tensor | None = None,
        token_type_ids: tf.Tensor | None = None,
    ) -> QuestionAnsweringOutput | tuple[Any, ...]:
        """Find answers; the arguments are those of `TFDistilBertModel.call`, and two more.

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
            training=training,
        )

    def split(self, logits: tf.Tensor, texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Those of starts, and those of ends."""
        return tuple(tf.unstack(logits, axis=-1))

    def loss_of(self, scores: tuple[tf.Tensor, ...], targets: Any) -> tf.Tensor:
        """The loss of logits on start and end positions."""
        return losses.span(*scores, *targets)
