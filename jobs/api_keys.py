"""Keys to the decision API: made, listed and revoked in ``HOME/secrets/api_keys.json``, which the API reads."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from contracts.api_keys import VALID_AT_ONCE, ApiKey, keys_path, make_key, read_keys, to_json
from contracts.errors import KeyRefused
from contracts.settings import Settings
from jobs.io.commit import write_durably


def create_key(settings: Settings, name: str, scopes: list[str], now: datetime) -> tuple[str, ApiKey]:
    """A further key of a caller, and what is kept of it; the key itself is told nowhere else.

    Raises:
        KeyRefused: the caller has as many as may be valid at once.
    """
    with _changed(settings) as keys:
        own = [key for key in keys if key.name == name]
        if len(own) >= VALID_AT_ONCE:
            raise KeyRefused(
                f"{name} has {len(own)} keys already, {' and '.join(key.key_id for key in own)}: two are enough to go "
                f"from one to the next. Revoke one: foretaste keys revoke {own[0].key_id}"
            )
        key, kept = make_key(name, sorted(set(scopes)), now.isoformat(timespec="seconds"))
        keys.append(kept)
    return key, kept


def revoke_key(settings: Settings, key_id: str) -> ApiKey:
    """A key that is valid no more.

    Raises:
        KeyRefused: there is no such key.
    """
    with _changed(settings) as keys:
        found = next((key for key in keys if key.key_id == key_id), None)
        if found is None:
            known = ", ".join(key.key_id for key in keys) or "none"
            raise KeyRefused(
                f"there is no key {key_id!r}; there are: {known}. List them: foretaste keys list"
            )
        keys.remove(found)
    return found


def list_keys(settings: Settings) -> list[dict[str, Any]]:
    """What may be shown of every key."""
    return [
        {"key_id": key.key_id, "name": key.name, "scopes": list(key.scopes), "created_at": key.created_at}
        for key in read_keys(keys_path(settings.home))
    ]


@contextmanager
def _changed(settings: Settings) -> Iterator[list[ApiKey]]:
    """The keys, to be changed by one at a time; written back whole unless something is refused."""
    path = keys_path(settings.home)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = read_keys(path)
        yield keys
        write_durably(path, to_json(keys), mode=0o600)
    finally:
        os.close(folder)
