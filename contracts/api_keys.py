"""The file of keys to the API: ``foretaste keys`` writes it, ``serving`` reads it.

A key is 256 random bits, told once. What is kept is its sha256: a slow hash protects what people can think of, and of
256 random bits nobody finds the one whose digest was stolen. Nor does looking up a digest tell by its time how near a
guess was: who asks chooses the key, and not its digest.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contracts.errors import SettingInvalid

DECIDE, INGEST, ADMIN = "decide", "ingest", "admin"
#: Ask for decisions; report what people did; read figures that are no caller's business.
SCOPES = (DECIDE, INGEST, ADMIN)
#: Keys of one name that are valid at once: the new one is handed out before the old one is revoked.
VALID_AT_ONCE = 2
_PREFIX = "ft"


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept; ``key_id`` is the part of it that may be shown."""

    key_id: str
    name: str  # of the caller
    scopes: tuple[str, ...]
    sha256: str
    created_at: str  # ISO 8601, UTC


def keys_path(home: Path) -> Path:
    return home / "secrets" / "api_keys.json"


def digest_of_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def make_key(name: str, scopes: Iterable[str], created_at: str) -> tuple[str, ApiKey]:
    """A new key, and what is kept of it."""
    key_id = secrets.token_hex(4)
    key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    return key, ApiKey(key_id, name, tuple(scopes), digest_of_key(key), created_at)


def to_json(keys: Sequence[ApiKey]) -> str:
    return json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n"


def read_keys(path: Path) -> list[ApiKey]:
    """The keys of a file; none where there is no file.

    Raises:
        SettingInvalid: the file holds something else.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys = [ApiKey(**row | {"scopes": tuple(row["scopes"])}) for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise SettingInvalid(
            f"{path} is no file of keys: {error}. Restore it, or remove it and make new keys: foretaste keys create"
        ) from error
    if unknown := {scope for key in keys for scope in key.scopes} - set(SCOPES):
        raise SettingInvalid(
            f"{path} names the scope {min(unknown)!r}; there are {', '.join(SCOPES)}. Restore it, or remove it and make new keys: foretaste keys create"
        )
    return keys
