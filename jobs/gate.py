"""One gate between two rooms: what was found of each table, its page, and the refusal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts.errors import GateRefused
from contracts.tables import TABLES
from jobs.runs import StepContext
from jobs.validation_page import Judged, page_url, write_result

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Refusals that the message names; the page has them all.
_NAMED = 3
_COLUMNS = " (columns)"


class Gate:
    """One gate of one day: collects what was found of each table, and says no in the end."""

    def __init__(self, name: str, day: date, context: StepContext, way_out: str) -> None:
        self.name = name
        self._day = day
        self._context = context
        self._way_out = way_out
        self._judged: list[Judged] = []

    def judge(self, table: str, suite: Any, frame: pd.DataFrame) -> None:
        """Evaluate a suite over a frame; every expectation has to give one finding."""
        from expectations.findings import evaluate

        findings = evaluate(suite, frame)
        if len(findings) != len(suite.expectations) or not findings:
            raise GateRefused(
                f"{len(findings)} of {len(suite.expectations)} expectations on {table} were evaluated: "
                f"the suite {suite.name!r} does not judge. Nothing after gate {self.name} may run"
            )
        self._judged.append(Judged(table, len(frame), tuple(findings)))

    def has_columns(self, tables: Sequence[str], days: Sequence[date]) -> bool:
        """Judge the columns of partitions; with others than the contract's their rows cannot be looked at."""
        import pyarrow.parquet as pq

        from expectations.columns import columns, columns_frame
        from jobs.io.schemas import arrow_schema

        for table in tables:
            expected = _types(arrow_schema(TABLES[table]))
            schemas = [_types(pq.read_schema(path)) for path in self._context.lake.files(table, days)]
            found = next((schema for schema in schemas if schema != expected), expected)
            self.judge(f"{table}{_COLUMNS}", columns(), columns_frame(expected, found))
        return not any(judged.refused for judged in self._judged if judged.table.endswith(_COLUMNS))

    def note(self, table: str, note: str, num_rows: int = 0) -> None:
        """Say why a table is not judged."""
        self._judged.append(Judged(table, num_rows, (), note))

    def finish(self) -> dict[str, Any]:
        """Write the result and its page.

        Raises:
            GateRefused: an expectation is not met; names table, column, what was observed and the way out.
        """
        page = write_result(self._context.settings, self._day, self.name, self._judged)
        refused = [(judged.table, finding) for judged in self._judged for finding in judged.refused]
        if refused:
            told = "; ".join(
                f"{table}, {finding.column}: {finding.meaning} ({finding.expectation}): {finding.observed}"
                for table, finding in refused[:_NAMED]
            )
            more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
            raise GateRefused(
                f"gate {self.name} of {self._day}: {told}{more}. All of it: {page}. {self._way_out}"
            )
        return {
            "expectations": sum(len(judged.findings) for judged in self._judged),
            "rows": {
                judged.table: judged.num_rows
                for judged in self._judged
                if not judged.table.endswith(_COLUMNS)
            },
            "page_url": page_url(self._context.settings, self._day, self.name),
        }


def _types(schema: pa.Schema) -> dict[str, str]:
    """Names and types as the contract counts them: how a writer names a list's entries is its own affair."""
    return {
        field.name: str(field.type).replace("element:", "item:").replace(" not null", "") for field in schema
    }
