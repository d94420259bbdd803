"""Of the configured recommenders the one becomes the challenger that foretells what people do, in each world another."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from contracts.errors import GateRefused, SettingInvalid
from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.score_model import ScoreModel
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, Deeds, World
from jobs.training.choice import Choice
from jobs.training.contest import Contest, best
from jobs.training.evaluation import evaluate
from jobs.training.impressions import Impressions
from jobs.training.recommenders import Recommenders, load_recommenders, parse_recommenders
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer

DAY = date(2011, 3, 1)
NEXT = DAY + timedelta(days=1)
CHOSEN = {
    "seed": 7, "threads": 1, "history_length": 6, "sasrec_max_users": 1000, "sasrec_width": 16, "sasrec_blocks": 1,
    "sasrec_heads": 1, "sasrec_dropout": 0.0, "sasrec_epochs": 25, "sasrec_learning_rate": 3e-2, "sasrec_horizon": 1,
    "sasrec_item_words": False, "sasrec_inputs": "", "sasrec_loss": "auto", "train_device": "cpu", "train_processes": 1, "train_half_life_days": 0, "num_candidates": 12, "list_length": 10,
}  # fmt: skip
QUICK = {
    "width": 16, "layers": 1, "dropout": 0.0, "epochs": 25, "learning_rate": 3e-2, "horizon": 1, "loss": "auto",
}  # fmt: skip
SIMPLE = ("ease", "als", "covisitation", "popularity")
GIVEN = load_recommenders().model_copy(
    update={"ease": load_recommenders().ease.model_copy(update={"regularisation": 5.0})}
)

Taken = list[tuple[list[int], list[int]]]  # of each user: items up to DAY, items on the day after it


def alike(items_U: list[np.ndarray]) -> Deeds:
    """All of it looked at, yesterday."""
    ends = np.cumsum([len(items) for items in items_U])
    return Deeds(np.append(0, ends[:-1]), np.ones(ends[-1], np.int32), np.ones(ends[-1], np.int32))


def shop(
    people: Taken, num_items: int, popularity: Any = None, neighbours: Any = None
) -> tuple[World, Sequences]:
    """People who took these items, as a world at the end of DAY and as a training set."""
    item_ids = np.array([f"i{item:03d}" for item in range(num_items)], dtype=object)
    histories = [np.array(before, np.int64) for before, _ in people]
    seen = [np.unique(history) for history in histories]
    rng = np.random.default_rng(3)
    world = World(
        cutoff=DAY,
        item_ids=item_ids,
        is_available_N=np.ones(num_items, bool),
        category_N=np.zeros(num_items, np.int64),
        brand_N=np.zeros(num_items, np.int64),
        titles_N=np.array([f"sort{item % 7}" for item in range(num_items)], dtype=object),
        item_words={name: np.full(num_items, "", dtype=object) for name in ("category", "brand")},
        item_features_NF=rng.random((num_items, len(ITEM_FEATURES))).astype(np.float32),
        popularity_N=np.asarray(np.zeros(num_items) if popularity is None else popularity, np.float32),
        neighbours_NN=csr_matrix(np.zeros((num_items, num_items)) if neighbours is None else neighbours),
        bought_with_NN=csr_matrix((num_items, num_items)),
        user_ids=np.array([f"u{user:03d}" for user in range(len(people))], dtype=object),
        histories=histories,
        steps=alike(histories),
        seen=seen,
        deeds=alike(seen),
        user_features_UF=rng.random((len(people), len(USER_FEATURES))).astype(np.float32),
        affinity_UC=csr_matrix((len(people), 2)),
        brand_affinity_UB=csr_matrix((len(people), 2)),
    )
    steps = [
        (user, item, day)
        for user, (before, after) in enumerate(people)
        for items, day in ((before, DAY), (after, NEXT))
        for item in items
    ]
    users, items, days = zip(*steps, strict=True)
    sequences = Sequences(
        world.user_ids,
        np.array(users),
        item_ids[list(items)],
        np.ones(len(users), np.int32),
        np.array(days, "datetime64[D]"),
    )
    return world, sequences


def shown(*pairs: tuple[str, str]) -> Impressions:
    """Users who clicked an item that was shown to them."""
    schema = arrow_schema(TRAINING_IMPRESSIONS)
    rows = [
        {
            **dict.fromkeys(schema.names),
            "user_id": user,
            "item_id": item,
            "outcome": "clicked",
            "event_date": NEXT,
        }
        for user, item in pairs
    ]
    return Impressions(pa.Table.from_pylist(rows, schema=schema))


def contest(sequences: Sequences, *compete: str, **changes: Any) -> Contest:
    recommenders = Recommenders.model_validate(
        GIVEN.model_dump()
        | {"compete": compete}
        | {name: value for name, value in changes.items() if name != "chosen"}
    )
    trainer = Trainer(CHOSEN | changes.get("chosen", {}), repeats_allowed=False)
    return Contest(trainer, sequences, recommenders)


def winner(found: tuple[World, Sequences], *compete: str, **changes: Any) -> str:
    world, sequences = found
    outcomes = sequences.between(DAY, NEXT)
    return contest(sequences, *compete, **changes).choose(world, outcomes, shown()).name


def of_tastes(num_tastes: int = 6, size: int = 10, each: int = 12) -> Taken:
    """Whoever takes three things of a taste goes on to a fourth."""
    rng = np.random.default_rng(4)
    people = []
    for user in range(num_tastes * each):
        items = size * (user % num_tastes) + rng.permutation(size)[:5]
        people.append((items[:4].tolist(), items[4:].tolist()))
    return people


# Each wins in a world that is made for it


def test_where_everybody_takes_the_same_the_best_of_the_others_is_judged_and_the_reason_says_so() -> None:
    """Popularity is what everybody without a list gets: its figure stands there, and it is never the challenger."""
    rng = np.random.default_rng(4)
    people = [(rng.choice(30, 3, replace=False).tolist(), [30 + user % 2]) for user in range(60)]
    people += [([30, 31], [0])]
    popularity, neighbours = [1] * 30 + [90, 80], rng.random((32, 32))
    world, sequences = shop(people, 32, popularity, neighbours)
    held = contest(sequences, "popularity", "ease", "covisitation")
    choice = held.choose(world, sequences.between(DAY, NEXT), shown())
    assert max(choice.ndcg, key=lambda name: choice.ndcg[name]) == "popularity"
    assert choice.name in ("ease", "covisitation")
    for told in (
        f"popularity {choice.ndcg['popularity']:.4f}",
        f"{choice.name} {choice.ndcg[choice.name]:.4f}",
        f"{choice.num_users} people",
        "foretaste audit",
        "expectations/recommenders.toml",
    ):
        assert told in choice.caution


def test_where_the_last_item_says_all_co_visitation_wins() -> None:
    """Things taken on one day belong together, which the users' whole histories do not show."""
    rng = np.random.default_rng(4)
    people = [(rng.permutation(40)[:3].tolist(), []) for _ in range(80)]
    people = [
        (before, [(before[-1] + 1) % 40]) for before, _ in people if (before[-1] + 1) % 40 not in before
    ]
    neighbours = np.roll(np.eye(40), 1, axis=1) * 9 + 0.1
    assert winner(shop(people, 40, np.ones(40), neighbours), *SIMPLE) == "covisitation"


@pytest.mark.parametrize("name", ["ease", "als"])
def test_where_people_are_of_a_few_tastes_what_learns_tastes_wins(name: str) -> None:
    others = [other for other in SIMPLE if other not in ("ease", "als")]
    assert winner(shop(of_tastes(), 60, np.ones(60)), *others, name) == name


def test_where_people_stay_with_the_words_they_know_content_wins() -> None:
    """Of seven words each stays with one, and takes next what nobody has taken yet."""
    people = [([user % 7, user % 7 + 7], [user % 7 + 14 + 7 * (user // 7 % 2)]) for user in range(70)]
    assert winner(shop(people, 28, np.ones(28)), *SIMPLE, "content") == "content"


def in_order() -> tuple[World, Sequences]:
    """Of four pairs, whoever takes the first and then the second goes on to a third thing, else to a fourth."""
    people = []
    for user in range(96):
        pair = 4 * (user % 4)
        if user % 8 < 4:
            people.append(([pair, pair + 1, pair + 2], []) if user < 64 else ([pair, pair + 1], [pair + 2]))
        else:
            people.append(([pair + 1, pair, pair + 3], []) if user < 64 else ([pair + 1, pair], [pair + 3]))
    return shop(people, 16, np.ones(16), np.kron(np.eye(4), 1 - np.eye(4)))


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_where_the_order_says_what_comes_next_a_network_wins(name: str) -> None:
    assert winner(in_order(), *SIMPLE, name, gru4rec=QUICK) == name


def test_where_features_say_what_is_wanted_the_ranker_wins() -> None:
    """Everybody goes on to what is dear, whatever it is, and it is another thing for each."""
    rng = np.random.default_rng(4)
    dear = np.arange(14, 24)
    people = [(rng.choice(14, 3, replace=False).tolist(), [int(rng.choice(dear))]) for _ in range(300)]
    world, sequences = shop(people, 24, np.ones(24))
    features_NF = world.item_features_NF.copy()
    features_NF[dear, ITEM_FEATURES.index("price_cents")] += 3
    world = dataclasses.replace(world, item_features_NF=features_NF)
    every = {"sasrec_epochs": 1, "num_candidates": 24, "list_length": 24}
    assert winner((world, sequences), "popularity", "ease", "ranker", chosen=every) == "ranker"


def of_two_minds() -> tuple[World, Sequences]:
    """Everybody takes one more thing of the own taste, and one of two that everybody takes."""
    people = [(before, [*after, 60 + user % 2]) for user, (before, after) in enumerate(of_tastes())]
    return shop([*people, ([60, 61], [])], 62, [1] * 60 + [90, 80])


def test_where_people_follow_two_a_blend_of_them_wins() -> None:
    assert winner(of_two_minds(), *SIMPLE, "blend", blend={"of": ("ease", "popularity")}) == "blend"


def test_a_blend_gives_who_foretells_nothing_next_to_no_say() -> None:
    world, sequences = of_two_minds()
    noise = np.random.default_rng(9).random((62, 62))
    held = contest(sequences, "blend", blend={"of": ("ease", "covisitation", "popularity")})
    fits = held.fit({"ease"}, world)
    noisy = dataclasses.replace(world, neighbours_NN=csr_matrix(noise))
    weights = held.learn("blend", fits, noisy, sequences.between(DAY, NEXT), shown()).weights
    assert weights["covisitation"] < 0.1
    assert min(weights["ease"], weights["popularity"]) > 0.2


def test_what_nobody_proposes_does_not_speak_against_who_proposes_the_rest() -> None:
    """Every third person takes the neighbour of what they had; the others take what no recommender has on its list."""
    people = [([user % 30], [30 + (user if user % 3 == 0 else user + 7) % 30]) for user in range(90)]
    neighbours = np.zeros((60, 60))
    neighbours[np.arange(30), 30 + np.arange(30)] = 1
    world, sequences = shop(people, 60, np.arange(60), neighbours)
    held = contest(
        sequences, "blend", blend={"of": ("covisitation", "popularity")}, chosen={"num_candidates": 1}
    )
    fits = held.fit(set(), world)
    weights = held.learn("blend", fits, world, sequences.between(DAY, NEXT), shown()).weights
    assert weights["covisitation"] > 0.5


# How they are compared


def test_among_those_that_are_alike_the_first_in_the_file_is_taken() -> None:
    good, bad = np.tile([0.5, 0.7], 50), np.tile([0.1, 0.2], 50)
    nearly = good - np.tile([0.31, -0.29], 50)  # 0.01 less, give or take 0.03
    assert best({"first": nearly, "second": good, "third": bad}, 1.0) == "first"
    assert best({"third": bad, "second": good, "first": nearly}, 1.0) == "second"
    assert best({"first": nearly, "second": nearly + 0.001}, 1.0) == "second"  # surely better, if by little


def test_without_a_margin_the_highest_mean_wins_and_of_equals_the_first() -> None:
    assert best({"first": np.array([0.0, 1.0]), "second": np.array([1.0, 0.1])}, 0.0) == "second"
    assert best({"first": np.array([0.0, 1.0]), "second": np.array([1.0, 0.0])}, 0.0) == "first"


def test_the_margin_is_the_file_s() -> None:
    """One of a few people is better off with EASE, which is not beyond chance."""
    found = shop([*of_tastes(2, 6, 5), ([0, 1], [11])], 12, np.arange(12)[::-1])
    for errors in (0.0, 50.0):
        name = winner(found, "covisitation", "ease", tie_errors=errors)
        assert (name == "covisitation") == (errors > 0)


def test_who_compares_has_taught_nothing() -> None:
    world, sequences = in_order()
    taught: list[set[str]] = []

    class Watched(Contest):
        def fit(self, names: set[str], world: World, validate_on: Any = None, **more: Any) -> Any:
            taught.append(set(validate_on))
            return super().fit(names, world, validate_on, **more)

        def learn(self, name: str, fits: Any, world: World, outcomes: Any, shown: Impressions) -> Any:
            taught.append(set(outcomes))
            return super().learn(name, fits, world, outcomes, shown)

    plain = contest(sequences, "covisitation", "blend", chosen={"sasrec_epochs": 1})
    outcomes = sequences.between(DAY, NEXT)
    learning, comparing = plain.halves(world, outcomes)
    choice = Watched(plain.trainer, plain.sequences, plain.chosen).choose(world, outcomes, shown())
    assert taught == [set(learning)] * 3
    assert choice.num_users == len(comparing) == len(outcomes) // 2
    assert not set(learning) & set(comparing)
    assert set(learning) | set(comparing) == set(outcomes)
    assert plain.halves(world, outcomes)[1].keys() == comparing.keys()
    other = contest(sequences, "blend", chosen={"seed": 8}).halves(world, outcomes)
    assert set(other[1]) != set(comparing)


def test_what_was_taken_because_it_was_shown_speaks_for_nobody() -> None:
    """Everybody clicked the item at the top of popularity's list, and took something of the own taste besides."""
    world, sequences = of_two_minds()
    outcomes = sequences.between(DAY, NEXT)
    held = contest(sequences, "popularity", "ease", "blend", blend={"of": ("ease", "popularity")})
    clicks = shown(*((user, item) for user, items in outcomes.items() for item in items if item >= "i060"))
    free, judged = held.choose(world, outcomes, shown()), held.choose(world, outcomes, clicks)
    assert free.ndcg["popularity"] > 0.5
    assert judged.ndcg["popularity"] < 0.2
    assert judged.ndcg["ease"] > 0.45  # what was shown is not held against whoever did not list it
    weights = [held.learn("blend", free.fits, world, outcomes, each).weights for each in (shown(), clicks)]
    assert weights[1]["popularity"] < weights[0]["popularity"] / 2


def test_the_figures_of_all_are_told_in_the_order_of_the_file() -> None:
    world, sequences = shop(of_tastes(), 60, np.ones(60))
    choice = contest(sequences, "popularity", "ease", "covisitation").choose(
        world, sequences.between(DAY, NEXT), shown()
    )
    assert list(choice.as_record()["ndcg_at_10"]) == ["popularity", "ease", "covisitation"]
    assert choice.as_record()["num_users"] == 36
    assert choice.as_metrics()["validation.ease.ndcg_at_10"] == choice.ndcg["ease"] > 0.3
    assert choice.as_params() == {"challenger.recommender": "ease"}
    assert choice.caution == ""
    assert choice.curves == {}


def test_each_network_is_fitted_once_for_all_who_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world, sequences = in_order()
    fits: list[tuple[str, int | None]] = []
    fit = Trainer.fit_network
    monkeypatch.setattr(
        Trainer,
        "fit_network",
        lambda self, network, *given, **named: (
            fits.append((network.name, named["num_epochs"])) or fit(self, network, *given, **named)
        ),
    )
    held = contest(
        sequences, "ranker", "blend", "sasrec", "gru4rec", chosen={"sasrec_epochs": 2},
        gru4rec=QUICK | {"epochs": 3}, blend={"of": ("gru4rec", "sasrec")},
    )  # fmt: skip
    choice = held.choose(world, sequences.between(DAY, NEXT), shown())
    assert fits == [("sasrec", None), ("gru4rec", None)]
    epochs = choice.as_params()
    assert epochs["best_epoch"] in (1, 2)
    assert [len(choice.curves[f"{name}validation.ndcg_at_10"]) for name in ("", "gru4rec.")] == [2, 3]
    assert choice.curves["fit.loss"] != choice.curves["gru4rec.fit.loss"][:2]
    held.refit(dataclasses.replace(choice, name="sasrec"), world)
    held.refit(dataclasses.replace(choice, name="gru4rec"), world)
    assert fits[2:] == [("sasrec", epochs["best_epoch"]), ("gru4rec", epochs["gru4rec.best_epoch"])]


def test_of_two_networks_the_gap_of_the_one_that_keeps_least_is_held_against_their_blend() -> None:
    world, sequences = in_order()
    held = contest(sequences, "blend", blend={"of": ("sasrec", "gru4rec")}, gru4rec=QUICK | {"epochs": 1})
    fits = held.fit({"sasrec"}, world, sequences.between(DAY, NEXT))
    gap = fits.curves["sasrec"].gap
    assert gap is not None
    narrower = dataclasses.replace(gap, beyond_high=gap.beyond_high + 1)
    curves = {"gru4rec": dataclasses.replace(fits.curves["sasrec"], gap=narrower), **fits.curves}
    choice = Choice("blend", {}, 0, dataclasses.replace(fits, curves=curves))
    both = held.chosen.parts("blend")
    assert choice.widest_gap({}, both) is gap
    assert choice.widest_gap({"sasrec": 0.0, "gru4rec": 0.3}, both) is narrower
    assert choice.widest_gap({}, ("gru4rec",)) is narrower
    assert choice.widest_gap({}, ("ease",)) is None


# A shop that has too many items for EASE


def test_ease_is_left_out_where_it_takes_too_much_and_a_blend_goes_on_without_it() -> None:
    world, sequences = shop(of_tastes(), 60, np.ones(60))
    few = {"regularisation": 5.0, "most_items": 59}
    held = contest(sequences, "ease", "blend", "popularity", ease=few, blend={"of": ("ease", "als")})
    outcomes = sequences.between(DAY, NEXT)
    choice = held.choose(world, outcomes, shown())
    assert list(choice.ndcg) == ["blend", "popularity"]
    assert list(held.learn("blend", choice.fits, world, outcomes, shown()).weights) == ["als"]
    assert choice.name == "blend"
    assert list(held.refit(choice, world).recommenders) == ["als"]
    with pytest.raises(GateRefused, match=r"none of ease could be fitted.*let others compete"):
        contest(sequences, "ease", ease=few).choose(world, outcomes, shown())


@pytest.mark.parametrize(("knows_words", "fitted"), [(False, {"ease", "sasrec"}), (True, {"sasrec"})])
def test_ease_is_asked_for_all_items_that_it_would_be_fitted_over(
    knows_words: bool, fitted: set[str]
) -> None:
    """A transformer that learns words knows the one item that nobody has taken as well, and shares its items with EASE."""
    world, sequences = shop(of_tastes(), 61, np.ones(61))
    held = contest(
        sequences, "blend", ease={"regularisation": 5.0, "most_items": 60}, blend={"of": ("ease", "sasrec")},
        chosen={"sasrec_item_words": knows_words, "sasrec_epochs": 1},
    )  # fmt: skip
    fits = held.choose(world, sequences.between(DAY, NEXT), shown()).fits
    assert len(fits.item_ids) == (61 if knows_words else 60)
    assert fits.recommenders.keys() == fitted


def test_a_shop_that_grows_beyond_the_bound_meanwhile_keeps_what_was_compared() -> None:
    world, sequences = shop([*of_tastes(), ([0, 1], [60])], 61, np.ones(61))
    held = contest(
        sequences, "ease", "blend", ease={"regularisation": 5.0, "most_items": 60}, blend={"of": ("ease",)}
    )
    outcomes = sequences.between(DAY, NEXT)
    choice = held.choose(world, outcomes, shown())
    later = dataclasses.replace(world, cutoff=NEXT)
    for name in ("ease", "blend"):
        lesson = held.learn(name, choice.fits, world, outcomes, shown())
        model = held.model(name, held.refit(dataclasses.replace(choice, name=name), later), lesson)
        assert len(model.item_ids) == 61
        assert isinstance(model, ScoreModel)
        assert list(model.recommenders) == ["ease"]


def test_a_recommender_without_a_say_is_not_kept() -> None:
    world, sequences = shop(of_tastes(), 60, np.ones(60))
    held = contest(sequences, "blend", blend={"of": ("ease", "popularity")})
    fits = held.fit({"ease"}, world)
    lesson = held.learn("blend", fits, world, sequences.between(DAY, NEXT), shown())
    assert lesson.weights == {"ease": 1.0, "popularity": 0.0}  # here everything is as popular
    model = held.model("blend", fits, lesson)
    assert isinstance(model, ScoreModel)
    assert list(model.recommenders) == ["ease"]
    muted = held.model("blend", fits, dataclasses.replace(lesson, weights={"ease": 0.0, "popularity": 0.0}))
    assert isinstance(muted, ScoreModel)
    assert list(muted.recommenders) == ["ease", "popularity"]


def test_where_there_is_no_choice_to_learn_from_a_blend_is_left_out() -> None:
    """Whoever comes back has seen all but the one thing that is wanted."""
    world, sequences = shop([([0, 1, 2], [3])] * 6 + [([3], [])], 4, np.ones(4))
    outcomes = sequences.between(DAY, NEXT)
    held = contest(sequences, "blend", "covisitation", blend={"of": ("popularity",)})
    assert list(held.choose(world, outcomes, shown()).ndcg) == ["covisitation"]
    alone = contest(sequences, "blend", "popularity", blend={"of": ("popularity",)})
    with pytest.raises(GateRefused, match="none of blend could be fitted"):
        alone.choose(world, outcomes, shown())


def test_a_shop_in_which_nobody_has_taken_two_things_yet_does_without_networks() -> None:
    """The first weeks of a shop: what asks for no order competes all the same."""
    world, sequences = shop([([user % 4], [4 + user % 2]) for user in range(40)], 6, [0, 0, 0, 0, 9, 8])
    held = contest(
        sequences,
        "ranker",
        "sasrec",
        "gru4rec",
        "blend",
        "popularity",
        blend={"of": ("sasrec", "popularity")},
    )
    choice = held.choose(world, sequences.between(DAY, NEXT), shown())
    assert list(choice.ndcg) == ["blend", "popularity"]
    assert choice.fits.curves == {}
    with pytest.raises(GateRefused, match=r"nobody has taken two items"):
        held.learn("ranker", choice.fits, world, sequences.between(DAY, NEXT), shown())


# Whichever kind champion and challenger are of


def test_champion_and_challenger_may_be_of_two_kinds() -> None:
    world, sequences = in_order()
    held = contest(sequences, "ranker", "covisitation", chosen={"sasrec_epochs": 1})
    outcomes = sequences.between(DAY, NEXT)
    fits = held.fit({"sasrec"}, world)
    models = {
        name: held.model(name, fits, held.learn(name, fits, world, outcomes, shown()))
        for name in held.chosen.compete
    }
    assert isinstance(models["ranker"], NextItemModel)
    assert isinstance(models["covisitation"], ScoreModel)
    given = (world, sequences, outcomes, shown(), held.trainer)
    one = evaluate(models["ranker"], models["covisitation"], *given)
    other = evaluate(models["covisitation"], models["ranker"], *given)
    assert one.num_users == 32
    assert {"ease", "als", "popularity"} < set(one.metrics)
    np.testing.assert_array_equal(one.ndcg["challenger"], other.ndcg["champion"])
    np.testing.assert_array_equal(one.ndcg["champion"], other.ndcg["challenger"])
    assert (one.ndcg["challenger"] != one.ndcg["champion"]).any()


def test_a_catalogue_that_is_too_large_for_ease_is_judged_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world, sequences = shop(of_tastes(), 60, np.ones(60))
    few = GIVEN.model_copy(update={"ease": GIVEN.ease.model_copy(update={"most_items": 59})})
    monkeypatch.setattr("jobs.training.evaluation.load_recommenders", lambda: few)
    held = contest(sequences, "als", "popularity")
    popular = held.model(
        "popularity",
        held.fit(set(), world),
        held.learn("popularity", held.fit(set(), world), world, {}, shown()),
    )
    found = evaluate(popular, None, world, sequences, sequences.between(DAY, NEXT), shown(), held.trainer)
    assert set(found.metrics) == {"challenger", "popularity", "als"}


# The file


def test_the_reviewed_file_names_whom_foretaste_comes_with() -> None:
    assert load_recommenders().compete[0] == "ranker"
    assert set(load_recommenders().compete) == {"ranker", "blend", "sasrec", "content", *SIMPLE}


FILE = """
compete = ["ease"]
tie_errors = 1.0
[blend]
of = ["ease", "als"]
[gru4rec]
width = 16
layers = 1
dropout = 0.2
epochs = 2
learning_rate = 0.01
horizon = 1
loss = "auto"
[ease]
regularisation = 200.0
most_items = 10
[als]
factors = 4
regularisation = 0.1
confidence = 10.0
iterations = 3
[covisitation]
num_recent = 5
half_life = 2.0
[content]
num_recent = 5
half_life = 2.0
"""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('compete = ["ease"]', 'compete = ["popularity"]', "popularity alone"),
        ('compete = ["ease"]', 'compete = ["easy"]', "'ranker' or 'blend'"),
        ('compete = ["ease"]', "compete = []", "compete"),
        ('compete = ["ease"]', 'compete = ["ease", "als", "ease"]', "ease stands there twice"),
        ('of = ["ease", "als"]', 'of = ["ranker"]', "blend.of"),
        ('of = ["ease", "als"]', 'of = ["als", "als"]', "als stands there twice"),
        ("factors = 4", "factor = 4", "als.factor"),
        ("factors = 4", "", "als.factors"),
        ("regularisation = 200.0", "regularisation = 0", "ease.regularisation"),
        ("tie_errors = 1.0", "tie_errors = -1.0", "tie_errors"),
        ("layers = 1", "layers = 1\nheads = 2", "gru4rec.heads"),
        ("layers = 1", "layers = 0", "gru4rec.layers"),
        ('loss = "auto"', 'loss = "bpr"', "gru4rec.loss"),
        ("[gru4rec]", "[gru]", "gru4rec"),
        ("[ease]", "[", "line 14"),
    ],
)
def test_what_the_file_may_not_say_is_refused_by_name(old: str, new: str, named: str) -> None:
    assert parse_recommenders(FILE).parts("blend") == ("ease", "als")
    with pytest.raises(SettingInvalid, match="expectations/recommenders.toml") as refused:
        parse_recommenders(FILE.replace(old, new))
    assert named in str(refused.value)
    assert "Its comments say what may stand there" in str(refused.value)


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        *(("gru4rec", name, value) for name, value in {
            "width": 8, "layers": 2, "dropout": 0.5, "epochs": 2, "learning_rate": 1e-3, "horizon": 3, "loss": "sampled",
        }.items()),
        ("ease", "regularisation", 5000.0), ("als", "factors", 2), ("als", "regularisation", 50.0),
        ("als", "confidence", 90.0), ("als", "iterations", 1), ("covisitation", "num_recent", 1),
        ("covisitation", "half_life", 0.2), ("content", "num_recent", 1), ("content", "half_life", 0.2),
    ],
)  # fmt: skip
def test_every_option_of_the_file_changes_what_is_recommended(section: str, option: str, value: Any) -> None:
    neighbours = np.random.default_rng(2).random((60, 60))
    world, sequences = shop(of_tastes(), 60, np.ones(60), neighbours)
    scores = []
    given = GIVEN.model_dump() | {"gru4rec": QUICK | {"epochs": 1}}
    for changes in ({}, {option: value}):
        held = contest(sequences, section, **{section: given[section] | changes})
        fits = held.fit({section}, world)
        model = held.model(section, fits, held.learn(section, fits, world, {}, shown()))
        ranked = model.rank(world, np.arange(5), length=9, num_candidates=9, repeats_allowed=False)
        scores.append(ranked.scores_UK)
    assert (scores[0] != scores[1]).any()
