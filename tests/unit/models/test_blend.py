"""A blend listens to recommenders as far as they foretell what people choose, and to none that does not."""

from __future__ import annotations

import numpy as np
import pytest

from models.blend import fit_weights, standardise

NUM_USERS, NUM_CANDIDATES = 400, 20


def choices(rng, *says):
    """Scores of recommenders over candidates, and what users choose who follow the given shares of each."""
    scores_XR = rng.normal(size=(NUM_USERS * NUM_CANDIDATES, len(says)))
    liking = scores_XR @ np.array(says) + rng.gumbel(size=len(scores_XR))
    best_U = liking.reshape(NUM_USERS, -1).argmax(axis=1) + np.arange(NUM_USERS) * NUM_CANDIDATES
    is_wanted_X = np.zeros(len(scores_XR), bool)
    is_wanted_X[best_U] = True
    return scores_XR, np.arange(0, len(scores_XR) + 1, NUM_CANDIDATES), is_wanted_X


def test_a_recommender_that_foretells_nothing_has_next_to_no_say(rng):
    weights = fit_weights(*choices(rng, 1.5, 0.0, 1.5))
    assert weights[1] < 0.05
    assert weights[[0, 2]] == pytest.approx([0.5, 0.5], abs=0.06)


def test_who_foretells_more_has_more_say_and_all_says_are_1_together(rng):
    weights = fit_weights(*choices(rng, 2.0, 1.0))
    assert weights == pytest.approx([2 / 3, 1 / 3], abs=0.05)
    assert weights.sum() == pytest.approx(1)


def test_nobody_is_subtracted(rng):
    weights = fit_weights(*choices(rng, 1.5, -1.5))
    assert weights.tolist() == [1, 0]


def test_where_none_helps_none_has_a_say(rng):
    assert fit_weights(*choices(rng, -1.0, -2.0)).tolist() == [0, 0]


def test_one_recommender_is_a_blend_of_one(rng):
    assert fit_weights(*choices(rng, 0.7)).tolist() == [1]


def test_weights_do_not_hang_on_the_order_of_users(rng):
    scores_XR, offsets, is_wanted_X = choices(rng, 1.0, 0.5)
    order = rng.permutation(NUM_USERS)
    moved = scores_XR.reshape(NUM_USERS, NUM_CANDIDATES, 2)[order].reshape(-1, 2)
    wanted = is_wanted_X.reshape(NUM_USERS, NUM_CANDIDATES)[order].ravel()
    given = fit_weights(scores_XR, offsets, is_wanted_X)
    np.testing.assert_array_equal(given, fit_weights(scores_XR, offsets, is_wanted_X))
    np.testing.assert_allclose(fit_weights(moved, offsets, wanted), given, atol=1e-4)


def test_who_wanted_nothing_or_everything_teaches_nothing(rng):
    scores_XR, offsets, is_wanted_X = choices(rng, 1.0, 0.5)
    more = rng.normal(size=(5, 2))
    ends = np.append(offsets, offsets[-1] + np.array([0, 2, 5]))  # nobody's candidates, then two users'
    wanted = np.append(is_wanted_X, [True, True, False, False, False])
    found = fit_weights(np.concatenate([scores_XR, more]), ends, wanted)
    np.testing.assert_allclose(found, fit_weights(scores_XR, offsets, is_wanted_X), atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "ends", "wanted", "why"),
    [
        ([[1.0], [2.0]], [0, 2], [False, False], "no choice to learn from"),
        ([[1.0], [2.0]], [0, 2], [True, True], "no choice to learn from"),
        ([[1.0], [np.nan]], [0, 2], [True, False], "not finite"),
        ([[1.0], [2.0]], [0, 3], [True, False], "groups up to 3"),
    ],
)
def test_what_does_not_fit_is_refused(scores, ends, wanted, why):
    with pytest.raises(ValueError, match=why):
        fit_weights(np.array(scores), np.array(ends), np.array(wanted))


def test_scores_of_any_scale_become_comparable_and_keep_their_order(rng):
    scores_BN = rng.gamma(0.3, size=(5, 40))
    everything = np.ones(scores_BN.shape, bool)
    standard_BN, tells_B = standardise(scores_BN, everything)
    assert tells_B.all()
    np.testing.assert_array_equal(np.argsort(standard_BN), np.argsort(scores_BN))
    np.testing.assert_allclose(standardise(1000 * scores_BN + 7, everything)[0], standard_BN, atol=1e-4)
    np.testing.assert_allclose(np.sinh(standard_BN).mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.sinh(standard_BN).std(axis=1), 1, atol=1e-5)


def test_one_item_that_everybody_takes_does_not_outvote_the_others():
    scores_1N = np.append(np.zeros(999), 1e6)[None, :]
    (standard_N,), _ = standardise(scores_1N, np.ones(scores_1N.shape, bool))
    assert standard_N.max() < 5


def test_what_may_not_be_shown_moves_no_scale(rng):
    scores_BN = rng.normal(size=(3, 10))
    allowed_BN = np.arange(10) % 3 > 0
    allowed_BN = np.tile(allowed_BN, (3, 1))
    changed_BN = np.where(allowed_BN, scores_BN, 1e9)
    found, again = (standardise(each, allowed_BN)[0] for each in (scores_BN, changed_BN))
    np.testing.assert_array_equal(found[allowed_BN], again[allowed_BN])


def test_who_scores_all_alike_tells_nothing_apart():
    scores_BN = np.full((2, 7), 0.1, np.float32)
    scores_BN[1, 2] = 0.2
    standard_BN, tells_B = standardise(scores_BN, np.ones(scores_BN.shape, bool))
    assert tells_B.tolist() == [False, True]
    assert standard_BN[0].tolist() == [0] * 7
    alike_BN = np.random.default_rng(1).random((50, 1), dtype=np.float32).repeat(997, axis=1)
    alike_BN[:, ::2] = np.nextafter(
        alike_BN[:, ::2], np.float32(1)
    )  # off by rounding, as products of matrices are
    assert not standardise(alike_BN, np.ones(alike_BN.shape, bool))[1].any()
    nothing, tells_B = standardise(scores_BN, np.zeros(scores_BN.shape, bool))
    assert np.isfinite(nothing).all()
    assert not tells_B.any()
