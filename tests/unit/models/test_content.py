"""Content: a shop of six items whose words are known, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from models.content import Content
from models.item_words import FieldWords, ItemWords

TITLES = ["Red mug", "Red MUG, large", "Red tray", "Tray of oak", "", None]


def words(*values):
    return np.array(values, dtype=object)


# The words of items


def test_the_words_of_titles_are_weighed_as_scikit_learn_weighs_them():
    titles = words("red mug", "blue mug", "red tray", "oak tray red", "blue oak")
    fitted = FieldWords.fit(titles, "title")
    expected = TfidfVectorizer().fit(titles)
    assert fitted.words == tuple(expected.get_feature_names_out()) == ("blue", "mug", "oak", "red", "tray")
    np.testing.assert_allclose(fitted.prepare(titles).toarray(), expected.transform(titles).toarray())


def test_a_word_of_one_item_or_of_all_items_tells_none_apart():
    fitted = FieldWords.fit(words("new red mug", "new red tray", "new oak tray", "new"), "title")
    assert fitted.words == ("red", "tray")
    rarer_more = FieldWords.fit(words(*["mug cup"] * 2, *["mug"] * 4, "tray"), "title")
    assert rarer_more.words == ("cup", "mug")
    assert rarer_more.weights == pytest.approx((1 + np.log(8 / 3), 1 + np.log(8 / 7)))


def test_titles_are_read_word_by_word_whatever_their_case_and_signs():
    fitted = FieldWords.fit(words(*TITLES), "title")
    assert fitted.words == ("mug", "red", "tray")
    assert (fitted.prepare(words(*TITLES)).toarray() > 0).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, True, True],
        [False, False, True],
        [False] * 3,
        [False] * 3,
    ]


def test_a_repeated_word_counts_once():
    fitted = FieldWords.fit(words("mug", "mug tray", "tray"), "title")
    assert fitted.prepare(words("mug tray tray")).toarray() == pytest.approx(np.full((1, 2), np.sqrt(0.5)))


def test_a_category_and_a_brand_are_one_word_each():
    for field in ("category", "brand"):
        fitted = FieldWords.fit(words("Tea pots", " tea  POTS", "tea", "tea", None, ""), field)
        assert fitted.words == ("tea", "tea pots")
        assert fitted.prepare(words("TEA POTS", "pots", None)).toarray().tolist() == [[0, 1], [0, 0], [0, 0]]


def test_attributes_are_words_with_their_names():
    described = json.dumps(
        {"Colour": "Dark Red", "genres": ["Film-Noir", "War"], "year": 1995, "size": {"cm": 3, "inch": None}}
    )
    fitted = FieldWords.fit(words(described, described, "{}", None), "attributes")
    assert fitted.words == (
        "colour=dark red", "genres=film-noir", "genres=war", "size.cm=3", "year=1995",
    )  # fmt: skip


@pytest.mark.parametrize("wrong", ["[1]", "{", '"red"'])
def test_attributes_that_are_no_object_are_named(wrong):
    with pytest.raises(ValueError, match="expected a JSON object"):
        FieldWords.fit(words(wrong), "attributes")


def test_a_catalogue_without_words_has_none():
    nothing = {"title": words("", None), "attributes": words(None, "{}")}
    assert ItemWords.fit(nothing).prepare(nothing).shape == (2, 0)
    assert ItemWords.fit({"title": words()}).prepare({"title": words()}).shape == (0, 0)


SHOP = {
    "title": words("oak mug", "oak tray", "red mug", "red tray", "oak", "red"),
    "brand": words("Oak", "Oak", "Elm", "Elm", "", None),
}


def test_fields_are_kept_apart_and_each_says_as_much_as_any_other():
    fitted = ItemWords.fit(SHOP)
    assert [(field.field, field.words) for field in fitted.fields] == [
        ("title", ("mug", "oak", "red", "tray")),
        ("brand", ("elm", "oak")),
    ]
    words_NT = fitted.prepare(SHOP).toarray()
    np.testing.assert_allclose((words_NT[:4, :4] ** 2).sum(axis=1), 0.5)
    np.testing.assert_allclose((words_NT[:4, 4:] ** 2).sum(axis=1), 0.5)
    np.testing.assert_allclose(words_NT[4], [0, 1, 0, 0, 0, 0])  # without a brand the title says all


def test_items_that_came_later_are_described_by_the_words_that_are_known():
    later = {"title": words("Elm mug, 300 ml", "vase"), "brand": words("elm", "new")}
    words_NT = ItemWords.fit(SHOP).prepare(later).toarray()
    np.testing.assert_allclose(words_NT, [[np.sqrt(0.5), 0, 0, 0, np.sqrt(0.5), 0], [0] * 6])


def test_a_field_whose_words_are_not_read_is_refused_by_name():
    with pytest.raises(ValueError, match="'price' is no field"):
        ItemWords.fit({"price": words("3")})


def test_words_come_back_from_json_as_they_were():
    fitted = ItemWords.fit(SHOP)
    assert ItemWords.from_state(json.loads(json.dumps(asdict(fitted)))) == fitted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": [1.0]}, "expected 2 numbers above zero"),
        ({"weights": [1.0, float("nan")]}, "expected 2 numbers above zero"),
        ({"weights": [1.0, 0.0]}, "expected 2 numbers above zero"),
        ({"field": "colour"}, "'colour' is no field"),
    ],
)
def test_words_that_cannot_be_calculated_with_are_refused(changes, message):
    brand = asdict(FieldWords.fit(SHOP["brand"], "brand")) | changes
    with pytest.raises(ValueError, match=message):
        ItemWords.from_state({"fields": [brand]})


# What they recommend


@pytest.fixture
def model():
    return Content(num_recent=2, half_life=1.0).fit(ItemWords.fit(SHOP).prepare(SHOP).T)


def test_a_score_is_the_cosine_of_the_recency_weighted_words():
    words_NT = np.array([[3.0, 4, 0], [0, 0, 2], [1, 0, 0], [0, 0, 0]])
    model = Content(num_recent=2, half_life=1.0).fit(csr_matrix(words_NT.T))
    # item 2 lies too far back; item 1 counts half of item 0: profile (.6, .8, .5), of length √1.25
    expected = [1 / np.sqrt(1.25), 0.5 / np.sqrt(1.25), 0.6 / np.sqrt(1.25), 0]
    np.testing.assert_allclose(model.score([np.array([2, 1, 0])]), [expected], rtol=1e-6)


def test_an_item_that_nobody_has_acted_upon_is_scored_by_its_words(model):
    mug, tray = model.score([np.array([0])])[0, [2, 1]]
    assert 0 < mug < tray < 1  # both share a title's word with the oak mug, the tray its brand as well


def test_nothing_is_said_of_items_without_words_or_to_people_whose_items_have_none():
    model = Content().fit(csr_matrix(np.array([[1.0, 1, 0], [0, 1, 0]])))
    scores_UN = model.score([np.array([2]), np.array([], dtype=int), np.array([0, 2])])
    assert scores_UN[:2].tolist() == [[0, 0, 0]] * 2
    np.testing.assert_allclose(scores_UN[2], [1, np.sqrt(0.5), 0], rtol=1e-6)


def test_how_far_back_it_looks_is_saved_with_it(model):
    history = np.array([3, 0, 1, 2])
    restored = Content.from_state(model.state())
    np.testing.assert_array_equal(restored.score([history]), model.score([history]))
    assert (restored.num_recent, restored.half_life) == (2, 1.0)
    assert restored.score([history]).tolist() == restored.score([history[-2:]]).tolist()


def test_weights_that_are_none_are_refused(model):
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match="negative or NaN"):
            Content().fit(csr_matrix(np.array([[1.0, wrong]])))
    state = model.state()
    state["words"] = state["words"] - 1
    with pytest.raises(ValueError, match="word -1 of an item is none"):
        Content.from_state(state)
