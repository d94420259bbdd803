"""Prepares Airflow's database: its tables, and the pool that lets one task at a time into the warehouse.

Run as a program, in Airflow's environment, so that one import of Airflow does both.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobs.io.commit import write_durably

WAREHOUSE_POOL = "warehouse"


def prepare(mark: Path, digest: str) -> None:
    """Migrate, make the pool, and leave a mark that says for which version and database."""
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    initdb()
    Pool.create_or_update_pool(WAREHOUSE_POOL, 1, "Tasks that open the warehouse: one at a time.", False)
    write_durably(mark, digest)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), sys.argv[2])
