"""MovieLens 100K becomes a feed of ratings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from jobs.feeds.movielens import import_movielens_100k


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "22\t1\t2\t874800000\n"
        "196\t2\t4\t874724710\n"
        "196\t1\t3\t874724709\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\n"
        '2\t"Quoted\t\tunknown\n'
    )
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "196\t49\tM\twriter\t55105\n"
        "22\t25\tF\tother\t40206\n"
    )
    return folder


def test_a_rating_arrives_on_its_own_day_in_the_order_of_time(source, tmp_path, delivered) -> None:
    import_movielens_100k(source, tmp_path / "feed")
    first, second = delivered(tmp_path / "feed", "events", "1997-09-20")
    assert first == {
        "event_id": "196-1",
        "user_id": "196",
        "item_id": "1",
        "event_type": "rating",
        "occurred_at": "874724709",
        "value": "3",
    }
    assert second["event_id"] == "196-2"
    assert [row["event_id"] for row in delivered(tmp_path / "feed", "events", "1997-09-21")] == ["22-1"]


def test_films_and_people_are_known_from_the_first_day(source, tmp_path, delivered) -> None:
    import_movielens_100k(source, tmp_path / "feed")
    toy_story, quoted = delivered(tmp_path / "feed", "items", "1997-09-20")
    assert (toy_story["title"], toy_story["category"]) == ("Toy Story (1995)", "Animation")
    assert json.loads(toy_story["attributes"]) == {
        "genres": ["Animation", "Children's", "Comedy"],
        "release_year": 1995,
    }
    assert (quoted["title"], json.loads(quoted["attributes"])["release_year"]) == ('"Quoted', None)
    writer, _ = delivered(tmp_path / "feed", "users", "1997-09-20")
    assert json.loads(writer["attributes"]) == {"age": 49, "gender": "M", "occupation": "writer"}


def test_importing_again_changes_no_byte(source, tmp_path, contents) -> None:
    import_movielens_100k(source, tmp_path / "feed")
    before = contents(tmp_path / "feed")
    assert import_movielens_100k(source, tmp_path / "feed")["deliveries_written"] == 0
    assert contents(tmp_path / "feed") == before


@pytest.mark.parametrize("name", ["ml-100k.inter", "ml-100k.item", "ml-100k.user"])
def test_a_missing_or_a_cut_file_is_refused_and_nothing_is_written(source, tmp_path, name) -> None:
    whole = (source / name).read_bytes()
    (source / name).write_bytes(whole[:-3])
    with pytest.raises(FeedInvalid, match=f"{name} is truncated"):
        import_movielens_100k(source, tmp_path / "feed")
    (source / name).unlink()
    with pytest.raises(FeedInvalid, match=f"{name} cannot be read"):
        import_movielens_100k(source, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()


def test_a_time_that_is_no_number_is_refused(source, tmp_path) -> None:
    path = source / "ml-100k.inter"
    path.write_text(path.read_text().replace("874800000", "yesterday"))
    with pytest.raises(FeedInvalid, match="yesterday"):
        import_movielens_100k(source, tmp_path / "feed")
