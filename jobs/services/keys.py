"""Generated passwords and keys: made once, kept in ``HOME/secrets`` with mode 0600."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from contracts.settings import Settings
from jobs.io.commit import write_durably


def secrets_path(settings: Settings) -> Path:
    return settings.home / "secrets"


def password() -> str:
    return secrets.token_urlsafe(18)


def key() -> str:
    return secrets.token_hex(32)


def fernet_key() -> str:
    """32 random bytes in the alphabet that Fernet reads."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def kept(settings: Settings, name: str, make: Callable[[], str]) -> str:
    """The secret of this name; made on the first call and the same ever after."""
    folder = secrets_path(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    if not path.exists():
        write_durably(path, make() + "\n", mode=0o600)
    return path.read_text(encoding="utf-8").strip()
