"""The Java that Spark runs on, and an archive of Spark's classes that lets it start sooner."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from contracts.errors import JavaMissing
from contracts.settings import inherited_environment

JAVA_NEEDED = 17


def java_version() -> int:
    """The major version of the Java that Spark will find.

    Raises:
        JavaMissing: there is none, or it is too old.
    """
    return _major(*_told())


def class_archive() -> Path:
    """Where the archive of this environment's Spark for this very Java belongs; ``make setup`` makes it.

    Loading and checking classes is a good part of a session of seconds; Java maps an archive of
    them into memory instead (JEP 350, dynamic class-data sharing). One that does not fit is ignored.

    Raises:
        JavaMissing: there is no Java, or it is too old.
    """
    java, told = _told()
    _major(java, told)
    made_for = hashlib.sha256(f"{java}\n{told}".encode()).hexdigest()[:12]
    return Path(sys.prefix) / "share" / "foretaste" / f"spark-{version('pyspark')}-{made_for}.jsa"


def _told() -> tuple[str, str]:
    """The program, and what it tells about itself."""
    home = inherited_environment().get("JAVA_HOME", "")
    java = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if java is None:
        where = f"JAVA_HOME={home}" if home else "on the PATH"
        raise JavaMissing(f"no java found ({where}). {_WAY_OUT}{', or unset JAVA_HOME' if home else ''}.")
    command = [java, "-XX:-UsePerfData", "-version"]
    return java, subprocess.run(command, capture_output=True, text=True, check=False).stderr


_WAY_OUT = f"Spark needs Java {JAVA_NEEDED} or newer: apt-get install openjdk-17-jre-headless (macOS: brew install openjdk@17)"


def _major(java: str, told: str) -> int:
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is None or int(found[1]) < JAVA_NEEDED:
        home = inherited_environment().get("JAVA_HOME", "")
        where = f"JAVA_HOME={home}" if home else "on the PATH"
        said = told.splitlines()[0] if told else "it does not tell its version"
        raise JavaMissing(f"{java} ({where}) is too old: {said}. {_WAY_OUT}, and put it first on the PATH.")
    return int(found[1])
