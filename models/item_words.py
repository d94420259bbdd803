"""What shops write about their items, as a matrix: titles word by word, categories, brands and attributes as they are.

Fitted by scikit-learn and kept as plain words and numbers, like :mod:`models.preparation`.

N items · T words
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags_array, hstack

#: N texts; None or "" where a shop has said nothing.
Texts = npt.NDArray[np.object_]

_WORD = re.compile(r"\w\w+")  # a single letter says nothing


@dataclass(frozen=True)
class FieldWords:
    """Which words of a field tell items apart, and how much each says: its inverse document frequency.

    A word that one item alone has likens it to none, one that all items have likens it to all: neither counts. How
    often an item repeats a word does not count either: titles are short.
    """

    field: str
    words: tuple[str, ...]  # sorted
    weights: tuple[float, ...]  # of each word: 1 + log((1 + N) / (1 + items that have it))

    @classmethod
    def fit(cls, texts_N: Texts, field: str) -> Self:
        """Learn from the items of a catalogue, of which each counts the same."""
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

        read = _READERS[field]
        if not any(True for text in texts_N for _ in read(text)):
            return cls(field, (), ())
        counter = CountVectorizer(analyzer=read, binary=True)
        has_word_NT = counter.fit_transform(texts_N)
        items_T = np.asarray(has_word_NT.sum(axis=0)).ravel()
        telling = np.flatnonzero((items_T > 1) & (items_T < len(texts_N)))
        idf_T = TfidfTransformer().fit(has_word_NT).idf_
        words_T = counter.get_feature_names_out()
        return cls(field, tuple(map(str, words_T[telling])), tuple(idf_T[telling].tolist()))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What ``dataclasses.asdict`` made, read from JSON.

        Raises:
            ValueError: the field is none, or a weight is missing or none that can be calculated with.
        """
        field, words = _checked_field(state["field"]), tuple(map(str, state["words"]))
        weights = tuple(map(float, state["weights"]))
        if len(weights) != len(words) or not all(0 < weight < np.inf for weight in weights):
            raise ValueError(f"weights of {field} are {weights}; expected {len(words)} numbers above zero")
        return cls(field, words, weights)

    def prepare(self, texts_N: Texts) -> csr_matrix:
        """A row of words for each item, of length 1, or of nothing where the item has no word that counts."""
        place = {word: index for index, word in enumerate(self.words)}
        known = [
            sorted({place[word] for word in _READERS[self.field](text) if word in place}) for text in texts_N
        ]
        ends = np.cumsum([0, *map(len, known)])
        columns = np.fromiter(chain.from_iterable(known), dtype=np.int64, count=int(ends[-1]))
        weights_NT = csr_matrix(
            (np.array(self.weights, np.float64)[columns], columns, ends), shape=(len(known), len(self.words))
        )
        return of_length_one(weights_NT)


@dataclass(frozen=True)
class ItemWords:
    """The words of all fields, which are kept apart: a brand "Apple" is not the word "apple" of a title."""

    fields: tuple[FieldWords, ...]

    @classmethod
    def fit(cls, texts: Mapping[str, Texts]) -> Self:
        """Learn from a catalogue's texts by field: ``title``, ``category``, ``brand``, ``attributes``, or some of them.

        Raises:
            ValueError: a field is none of these, or an item's attributes are no JSON object.
        """
        return cls(tuple(FieldWords.fit(texts_N, _checked_field(field)) for field, texts_N in texts.items()))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What ``dataclasses.asdict`` made, read from JSON; raises what :meth:`FieldWords.from_state` does."""
        return cls(tuple(FieldWords.from_state(each) for each in state["fields"]))

    def prepare(self, texts: Mapping[str, Texts]) -> csr_matrix:
        """A row of words for each item, words_NT, of length 1, or of nothing where no word of the item counts.

        Each field in which an item has words says as much as any other, however many they are. The items need not
        be those that were learnt from.
        """
        parts = [words.prepare(texts[words.field]) for words in self.fields]
        return of_length_one(hstack(parts, format="csr"))


def of_length_one(rows_XT: csr_matrix) -> csr_matrix:
    """Each row divided by its length; a row of nothing stays one."""
    lengths_X = np.sqrt(np.asarray(rows_XT.multiply(rows_XT).sum(axis=1)).ravel())
    return csr_matrix(diags_array(1 / np.where(lengths_X > 0, lengths_X, 1.0)) @ rows_XT)


def _title(text: str | None) -> Iterator[str]:
    return (found.group() for found in _WORD.finditer((text or "").casefold()))


def _name(text: str | None) -> Iterator[str]:
    """A category or a brand is one word, however many it is written with."""
    name = " ".join((text or "").casefold().split())
    return iter([name] if name else [])


def _attributes(text: str | None) -> Iterator[str]:
    try:
        attributes = json.loads(text or "{}")
    except json.JSONDecodeError:
        attributes = None
    if not isinstance(attributes, dict):
        raise ValueError(f"attributes are {text!r}; expected a JSON object")
    for name, value in attributes.items():
        yield from _values(name.casefold(), value)


def _values(name: str, value: Any) -> Iterator[str]:
    """Each value of a list is a word of its own, like each of an object, which has a name more."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from _values(f"{name}.{inner.casefold()}", part)
    elif isinstance(value, list):
        for part in value:
            yield from _values(name, part)
    else:
        yield from (f"{name}={word}" for word in _name(None if value is None else str(value)))


_READERS: Mapping[str, Callable[[str | None], Iterator[str]]] = {
    "title": _title,
    "category": _name,
    "brand": _name,
    "attributes": _attributes,
}


def _checked_field(field: str) -> str:
    if field not in _READERS:
        raise ValueError(f"{field!r} is no field whose words are read; expected one of {', '.join(_READERS)}")
    return field
