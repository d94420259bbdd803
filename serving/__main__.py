"""``python -m serving``: one process of the API, on the address that the settings name."""

from __future__ import annotations

import asyncio
import logging
import sys

from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import MPServer

from contracts.errors import ForetasteError, ServiceUnreachable, StoreUnfit
from contracts.settings import Settings, load_settings
from serving.online import Online
from serving.pipe import StoreAway

log = logging.getLogger("foretaste.serving")

#: Milliseconds within which a request's head has to have arrived.
_HEAD_TIMEOUT = 5_000
_HEAD_BYTES = 16 << 10


def main() -> None:
    """Serve until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    try:
        settings = load_settings()
        asyncio.run(_refuse_unfit(settings))
    except ForetasteError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    server("serving.app:create", settings.api_host, settings.api_port).serve()


def server(target: str, address: str, port: int) -> MPServer:
    """One process that serves what a function makes."""
    return MPServer(
        target,
        factory=True,
        address=address,
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_TIMEOUT, max_buffer_size=_HEAD_BYTES),
        respawn_failed_workers=True,
    )


async def _refuse_unfit(settings: Settings) -> None:
    """A store that forgets people's lists under pressure is refused; one that is away is waited for while we serve.

    Raises:
        ServiceUnreachable: no store is named.
        StoreUnfit: it evicts.
    """
    url = settings.redis_url.get_secret_value()
    if not url:
        raise ServiceUnreachable(
            "no online store: set FORETASTE_REDIS_URL, or start the embedded one with `foretaste up`"
        )
    online = Online(url)
    try:
        policy = await online.policy()
    except StoreAway as error:
        log.warning("store_away why=%s", error)
        return
    finally:
        await online.close()
    if policy != "noeviction":
        raise StoreUnfit(
            f"the online store's maxmemory-policy is {policy}: under pressure it would silently drop lists. "
            "Set it: CONFIG SET maxmemory-policy noeviction, and in its configuration file"
        )


if __name__ == "__main__":
    main()
