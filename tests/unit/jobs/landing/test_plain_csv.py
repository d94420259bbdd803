"""What is read by all cores is what Python's strict reader reads, or is left to it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.landing.plain_csv import read_plain_csv

HEADER = ["a", "b", "c"]

_FIELDS = st.one_of(
    st.text(st.sampled_from("x, é\"'"), max_size=4),
    st.sampled_from(
        ["", '""', '"x"', '"x,y"', '"x""y"', '""""', '"x', 'x"y', '"x"y', '"x\ny"', "\ufffd", "NA"]
    ),
)
_ROWS = st.lists(st.lists(_FIELDS, min_size=0, max_size=4), max_size=6)


def _strict(raw: bytes) -> tuple[list[tuple[int, list[str]]], list[tuple[int, list[str]]]]:
    """Rows that are well-formed and rows that are not, by Python's reader."""
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), strict=True)
    next(reader)
    good, ragged = [], []
    line = reader.line_num + 1
    for row in reader:
        if row:
            (good if len(row) == len(HEADER) else ragged).append((line, row))
        line = reader.line_num + 1
    return good, ragged


@settings(max_examples=400, deadline=None)
@given(rows=_ROWS, newline=st.sampled_from(["\n", "\r\n"]), is_ended=st.booleans())
def test_plain_rows_are_those_of_the_strict_reader(
    rows: list[list[str]], newline: str, is_ended: bool
) -> None:
    text = newline.join([",".join(HEADER), *(",".join(row) for row in rows)]) + (newline if is_ended else "")
    raw = text.encode()
    found = read_plain_csv(raw)
    if found is not None:
        good = [list(row.values()) for row in found.columns.to_pylist()]
        lines = found.lines.to_pylist()
        assert (list(zip(lines, good, strict=True)), found.ragged) == _strict(raw)


@pytest.mark.parametrize(
    "row",
    ["", "1,2,3", '"1","2","3"', ',"",', '"a ""word""","x,y",é', "1,2\n1,2,3", '"1","2,3"\n1,2,3,4\n\n1,2,3'],
)
def test_lines_that_are_rows_are_read_by_all_cores(row: str) -> None:
    raw = f"a,b,c\n{row}\n".encode()
    found = read_plain_csv(raw)
    assert found is not None
    good = [list(row.values()) for row in found.columns.to_pylist()]
    assert (list(zip(found.lines.to_pylist(), good, strict=True)), found.ragged) == _strict(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'a,b,c\n"1\n2",3,4\n',
        b'a,b,c\n1,2"3,4\n',
        b'a,b,c\n"1"2,3,4\n',
        b'a,b,c\n"1,2,3\n',
        b"a,b,c\n1,2\r,3\n",
        b"a,b,c\n1,\0,3\n",
        b"a,b,c\n1,\xff,3\n",
        b"a,b,c\n" + b"x" * 200_000 + b",2,3\n",
    ],
    ids=["newline", "quote inside", "after quote", "open", "return", "zero", "no utf-8", "long"],
)
def test_everything_else_is_left_to_the_strict_reader(raw: bytes) -> None:
    assert read_plain_csv(raw) is None
