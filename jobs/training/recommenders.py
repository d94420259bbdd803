"""Which recommenders compete to be the challenger, read from the one reviewed file ``expectations/recommenders.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from jobs.ranking.score_model import POPULARITY
from jobs.reviewed_file import Section, parsed, text_of

#: The transformer with a ranker over features, and the sum of several recommenders' scores.
RANKER, BLEND = "ranker", "blend"
SASREC, GRU4REC, EASE, ALS = "sasrec", "gru4rec", "ease", "als"
#: Those that learn from the order of histories, by epochs.
NETWORKS = frozenset({SASREC, GRU4REC})

#: A recommender that scores by itself.
Single = Literal["sasrec", "gru4rec", "ease", "als", "covisitation", "content", "popularity"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class BlendOf(Section):
    """Whose scores are added up."""

    of: Annotated[tuple[Single, ...], Field(min_length=1)]

    @field_validator("of")
    @classmethod
    def _names_none_twice(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _once(names)


class Gru4RecOptions(Section):
    """The network's shape (:class:`models.gru4rec.GRU4RecConfig`) and how it is trained (:class:`models.training.TrainConfig`)."""

    width: Annotated[int, Field(ge=8, le=1024)]
    layers: Annotated[int, Field(ge=1, le=8)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    epochs: Annotated[int, Field(ge=1, le=1000)]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    horizon: Annotated[int, Field(ge=1, le=100)]
    loss: Literal["auto", "full", "sampled", "gbce"]


class EaseOptions(Section):
    """How EASE is fitted, and up to which size of the catalogue."""

    regularisation: Positive
    most_items: Count


class AlsOptions(Section):
    """How ALS is fitted (:class:`models.als.ALSConfig`)."""

    factors: Count
    regularisation: Positive
    confidence: Positive
    iterations: Count


class RecentOptions(Section):
    """How far back a history is read (:class:`models.covisitation.CoVisitation`, :class:`models.content.Content`)."""

    num_recent: Count
    half_life: Positive


class Recommenders(Section):
    """Everything that ``expectations/recommenders.toml`` says; its comments say why."""

    compete: Annotated[tuple[Single | Literal["ranker", "blend"], ...], Field(min_length=1)]
    tie_errors: Annotated[float, Field(ge=0)]
    blend: BlendOf
    gru4rec: Gru4RecOptions
    ease: EaseOptions
    als: AlsOptions
    covisitation: RecentOptions
    content: RecentOptions

    @field_validator("compete")
    @classmethod
    def _names_none_twice_and_a_challenger(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if set(names) == {POPULARITY}:
            raise ValueError("popularity alone is no contest: it is what the others are held against")
        return _once(names)

    def parts(self, name: str) -> tuple[str, ...]:
        """The recommenders that a competitor is made of."""
        return {RANKER: (SASREC,), BLEND: self.blend.of}.get(name, (name,))


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{twice[0]} stands there twice")
    return names


def load_recommenders() -> Recommenders:
    """Read and check the reviewed file.

    Raises:
        SettingInvalid: a recommender or an option is unknown, missing or out of its range.
    """
    return parse_recommenders(text_of("recommenders.toml"))


def parse_recommenders(text: str) -> Recommenders:
    """The same from TOML text.

    Raises:
        SettingInvalid: a recommender or an option is unknown, missing or out of its range.
    """
    way_out = "Its comments say what may stand there; `git checkout` has it as it was."
    found: Recommenders = parsed(Recommenders, text, "recommenders.toml", way_out)
    return found
