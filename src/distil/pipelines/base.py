"""What all pipelines have in common: one text, many, or a stream of them in; results out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Self

from distil.common.inference.model import InferenceModel
from distil.common.tasks import bundled_for
from distil.errors import InputError
from distil.frameworks import title_of
from distil.pipelines.checks import check_count, warn
from distil.pipelines.encoding import Encoded
from distil.pipelines.rows import Place, as_list
from distil.pipelines.scoring import Scorer
from distil.pipelines.windows import (
    FIRST_ROWS,
    FIRST_ROWS_OF_A_LIST,
    prepared_ahead,
    windows,
)

# What transformers' pipelines take and what has nothing to do here: there is no padding.
_WITHOUT_EFFECT = ("batch_size", "num_workers", "padding", "clean_up_tokenization_spaces")

# Where its pipelines take options of the tokenizer.
_NESTED = ("tokenizer_kwargs", "tokenize_kwargs")

BadRow = Callable[[int, InputError], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every pipeline.

    Attributes:
        truncation: True says that texts are meant to be cut: there is no warning then.
        max_length: Tokens of the longest sequence; None for as many as the model takes.
    """

    truncation: bool | str | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is not valid.

        Raises:
            InputError: A value is out of range.
        """
        if self.max_length is not None:
            check_count(self.max_length, "max_length")


class Pipeline(ABC):
    """Makes results of texts, with a model.

    Safe to call from several threads if the model is.

    Args:
        model: Computes.
        tokenizer: Of the model.
        **options: Of every call, unless the call gives others; see `Options` of each pipeline.

    Raises:
        InputError: The model is for another task, or an option is unknown or has no such value.
    """

    task: ClassVar[str]
    options_type: ClassVar[type[Options]]
    # Bytes of results to remember for texts that come again in later windows.
    memory: ClassVar[int] = 0
    # Limits to what is held at a time, for heads that give much for each token.
    most_characters: ClassVar[int] = 2_000_000
    tokens_at_once: ClassVar[int | None] = None

    def __init__(self, model: InferenceModel, tokenizer: Any, **options: Any) -> None:
        if model.task != self.task:
            raise InputError(
                "the model is for another task", expected=self.task, found=model.task, where="model"
            )
        self.model, self.tokenizer = model, tokenizer
        self.options = self._options(self.options_type(), options)
        # Makes it again, in another process too; None where the model is in memory only.
        self.origin: partial[Any] | None = None

    def __repr__(self) -> str:
        name = type(self.model).__name__
        if self.origin is not None:
            name = self.origin.args[1] or bundled_for(self.task)
        parts = {"model": name, "engine": title_of(self.model.framework), "dtype": self.model.dtype}
        device = getattr(self.model, "device", None)
        if device is not None:
            parts["device"] = str(device)
        return f"{type(self).__name__}({', '.join(f'{key}={parts[key]!r}' for key in parts)})"

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        if self.origin is None:
            raise InputError(
                "a pipeline of a model in memory cannot be pickled or copied",
                expected="a model that was named: a folder, or a name on the hub",
                found=repr(self), fix="save the model and its tokenizer, and name that folder",
            )  # fmt: skip
        return _made_again, (self.origin, self.options)

    def set_options(self, **options: Any) -> None:
        """Change options for all calls to come; see `Options` of each pipeline."""
        self.options = self._options(self.options, options)

    @property
    def limit(self) -> int:
        """Tokens that the model takes, special ones included."""
        most: int = min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)
        return most

    def __call__(
        self,
        inputs: Any,
        *,
        skip_bad_rows: bool = False,
        on_bad_row: BadRow | None = None,
        **options: Any,
    ) -> Any:
        """Make results of one row, of a list of them, or of a stream.

        Args:
            inputs: A row (a string; see `read` of each pipeline for other kinds), a list or
                tuple of rows (or an array, a column of a data frame or of a data set, and other
                sequences), or anything else to iterate over, of any length.
            skip_bad_rows: Skip rows that are not texts, are empty, and so on; their result is
                None.
            on_bad_row: Called with the number and the problem of each row that is skipped;
                None warns.
            **options: As when the pipeline was made.

        Returns:
            The result of a row; a list of results for a list; for a stream an iterator of
            results, in order, that reads on as they are asked for, in constant memory.

        Raises:
            InputError: A row is bad (`where` says which: "texts[7]"), or an option.  Of a list,
                a row that is not a text is found before anything is computed; of a stream, the
                results before a bad row are given first.

        Warns:
            UserWarning: A text is longer than the model takes, and is cut; said once.
        """
        chosen = self._options(self.options, options)
        inputs = as_list(inputs)
        if self._is_row(inputs):
            stream = self.stream([(0, inputs)], options=chosen, place=lambda _: "text")
            (result,) = [result for _, result in stream]
            return self._finish_one(inputs, result, options)
        if not isinstance(inputs, list | tuple):
            try:
                rows = iter(inputs)
            except TypeError:
                rows = iter([inputs])  # to be refused in the words of its row
        else:
            rows = iter(inputs)
            if not skip_bad_rows:
                for number, row in enumerate(inputs):
                    self.read(row, _texts(number), chosen)
        listed = isinstance(inputs, list | tuple)
        stream = self.stream(
            enumerate(rows), options=chosen, skip_bad_rows=skip_bad_rows, on_bad_row=on_bad_row,
            first=FIRST_ROWS_OF_A_LIST if listed else FIRST_ROWS,
        )  # fmt: skip
        return self._finish_many((result for _, result in stream), chosen, listed=listed)

    def stream(
        self,
        rows: Iterable[tuple[int, Any]],
        *,
        options: Options | None = None,
        place: Place | None = None,
        skip_bad_rows: bool = False,
        on_bad_row: BadRow | None = None,
        first: int = FIRST_ROWS,
    ) -> Iterator[tuple[int, Any]]:
        """Make results of rows that have numbers.

        Args:
            rows: Numbers and rows; an `InputError` for a row stands for one that its source
                could not read.
            options: None takes the pipeline's own.
            place: Names the row with a number, in errors; None for "texts[7]".
            skip_bad_rows: As in a call.
            on_bad_row: As in a call.
            first: Rows of the first window: few give first results soon.

        Yields:
            Numbers and results, as in a call.
        """
        chosen = self.options if options is None else options
        place = place or _texts
        score = Scorer(
            self.model, self.digest(chosen), tokens_at_once=self.tokens_at_once, memory=self.memory
        )
        encode = self.encoder(chosen)

        def read(number: int, row: Any) -> Any:
            if isinstance(row, InputError):
                raise row
            return self.read(row, place(number), chosen)

        def prepare(window: Any) -> Encoded:
            return encode(window.items, [place(number) for number in window.numbers])

        silent = chosen.truncation not in (None, False)
        cut = windows(
            rows, read, skip=skip_bad_rows, most_characters=self.most_characters, first=first
        )
        for window, encoded in prepared_ahead(cut, prepare):
            if encoded.cut and not silent:
                silent = True
                self._warn_of_cut(place(window.numbers[encoded.cut[0]]), chosen)
            scores = score(encoded.sequences, encoded.wanted)
            results = iter(self.results(window.items, encoded, scores, chosen))
            problems = window.problems | encoded.problems
            for row, number in enumerate(window.numbers):
                problem = problems.get(row)
                if problem is None:
                    yield number, next(results)
                    continue
                if not skip_bad_rows:
                    raise problem
                (on_bad_row or _warn_of_row)(number, problem)
                yield number, None
            if window.failure is not None:
                raise window.failure

    @abstractmethod
    def read(self, row: Any, where: str, options: Any) -> Any:
        """Make an item of a row.

        Raises:
            InputError: It is not a row for this pipeline; it is named by `where`.
        """

    @abstractmethod
    def encoder(self, options: Any) -> Callable[[Sequence[Any], Sequence[str]], Encoded]:
        """What tokenizes the items of a window, given them and their names in errors."""

    def digest(self, options: Any) -> Callable[[Any], Any] | None:
        """What is kept of the scores of a sequence; None for all of them."""
        return None

    @abstractmethod
    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Any], options: Any
    ) -> Iterable[Any]:
        """The results of the rows that have sequences.

        Args:
            items: Of the whole window.
            encoded: Their sequences.
            scores: Digested, of each sequence.
            options: Of the call.
        """

    def limit_of(self, options: Options) -> int:
        """Tokens that a sequence may have."""
        return self.limit if options.max_length is None else min(self.limit, options.max_length)

    def chosen(self, given: Mapping[str, Any]) -> Any:
        """The options of a call that is given some of them.

        Raises:
            InputError: One is unknown, or has no such value.
        """
        return self._options(self.options, given)

    def _is_row(self, inputs: Any) -> bool:
        return isinstance(inputs, str | Mapping)

    def _finish_one(self, row: Any, result: Any, given: Mapping[str, Any]) -> Any:
        """The result of a single row, in the form that transformers gives it."""
        return result

    def _finish_many(self, results: Iterator[Any], options: Any, *, listed: bool) -> Any:
        """The results of a list, or of a stream."""
        return list(results) if listed else results

    def _options(self, base: Any, given: Mapping[str, Any]) -> Any:
        names = [field.name for field in fields(self.options_type)]
        wanted = dict(given)
        for name in _NESTED:
            wanted |= wanted.pop(name, None) or {}
        for name in _WITHOUT_EFFECT:
            wanted.pop(name, None)
        for name in wanted:
            if name not in names:
                raise InputError(
                    "unknown option", expected=", ".join(names), found=name, where=self.task
                )
        return replace(base, **wanted)

    def _warn_of_cut(self, where: str, options: Options) -> None:
        advice = "; stride=... reads all of it" if hasattr(options, "stride") else ""
        warn(
            f"{where} is longer than the {self.limit_of(options)} tokens that the model takes, and "
            f"is cut there, as are others like it{advice}"
        )


def _made_again(origin: partial[Any], options: Options) -> Pipeline:
    made: Pipeline = origin()
    made.options = options
    return made


def _texts(number: int) -> str:
    return f"texts[{number}]"


def _warn_of_row(number: int, problem: InputError) -> None:
    reason = " ".join(str(problem).split())
    warn(f"row {number} is skipped: {reason}")
