"""Ports of the embedded servers: a default that is taken gives way, a port set by hand does not."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
from collections.abc import Callable, Mapping

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


def claim(port: int) -> contextlib.AbstractContextManager[object] | None:
    """Keep other starts of Foretaste on this machine from choosing a port; None where one of them has it."""
    if sys.platform != "linux":
        return contextlib.nullcontext()
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0foretaste-port-{port}")  # a name in no file system, gone with its process
    except OSError:
        held.close()
        return None
    return held


class Ports(contextlib.AbstractContextManager["Ports"]):
    """Chooses the ports of one start, and claims them until the block ends.

    A server takes seconds to listen on its port. Meanwhile another home's start would find the port free and take it
    for its own, and one of the two would talk to the other's server.

    Args:
        in_use: ports of our own servers that run and keep theirs.
        last: ports of the last start, preferred so that addresses stay the same.
    """

    def __init__(
        self,
        settings: Settings,
        in_use: Mapping[str, int],
        last: Mapping[str, int],
        is_free: Callable[[int], bool] = is_free,
    ) -> None:
        self._settings = settings
        self._in_use = in_use
        self._last = last
        self._is_free = is_free
        self._claims = contextlib.ExitStack()
        self.chosen: dict[str, int] = {}

    def __exit__(self, *exception: object) -> None:
        self._claims.close()

    def named(self, setting: str, is_spoilt: Callable[[int], bool] = lambda port: False) -> int:
        """The port of a setting such as ``redis_port``.

        Args:
            is_spoilt: says of a free port that this server cannot use it all the same.

        Raises:
            SettingInvalid: it was set by hand and somebody else has it.
        """
        wanted: int = getattr(self._settings, setting)
        if setting not in self._settings.model_fields_set:
            return self._choose(setting, [wanted], is_spoilt)
        is_taken = wanted in self.chosen.values() or is_spoilt(wanted) or not self._is_ours(wanted)
        if is_taken and self._in_use.get(setting) != wanted:
            variable = f"FORETASTE_{setting.upper()}"
            raise SettingInvalid(
                f"{variable}={wanted}: port {wanted} of {LOOPBACK} is taken. "
                f"Stop what listens there, set another {variable}, or unset it and a free port is chosen."
            )
        self.chosen[setting] = wanted
        return wanted

    def any(self, name: str, is_spoilt: Callable[[int], bool] = lambda port: False) -> int:
        """A port that nobody needs to know."""
        return self._choose(name, [], is_spoilt)

    def _choose(self, name: str, preferred: list[int], is_spoilt: Callable[[int], bool]) -> int:
        if name in self._in_use:
            self._keep(claim(self._in_use[name]))  # it may be stopped and started again
            self.chosen[name] = self._in_use[name]
            return self._in_use[name]
        if name in self._last:
            preferred = [*preferred, self._last[name]]
        for port in (*preferred, *(_FIRST + secrets.randbelow(_LAST - _FIRST) for _ in range(1000))):
            is_given = port in self.chosen.values() or port in self._in_use.values()
            if not is_given and not is_spoilt(port) and self._is_ours(port):
                self.chosen[name] = port
                return port
        raise SettingInvalid(
            f"no port between {_FIRST} and {_LAST} is free for {name}. Stop what listens there."
        )

    def _is_ours(self, port: int) -> bool:
        """Claim the port, and only then see whether it is free: whoever had claimed it may listen by now."""
        held = claim(port)
        if held is None:
            return False
        if not self._is_free(port):
            with held:
                return False
        self._keep(held)
        return True

    def _keep(self, held: contextlib.AbstractContextManager[object] | None) -> None:
        if held is not None:
            self._claims.enter_context(held)
