"""SeaweedFS, the S3 store: one process with its master, volume, filer and S3 gateway on loopback."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from pathlib import Path

from contracts.errors import ServiceUnreachable
from contracts.settings import Settings
from jobs.io.commit import write_durably
from jobs.services.keys import kept, key
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import Process, Server, answers

_PARTS = ("master", "volume", "filer", "s3")


def seaweed(settings: Settings, ports: Ports) -> Server:
    """The embedded SeaweedFS, with one identity and the bucket that lists are published to."""
    s3_port = ports.named("s3_port", _is_spoilt)
    http = {part: s3_port if part == "s3" else ports.any(f"seaweed_{part}", _is_spoilt) for part in _PARTS}
    grpc = {part: ports.any(f"seaweed_{part}_grpc", _is_spoilt) for part in _PARTS}
    access = settings.s3_access_key.get_secret_value() or kept(settings, "s3.access_key", key)[:20]
    secret = settings.s3_secret_key.get_secret_value() or kept(settings, "s3.secret_key", key)
    folder = settings.home / "seaweedfs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    logs = settings.home / "logs" / "seaweedfs"
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    identities = settings.home / "run" / "s3.json"
    text = _identities(access, secret)
    write_durably(identities, text, mode=0o600)
    url = f"http://{LOOPBACK}:{s3_port}"
    process = Process(
        name="seaweedfs",
        command=(
            str(_weed()),
            f"-logdir={logs}",
            "-log_max_size_mb=16",
            "-log_max_files=2",
            "server",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            f"-dir={folder}",
            "-filer",
            "-s3",
            f"-s3.config={identities}",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{part}.port={port}" for part, port in http.items()),
            *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            "-volume.max=0",  # as many as the disk holds
            "-volume.minFreeSpace=1GiB",
            # A resumed election waits for peers that a single master does not have; volumes tell it all it needs.
            "-master.resumeState=false",
            "-master.electionTimeout=1s",
            "-volume.preStopSeconds=0",
        ),
        configuration=text,
        environment={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},  # one volume a bucket at first, not seven
        is_ready=lambda: answers(s3_port, "/healthz")[0] == 200 and _has_volumes(http["master"]),
        timeout=60,
        # Its parts wait fifteen seconds for one another before they end. All it has acknowledged is with the
        # kernel by then, so ending it at once loses nothing.
        grace=1,
        leavings=_sockets(http, grpc),
    )
    return Server(
        name="seaweedfs",
        processes=(process,),
        url=url,
        login=f"keys in {settings.services_env_path}",
        public_login=f"keys in {settings.services_env_path}",
        publishes={"s3_endpoint_url": url, "s3_access_key": access, "s3_secret_key": secret},
        finish=lambda: _create_bucket(settings, url, access, secret),
    )


def _weed() -> Path:
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise ServiceUnreachable("SeaweedFS's program `weed` is not installed. Install it: make setup")
    return Path(found)


def _identities(access: str, secret: str) -> str:
    identity = {
        "name": "foretaste",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def _sockets(http: dict[str, int], grpc: dict[str, int]) -> tuple[str, ...]:
    """Sockets that it makes in /tmp, whatever TMPDIR says, and leaves behind when it is killed."""
    served = [f"/tmp/seaweedfs-{part}-{http[part]}.sock" for part in ("filer", "s3")]  # noqa: S108
    return (*served, *(f"/tmp/seaweedfs-{part}-grpc-{port}.sock" for part, port in grpc.items()))  # noqa: S108


def _has_volumes(master_port: int) -> bool:
    """Has the volume server reported to the master? Until it has, what was stored earlier cannot be read."""
    status, body = answers(master_port, "/dir/status")
    return status == 200 and json.loads(body)["Topology"]["Max"] > 0


def _is_spoilt(port: int) -> bool:
    """Does a socket of that number belong to another user? It cannot be replaced, and SeaweedFS ends over it."""
    sockets = Path("/tmp").glob(f"seaweedfs-*-{port}.sock")  # noqa: S108
    return any(path.stat().st_uid != os.getuid() != 0 for path in sockets)


def _create_bucket(settings: Settings, url: str, access: str, secret: str) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name=settings.s3_region,
        config=Config(s3={"addressing_style": "path"}),
    )
    try:
        client.create_bucket(Bucket=settings.s3_bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise ServiceUnreachable(
                f"bucket {settings.s3_bucket} cannot be made at {url}: {error}"
            ) from error
    finally:
        client.close()
