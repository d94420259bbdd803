"""Who becomes the challenger: all configured recommenders, fitted up to the same day and held against what people then did."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import models.als
import models.ease
from contracts.errors import GateRefused
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.score_model import (
    CONTENT,
    COVISITATION,
    OF_THE_WORLD,
    POPULARITY,
    Model,
    ScoreModel,
)
from jobs.ranking.world import World, each_index_of
from jobs.training.choice import Choice, Fits
from jobs.training.described import Described
from jobs.training.evaluation import K, Prompted
from jobs.training.impressions import Impressions
from jobs.training.networks import Network, recurrent, transformer
from jobs.training.recommenders import ALS, BLEND, EASE, NETWORKS, RANKER, SASREC, Recommenders
from jobs.training.sequences import Sequences, targets_of
from jobs.training.trainer import Curve, Fitted, Trainer
from models.blend import fit_weights
from models.blended_scores import Scorer
from models.content import Content
from models.covisitation import CoVisitation
from models.metrics import ndcg_at
from models.mlp_ranker import MLPRanker
from models.popularity import Popularity
from models.recommender import history_matrix
from models.sasrec import SASRec
from models.topk import top_k

log = logging.getLogger("foretaste.train")

Outcomes = dict[str, npt.NDArray[np.object_]]
#: Users that compare, and that a blend's weights learn from: more tell competitors no better apart than anybody needs.
_MOST_USERS = 4000


@dataclass(frozen=True)
class Lesson:
    """What was learnt of people's next days: a ranker, or the weights of recommenders."""

    ranker: tuple[MLPRanker, Preparation] | None
    weights: dict[str, float]


@dataclass(frozen=True)
class Contest:
    """The fits of competitors, all with the same settings, and the comparison between them."""

    trainer: Trainer
    sequences: Sequences
    chosen: Recommenders

    def choose(self, world: World, outcomes: Outcomes, shown: Impressions) -> Choice:
        """Fit every competitor up to the world's cut-off and take the best but popularity by what people then did.

        Half of the people, by the seed, teach the number of epochs, the ranker and the weights; the others compare. What they took
        because it was shown speaks for nobody, as when a challenger is judged. Of those that these people do not tell apart from
        the best the first in the file is taken (:func:`best`). Where popularity is surely better than that one, the gate still
        judges it, by other days, and the choice carries a caution.

        Raises:
            GateRefused: no competitor but popularity could be fitted.
        """
        learning, comparing = self.halves(world, outcomes)
        fits = self.fit(self._parts(world), world, learning)
        return self.compare(fits, world, learning, comparing, shown)

    def compare(
        self, fits: Fits, world: World, learning: Outcomes, comparing: Outcomes, shown: Impressions
    ) -> Choice:
        """The choice between competitors that are fitted: some people teach, others compare.

        Raises:
            GateRefused: nothing was fitted that a competitor is made of.
        """
        prompted = Prompted.of(shown, world)
        repeats_allowed = self.trainer.repeats_allowed
        users, targets = prompted.without(*targets_of(world, comparing, repeats_allowed))
        users, targets = self.trainer.sample(users, targets, _MOST_USERS)
        wanted = [set(items.tolist()) for items in targets]
        # As long as the lists that are served: the ranker's candidates hang on it.
        length = max(self.trainer.chosen["list_length"], K + prompted.most(users))
        ndcg: dict[str, npt.NDArray[np.float64]] = {}
        for name in self.chosen.compete:
            try:
                model = self.model(name, fits, self.learn(name, fits, world, learning, shown))
            except GateRefused as refused:
                log.info("competitor_left_out name=%s why=%s", name, refused)
                continue
            ranked = model.rank(
                world,
                users,
                length=length,
                num_candidates=self.trainer.chosen["num_candidates"],
                repeats_allowed=repeats_allowed,
            )
            lists_UK = prompted.condensed(users, ranked.items_UK)[:, :K]
            ndcg[name] = ndcg_at(lists_UK, wanted, K) if wanted else np.zeros(1)
            log.info(
                "competitor_compared name=%s ndcg_at_10=%.4f users=%d", name, ndcg[name].mean(), len(users)
            )
        others = {name: ndcg_U for name, ndcg_U in ndcg.items() if name != POPULARITY}
        if not others:
            asked = ", ".join(name for name in self.chosen.compete if name != POPULARITY)
            raise GateRefused(
                f"none of {asked} could be fitted up to {world.cutoff}: retrain as of a later day, or "
                "let others compete in expectations/recommenders.toml. The champion stays"
            )
        means = {name: float(ndcg_U.mean()) for name, ndcg_U in ndcg.items()}
        winner = best(others, self.chosen.tie_errors)
        return Choice(winner, means, len(users), fits, self._caution(winner, ndcg))

    def _caution(self, name: str, ndcg: Mapping[str, npt.NDArray[np.float64]]) -> str:
        """That popularity foretold better than the chosen one, by more than chance; "" where it did not."""
        held = {each: ndcg[each] for each in (name, POPULARITY) if each in ndcg}
        if best(held, self.chosen.tie_errors) == name:
            return ""
        return (
            f"contest: recent popularity foretold the days before better than every other, ndcg@10 popularity "
            f"{ndcg[POPULARITY].mean():.4f}, {name} {ndcg[name].mean():.4f}, {len(ndcg[name])} people; it is what everybody without a "
            f"list gets, so {name} is the challenger. If this stays so, the shop has too little to learn tastes from (foretaste "
            "audit), or others should compete (expectations/recommenders.toml)"
        )

    def halves(self, world: World, outcomes: Outcomes) -> tuple[Outcomes, Outcomes]:
        """Who teaches and who compares, by the seed: of those who wanted what could have been recommended, half each."""
        users, _ = targets_of(world, outcomes, self.trainer.repeats_allowed)
        shuffled = np.random.default_rng(self.trainer.chosen["seed"]).permutation(world.user_ids[users])
        comparing = set(shuffled[: len(shuffled) // 2])
        parts: tuple[Outcomes, Outcomes] = {}, {}
        for user, items in outcomes.items():
            parts[user in comparing][user] = items
        return parts

    def _parts(self, world: World) -> set[str]:
        """The recommenders that competitors are made of and that the shop is not too large for."""
        names = {part for name in self.chosen.compete for part in self.chosen.parts(name)}
        if names & NETWORKS and all(len(items) < 2 for items in self._taken(world).values()):
            for name in sorted(names & NETWORKS):
                log.info("recommender_left_out name=%s: nobody has taken two items", name)
            names -= NETWORKS
        num_items, most = self._num_known(world, names), self.chosen.ease.most_items
        if EASE in names and num_items > most:
            log.info("recommender_left_out name=%s items=%d most_items=%d", EASE, num_items, most)
            names.remove(EASE)
        return names

    def _num_known(self, world: World, names: set[str]) -> int:
        """How many items all that are fitted know: those taken and, beside networks that learn words, further ones."""
        vocabulary = self._vocabulary(world)
        if not names & NETWORKS or not self.trainer.chosen["sasrec_item_words"]:
            return len(vocabulary)
        return len(vocabulary) + len(Described.of(world, vocabulary).further_ids)

    def fit(
        self,
        names: set[str],
        world: World,
        validate_on: Outcomes | None = None,
        *,
        num_epochs: Mapping[str, int] | None = None,
    ) -> Fits:
        """The named recommenders, as far as they learn, from everything up to the world's cut-off.

        Args:
            num_epochs: how long each network is trained; without, as long as it gets better at what it is validated on.
        """
        item_ids = self._vocabulary(world)
        found: dict[str, Scorer] = {}
        curves: dict[str, Curve] = {}
        for network in self._networks():
            if network.name in names:  # all of them know the same items
                item_ids, found[network.name], curves[network.name] = self.trainer.fit_network(
                    network,
                    world,
                    self.sequences,
                    num_epochs=(num_epochs or {}).get(network.name),
                    validate_on=validate_on,
                )
        if names & {EASE, ALS}:
            histories = each_index_of(list(self._taken(world).values()), item_ids)
            evidence_UN = history_matrix(histories, len(item_ids))
            if EASE in names:
                found[EASE] = models.ease.EASE(self.chosen.ease.regularisation).fit(evidence_UN)
            if ALS in names:
                options = self.chosen.als.model_dump()
                config = models.als.ALSConfig(**options, seed=self.trainer.chosen["seed"])
                found[ALS] = models.als.ALS(config).fit(evidence_UN)
        return Fits(item_ids, found, curves)

    def _networks(self) -> tuple[Network, ...]:
        """The networks that may compete, as they are set."""
        chosen = self.trainer.chosen
        return transformer(chosen), recurrent(chosen, self.chosen.gru4rec)

    def _taken(self, world: World) -> Outcomes:
        """What those who are learnt from took up to the world's cut-off."""
        return self.trainer.sampled(self.sequences.between(None, world.cutoff))

    def _vocabulary(self, world: World) -> npt.NDArray[np.object_]:
        """The items that occur there, sorted."""
        return np.array(
            sorted({item for items in self._taken(world).values() for item in items}), dtype=object
        )

    def refit(self, choice: Choice, world: World) -> Fits:
        """The recommenders of the chosen one, fitted up to another cut-off as they were for the comparison."""
        num_epochs = {name: curve.best_epoch for name, curve in choice.fits.curves.items()}
        # A shop that has grown since beyond most_items still gets what was compared.
        names = choice.fits.recommenders.keys() & set(self.chosen.parts(choice.name))
        return self.fit(names, world, num_epochs=num_epochs)

    def learn(self, name: str, fits: Fits, world: World, outcomes: Outcomes, shown: Impressions) -> Lesson:
        """What a competitor learns of people's next days: the ranker, or a blend's weights; what is by itself learns nothing.

        Raises:
            GateRefused: there is nothing to learn from, or none of its recommenders could be fitted.
        """
        if name == RANKER and SASREC not in fits.recommenders:
            raise GateRefused(f"{name} is not fitted: nobody has taken two items. The champion stays")
        if name == RANKER:
            sasrec = fits.recommenders[SASREC]
            assert isinstance(sasrec, SASRec)
            ranker = self.trainer.fit_ranker(Fitted(fits.item_ids, sasrec), world, outcomes, shown)
            return Lesson(ranker, {})
        parts = [
            part for part in self.chosen.parts(name) if part in fits.recommenders or part in OF_THE_WORLD
        ]
        if not parts:
            raise GateRefused(
                f"{name} is not fitted: nobody has taken two items, or the shop's {len(fits.item_ids)} are more than its most_items "
                "in expectations/recommenders.toml. The champion stays"
            )
        alike = dict.fromkeys(parts, 1.0)
        return Lesson(None, self._weights(fits, alike, world, outcomes, shown) if name == BLEND else alike)

    def model(self, name: str, fits: Fits, lesson: Lesson) -> Model:
        """A competitor of what was learnt up to a cut-off, and of what was learnt of people's next days."""
        if lesson.ranker is not None:
            sasrec = fits.recommenders[SASREC]
            assert isinstance(sasrec, SASRec)
            return NextItemModel(fits.item_ids, sasrec, *lesson.ranker)
        known: dict[str, Scorer | CoVisitation | Popularity | Content] = {
            **fits.recommenders,
            POPULARITY: Popularity(),
            COVISITATION: CoVisitation(**self.chosen.covisitation.model_dump()),
            CONTENT: Content(**self.chosen.content.model_dump()),
        }
        # Who has no say is neither kept nor asked; where nobody has one, everybody is, and recent popularity decides.
        weights = {part: weight for part, weight in lesson.weights.items() if weight > 0} or lesson.weights
        found = {part: known[part] for part in weights}
        return ScoreModel(fits.item_ids, found, weights)

    def _weights(
        self, fits: Fits, alike: dict[str, float], world: World, outcomes: Outcomes, shown: Impressions
    ) -> dict[str, float]:
        """Weights of a blend, learnt among the best items of each recommender, by who wanted one of them.

        What nobody proposed is no candidate: added, it would speak against all who propose, and where most of what is wanted
        lies outside their lists, as of 12,000 items, the best of them would get no say.
        """
        model = self.model(BLEND, fits, Lesson(None, alike))
        assert isinstance(model, ScoreModel)
        trainer = self.trainer
        prompted = Prompted.of(shown, world)
        users, targets = prompted.without(*targets_of(world, outcomes, trainer.repeats_allowed))
        users, targets = trainer.sample(users, targets, _MOST_USERS)
        num_candidates, repeats_allowed = trainer.chosen["num_candidates"], trainer.repeats_allowed
        ranking = model.ranking(
            world, length=K, num_candidates=num_candidates, repeats_allowed=repeats_allowed
        )
        scores: list[npt.NDArray[np.float32]] = []
        is_wanted: list[npt.NDArray[np.bool_]] = []
        lengths: list[npt.NDArray[np.int64]] = []
        for scored in ranking.score(users):
            wanted_BN, candidate_BN = (np.zeros(scored.is_allowed_BN.shape, bool) for _ in range(2))
            for row, items in enumerate(targets[sum(len(each) for each in lengths) :][: len(scored.block)]):
                wanted_BN[row, items] = True
            for scores_BN in scored.scores_RBN:
                best_BK, _ = top_k(np.where(scored.is_allowed_BN, scores_BN, -np.inf), num_candidates)
                rows, places = np.nonzero(best_BK >= 0)
                candidate_BN[rows, best_BK[rows, places]] = True
            scores.append(scored.scores_RBN[:, candidate_BN].T)
            is_wanted.append(wanted_BN[candidate_BN])
            lengths.append(candidate_BN.sum(axis=1))
        try:
            offsets_G = np.append(0, np.cumsum(np.concatenate(lengths)))
            weights_R = fit_weights(np.concatenate(scores), offsets_G, np.concatenate(is_wanted))
        except ValueError as error:
            raise GateRefused(
                f"of {len(users)} users after {world.cutoff} a blend learns nothing: {error}"
            ) from error
        return dict(zip(alike, weights_R.tolist(), strict=True))


def best(ndcg: Mapping[str, npt.NDArray[np.float64]], tie_errors: float) -> str:
    """The first of the names whose mean over users is within so many standard errors of the best one's, user by user.

    The highest mean alone would be a draw among those that are alike, and another kind of model every week. Which is
    preferred among them, their order says (the one-standard-error rule; Breiman et al., *Classification and Regression Trees*, 1984).
    """
    highest = max(ndcg, key=lambda name: float(ndcg[name].mean()))

    def is_tie(name: str) -> bool:
        lost_U = ndcg[highest] - ndcg[name]
        return bool(lost_U.mean() <= tie_errors * lost_U.std() / len(lost_U) ** 0.5)

    return next(name for name in ndcg if is_tie(name))
