"""Great Expectations, as much of it as judges a pandas frame: the only place that imports it.

Its import loads every backend that happens to be installed (Spark, SQLAlchemy, clouds), and scipy.stats and
Altair for one expectation and its chart; together that takes longer than to judge a day. A backend that cannot
be imported it does without; the other two are fetched when they are asked for.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import Any

#: Backends that Great Expectations takes for not installed.
_ABSENT = ("boto3", "botocore", "google", "psycopg2", "pyspark", "sqlalchemy")
#: What it imports always and needs for expectations that no suite of ours has.
_LATE = ("altair", "scipy.stats")


@contextmanager
def _lean_imports() -> Iterator[None]:
    """Hide what is not wanted, unless it is loaded already, while modules are imported.

    The collector rests meanwhile: an import makes a million objects and hardly any garbage.
    """
    hidden: dict[str, ModuleType | None] = {name: None for name in _ABSENT if name not in sys.modules}
    hidden |= {name: _Late(name) for name in _LATE if name not in sys.modules}
    is_collecting = gc.isenabled()
    gc.disable()
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None is what Python documents for "not to be found"
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        if is_collecting:
            gc.enable()


class _Late(ModuleType):
    """Stands for a module; the first question to it imports the module itself."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks, and means the stand-in
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


with _lean_imports():
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
    from great_expectations.expectations.expectation import ColumnMapExpectation, Expectation
    from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial
    from great_expectations.validator.validator import Validator

_configuration_of = Expectation.configuration.fget
#: By the identity of an expectation, which is kept with its configuration so that no other gets its identity.
_kept: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("kept", default=None)


@contextmanager
def configurations_kept() -> Iterator[None]:
    """As long as this lasts, each expectation makes its configuration once; none may be changed meanwhile.

    Great Expectations makes it anew out of every field whenever it looks one up, a hundred times to judge once, which
    takes a good part of the time to judge a small table.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def _configuration(expectation: Any) -> Any:
    kept = _kept.get()
    if kept is None:
        return _configuration_of(expectation)
    if id(expectation) not in kept:
        kept[id(expectation)] = expectation, _configuration_of(expectation)
    return kept[id(expectation)][1]


Expectation.configuration = property(_configuration)

__all__ = [
    "Batch",
    "ColumnMapExpectation",
    "ColumnMapMetricProvider",
    "PandasBatchData",
    "PandasExecutionEngine",
    "Validator",
    "column_condition_partial",
    "configurations_kept",
    "gx",
    "gxe",
]
