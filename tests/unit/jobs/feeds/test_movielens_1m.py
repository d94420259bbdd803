"""MovieLens 1M as SASRec reads it becomes a feed that knows order and no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from jobs.feeds.movielens_1m import import_movielens_1m

FILES = {
    "ml-1m.txt": "1 1\n1 2\n1 3\n2 2\n2 1\n",
    "sas_to_original_users.txt": "1 5988\n2 17\n",
    "sas_to_original_items.txt": "1 1198\n2 73\n3 356\n",
    "movies.dat": (
        "73::Misérables, Les (1995)::Drama|Musical\n"
        "356::Forrest Gump (1994)::Comedy|Romance|War\n"
        "1198::Raiders of the Lost Ark (1981)::Action|Adventure\n"
        "2000::Nobody has seen it (1999)::Drama\n"
    ),
    "users.dat": "17::M::50::1::95350\n5988::F::1::10::48067\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_bytes(text.encode("iso-8859-1"))
    return folder


def events(feed: Path, delivered) -> list[dict[str, str]]:
    days = sorted(path.name.removeprefix("received=") for path in (feed / "events").iterdir())
    return [row for day in days for row in delivered(feed, "events", day)]


def test_a_rating_is_a_view_under_the_original_numbers_in_the_order_of_the_file(
    source, tmp_path, delivered
) -> None:
    told = import_movielens_1m(source, tmp_path / "feed")
    rows = events(tmp_path / "feed", delivered)
    by_user = {
        user: [row["item_id"] for row in sorted(rows, key=lambda row: row["occurred_at"]) if row["user_id"] == user]
        for user in ("5988", "17")
    }  # fmt: skip
    assert by_user == {"5988": ["1198", "73", "356"], "17": ["73", "1198"]}
    assert {row["event_id"] for row in rows} == {f"5988-0000{n}" for n in (1, 2, 3)} | {
        "17-00001",
        "17-00002",
    }
    assert {row["event_type"] for row in rows} == {"view"}
    assert (told["events"], told["items"], told["users"]) == (5, 4, 2)


def test_the_feed_says_that_its_clock_tells_order_only_and_that_nobody_rates_twice(source, tmp_path) -> None:
    import_movielens_1m(source, tmp_path / "feed")
    description = json.loads((tmp_path / "feed" / "feed.json").read_text())
    assert description["clock"] == "order"
    assert description["repeats_allowed"] is False


def test_all_films_are_described_and_people_without_their_zip_code(source, tmp_path, delivered) -> None:
    import_movielens_1m(source, tmp_path / "feed")
    miserables, *_, unseen = delivered(tmp_path / "feed", "items", "2000-01-01")
    assert (miserables["title"], miserables["category"]) == ("Misérables, Les (1995)", "Drama")
    assert json.loads(miserables["attributes"]) == {"genres": ["Drama", "Musical"], "release_year": 1995}
    assert unseen["item_id"] == "2000"
    people = {row["user_id"]: json.loads(row["attributes"]) for row in delivered(tmp_path / "feed", "users", "2000-01-01")}  # fmt: skip
    assert people["17"] == {"age": "50-55", "gender": "M", "occupation": "academic/educator"}
    assert people["5988"] == {"age": "under 18", "gender": "F", "occupation": "K-12 student"}


def test_importing_again_changes_no_byte(source, tmp_path, contents) -> None:
    import_movielens_1m(source, tmp_path / "feed")
    before = contents(tmp_path / "feed")
    assert import_movielens_1m(source, tmp_path / "feed")["deliveries_written"] == 0
    assert contents(tmp_path / "feed") == before


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_an_empty_or_a_cut_file_is_refused_and_nothing_is_written(source, tmp_path, name) -> None:
    whole = (source / name).read_bytes()
    for content, told in ((whole[:-3], "truncated"), (b"", "is empty"), (None, "cannot be read")):
        (source / name).unlink(missing_ok=True)
        if content is not None:
            (source / name).write_bytes(content)
        with pytest.raises(FeedInvalid, match=f"{name} {told}|{name} is {told}"):
            import_movielens_1m(source, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ml-1m.txt", "user,item\n1,1\n", "line 1: found 'user,item', expected two numbers"),
        ("ml-1m.txt", "1 1\n1 2\n1 3\n", "lacks user 2"),
        ("ml-1m.txt", "1 1\n1 2\n2 2\n2 1\n", "lacks item 3"),
        ("ml-1m.txt", "1 1\n1 2\n2 2\n1 3\n", "line 4: user 1 comes back after others"),
        ("sas_to_original_users.txt", "1 5988\n", "sas_to_original_users.txt lacks user 2"),
        ("movies.dat", FILES["movies.dat"].split("356")[0], "movies.dat lacks 356 and 1 others"),
        ("movies.dat", "movieId,title,genres\n", "line 1: found 'movieId,title,genres', expected number::title::genres"),
        ("users.dat", "17::M::51::1::95350\n", "found '17::M::51::1::95350', expected number::F or M::age"),
    ],
)  # fmt: skip
def test_files_that_say_something_else_or_do_not_fit_are_refused(source, tmp_path, name, text, told) -> None:
    (source / name).write_bytes(text.encode("iso-8859-1"))
    with pytest.raises(FeedInvalid, match=told):
        import_movielens_1m(source, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()
