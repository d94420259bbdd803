"""Ports of the embedded servers: a default that is taken gives way, a port set by hand does not."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping

from contracts.errors import SettingInvalid
from contracts.settings import Settings

LOOPBACK = "127.0.0.1"
# Below the range that systems hand out for outgoing connections, so that none of those can take the port
# between our choosing it and the server's listening on it.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Can a server listen on this loopback port now?"""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            attempt.bind((LOOPBACK, port))
        except OSError:
            return False
    with socket.socket() as caller:  # some systems let us bind beside a server that listens on every address
        caller.settimeout(0.5)
        return caller.connect_ex((LOOPBACK, port)) != 0


class Ports:
    """Chooses the ports of one start.

    Args:
        in_use: ports of our own servers that run and keep theirs.
        last: ports of the last start, preferred so that addresses stay the same.
    """

    def __init__(self, settings: Settings, in_use: Mapping[str, int], last: Mapping[str, int]) -> None:
        self._settings = settings
        self._in_use = in_use
        self._last = last
        self.chosen: dict[str, int] = {}

    def named(self, setting: str) -> int:
        """The port of a setting such as ``redis_port``.

        Raises:
            SettingInvalid: it was set by hand and somebody else has it.
        """
        wanted: int = getattr(self._settings, setting)
        if setting not in self._settings.model_fields_set:
            return self._choose(setting, [wanted])
        if self._in_use.get(setting) != wanted and (wanted in self.chosen.values() or not is_free(wanted)):
            variable = f"FORETASTE_{setting.upper()}"
            raise SettingInvalid(
                f"{variable}={wanted}: port {wanted} of {LOOPBACK} is taken. "
                f"Stop what listens there, set another {variable}, or unset it and a free port is chosen."
            )
        self.chosen[setting] = wanted
        return wanted

    def any(self, name: str) -> int:
        """A port that nobody needs to know."""
        return self._choose(name, [])

    def _choose(self, name: str, preferred: list[int]) -> int:
        if name in self._in_use:
            self.chosen[name] = self._in_use[name]
            return self._in_use[name]
        if name in self._last:
            preferred = [*preferred, self._last[name]]
        for port in (*preferred, *(_FIRST + secrets.randbelow(_LAST - _FIRST) for _ in range(1000))):
            if port not in self.chosen.values() and port not in self._in_use.values() and is_free(port):
                self.chosen[name] = port
                return port
        raise SettingInvalid(
            f"no port between {_FIRST} and {_LAST} is free for {name}. Stop what listens there."
        )
