"""Features reach the ranker without gaps, on one scale, with flags that tell something and means that nobody told himself."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, RobustScaler, TargetEncoder

from models.preparation import Numbers, OneHot, TargetMeans
from models.scaling import robust_scale

NAMES = ("price", "views")


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.fixture
def values(rng):
    """A hundred rows: a price that ten lack, and views that are far out in six."""
    values_XF = rng.uniform(-1, 1, size=(100, 2)).astype(np.float32)
    values_XF[:10, 0] = np.nan
    values_XF[10:16, 1] = 40
    return values_XF


def means_of(given, is_wanted, groups, seed=1):
    """Rows about one thing each."""
    return TargetMeans.fit(given, "category", np.arange(len(given)), is_wanted, groups, seed)


def words(*given: str) -> np.ndarray:
    return np.array(given, dtype=object)


# Numbers


def test_a_gap_is_filled_with_the_median_and_told(values):
    fitted = Numbers.fit(values, NAMES)
    assert fitted.columns == ("price", "views", "price.is_missing", "views.is_outlier")
    prepared = fitted.prepare(values, NAMES)
    assert prepared.dtype == np.float32
    assert np.isfinite(prepared).all()
    np.testing.assert_allclose(prepared[:10, 0], 0, atol=1e-6)
    assert prepared[:, 2].tolist() == [1] * 10 + [0] * 90


def test_numbers_are_scaled_as_scikit_learn_scales_them(values):
    values[:10, 0] = 1
    prepared = Numbers.fit(values, NAMES).prepare(values, NAMES)
    expected = RobustScaler(unit_variance=True).fit_transform(values.astype(np.float64))
    np.testing.assert_allclose(prepared[:, :2], expected, rtol=1e-4, atol=1e-5)


def test_what_is_far_out_is_told(values):
    flags = Numbers.fit(values, NAMES).prepare(values, NAMES)[:, -1]
    assert np.flatnonzero(flags).tolist() == [10, 11, 12, 13, 14, 15]


def test_a_flag_that_next_to_nobody_has_is_none(values):
    values[4:10, 0] = 0  # four rows of a hundred lack a price
    values[14:16, 1] = 0  # four are far out
    fitted = Numbers.fit(values, NAMES)
    assert (fitted.missing, fitted.outlying) == ((), ())
    assert np.isfinite(fitted.prepare(values, NAMES)).all()


def test_a_flag_of_a_twentieth_is_kept_and_one_that_all_but_fewer_have_is_none(values):
    values[5:10, 0] = 0  # five rows of a hundred lack a price
    assert Numbers.fit(values, NAMES).missing == ("price",)
    values[:96, 0] = np.nan
    assert Numbers.fit(values, NAMES).missing == ()


def test_what_is_far_below_is_told_as_what_is_far_above(values):
    values[10:16, 1] = -40
    flags = Numbers.fit(values, NAMES).prepare(values, NAMES)[:, -1]
    assert np.flatnonzero(flags).tolist() == [10, 11, 12, 13, 14, 15]


def test_where_the_middle_half_is_one_value_nothing_is_far_out(values):
    values[:, 1] = 0
    values[10:16, 1] = 40
    assert Numbers.fit(values, NAMES).outlying == ()


def test_of_features_that_are_missing_together_one_tells_it(values):
    values[:10] = np.nan
    fitted = Numbers.fit(values, NAMES)
    assert fitted.missing == ("price",)
    assert np.isfinite(fitted.prepare(values, NAMES)).all()


def test_only_the_fullest_flag_of_outliers_is_kept(rng):
    values = rng.uniform(-1, 1, size=(200, 6)).astype(np.float32)
    for place in range(6):
        values[: 10 + place, place] = 30
    assert Numbers.fit(values, list("abcdef")).outlying == ("f",)


def test_a_feature_that_is_the_same_for_everybody_is_left_out(values):
    same = np.concatenate([values, column(*[7] * 100), column(*[np.nan] * 100)], axis=1)
    fitted = Numbers.fit(same, (*NAMES, "single", "empty"))
    assert fitted == Numbers.fit(values, NAMES)
    assert fitted.reads == NAMES


def test_a_feature_that_is_missing_or_the_same_is_known_by_its_absence(values):
    values[10:, 0] = 5
    fitted = Numbers.fit(values, NAMES)
    assert fitted.columns == ("views", "price.is_missing", "views.is_outlier")
    assert fitted.reads == ("views", "price")


def test_where_everything_is_missing_there_is_no_column():
    nothing = np.full((5, 2), np.nan, np.float32)
    fitted = Numbers.fit(nothing, NAMES)
    assert fitted.columns == ()
    assert fitted.prepare(nothing, NAMES).shape == (5, 0)


def test_a_column_that_is_lost_later_is_filled(values):
    fitted = Numbers.fit(values, NAMES)
    values[:] = np.nan
    prepared = fitted.prepare(values, NAMES)
    np.testing.assert_allclose(prepared, [[0, 0, 1, 0]] * 100, atol=1e-6)


def test_nobody_gives_no_row(values):
    assert Numbers.fit(values, NAMES).prepare(values[:0], NAMES).shape == (0, 4)


def test_features_are_found_by_their_names(values):
    fitted = Numbers.fit(values, NAMES)
    more = np.concatenate([column(*range(100)), values[:, ::-1]], axis=1)
    np.testing.assert_array_equal(
        fitted.prepare(more, ("new", "views", "price")), fitted.prepare(values, NAMES)
    )


# Categories


def test_a_frequent_category_is_a_column_and_the_others_share_one():
    given = words(*["cup"] * 50, *["mug"] * 49, "tray")
    fitted = OneHot.fit(given, "category")
    assert fitted.columns == ("category=cup", "category=mug", "category.is_other")
    prepared = fitted.prepare(words("mug", "tray", "unheard of"))
    assert prepared.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    encoder = OneHotEncoder(min_frequency=0.02, handle_unknown="infrequent_if_exist").fit(given[:, None])
    np.testing.assert_array_equal(fitted.prepare(given), encoder.transform(given[:, None]).toarray())


def test_a_category_that_was_never_seen_is_none_of_them():
    fitted = OneHot.fit(words("cup", "mug", ""), "category")
    assert fitted.prepare(words("tray", "")).tolist() == [[0, 0, 0], [1, 0, 0]]


def test_of_many_categories_the_most_frequent_are_columns():
    fitted = OneHot.fit(
        words(*(f"c{number:02d}" for number in range(30) for _ in range(2 + number))), "category"
    )
    assert len(fitted.columns) == 12
    assert fitted.columns[0] == "category=c19"


def test_one_category_is_no_column():
    assert OneHot.fit(words("cup", "cup"), "category").columns == ()
    assert OneHot.fit(words("", ""), "category").prepare(words("", "cup")).shape == (2, 0)


# Means of what was wanted


@pytest.fixture
def wanted(rng):
    """Forty people with ten candidates each; cups are wanted more often than mugs."""
    given = rng.choice(words("cup", "mug", "tray"), size=400)
    is_wanted = rng.random(400) < np.where(given == "cup", 0.6, 0.2)
    return given, is_wanted, np.repeat(np.arange(40), 10)


def test_a_category_is_what_it_is_wanted(wanted):
    fitted, _ = means_of(*wanted)
    cup, mug = fitted.prepare(words("cup", "mug"))
    assert cup > mug + 0.5
    encoder = TargetEncoder(target_type="continuous").fit(wanted[0][:, None], wanted[1].astype(float))
    expected = encoder.transform(words("cup", "mug", "tray", "unheard of")[:, None])[:, 0]
    prepared = fitted.prepare(words("cup", "mug", "tray", "unheard of")) * fitted.scale + fitted.center
    np.testing.assert_allclose(prepared, expected, rtol=1e-5)


def test_nobody_tells_himself_what_he_wanted(wanted):
    """What one person wanted changes the means of the others' rows and none of its own."""
    given, is_wanted, groups = wanted
    turned = np.where(groups == 7, ~is_wanted, is_wanted)
    (before, rows), (after, rows_after) = (means_of(given, each, groups) for each in (is_wanted, turned))
    own = groups == 7
    means, means_after = rows * before.scale + before.center, rows_after * after.scale + after.center
    np.testing.assert_allclose(means_after[own], means[own], rtol=1e-5)
    assert (np.abs(means_after[~own] - means[~own]) > 1e-5).mean() > 0.7


def test_a_category_that_one_person_alone_wanted_is_like_any_to_it(wanted):
    given, is_wanted, groups = wanted
    given[55], is_wanted[55] = "rarity", True
    fitted, rows = means_of(given, is_wanted, groups)
    assert rows[55] * fitted.scale + fitted.center < 0.5
    assert fitted.means["rarity"] > 0.5


def test_of_things_that_no_row_is_about_there_is_no_mean(wanted):
    given, is_wanted, groups = wanted
    more = np.append(given, ["tea pot", "cup"])
    fitted, rows = TargetMeans.fit(more, "category", np.arange(len(given)), is_wanted, groups, 1)
    expected, rows_expected = means_of(*wanted)
    assert fitted == expected
    np.testing.assert_array_equal(rows, rows_expected)


@pytest.mark.parametrize(
    "changes",
    [
        lambda given, is_wanted, groups: (np.full(len(given), "cup", dtype=object), is_wanted, groups),
        lambda given, is_wanted, groups: (given, np.zeros_like(is_wanted), groups),
        lambda given, is_wanted, groups: (given, np.ones_like(is_wanted), groups),
        lambda given, is_wanted, groups: (given, is_wanted, np.zeros_like(groups)),
    ],
)
def test_where_there_is_nothing_to_tell_there_is_no_mean(wanted, changes):
    given, is_wanted, groups = changes(*wanted)
    assert means_of(given, is_wanted, groups) is None


def test_the_same_seed_gives_the_same_means(wanted):
    (once, rows), (again, rows_again), (_, other) = (means_of(*wanted, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert rows.tobytes() == rows_again.tobytes() != other.tobytes()


# What is kept


def test_what_was_learnt_comes_back_from_json_as_it_was(values, wanted):
    for fitted in (
        Numbers.fit(values, NAMES),
        OneHot.fit(wanted[0], "category"),
        means_of(*wanted)[0],
    ):
        assert type(fitted).from_state(json.loads(json.dumps(asdict(fitted)))) == fitted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"medians": [0.0]}, "expected 2 finite numbers"),
        ({"centers": [0.0, float("nan")]}, "expected 2 finite numbers"),
        ({"scales": [1.0, 0.0]}, "not above zero"),
        ({"outlying": ["weight"]}, "weight is told to be far out and has no scale"),
    ],
)
def test_numbers_that_cannot_be_calculated_with_are_refused(values, changes, message):
    with pytest.raises(ValueError, match=message):
        Numbers.from_state(asdict(Numbers.fit(values, NAMES)) | changes)


@pytest.mark.parametrize(
    "changes", [{"means": {"cup": float("inf")}}, {"scale": 0.0}, {"mean": float("nan")}]
)
def test_means_that_cannot_be_calculated_with_are_refused(wanted, changes):
    fitted, _ = means_of(*wanted)
    with pytest.raises(ValueError, match=r"finite numbers|not above zero"):
        TargetMeans.from_state(asdict(fitted) | changes)


# The scale


def test_a_column_that_is_mostly_one_value_has_the_scale_of_its_deviation_and_a_constant_one_of_one():
    values = np.concatenate([column(*[0] * 19, 50), column(*[7] * 20)], axis=1)
    middle, spread = robust_scale(values)
    assert middle.tolist() == [0, 7]
    np.testing.assert_allclose(spread, [values[:, 0].std(), 1])
    assert [len(part) for part in robust_scale(values[:, :0])] == [0, 0]
