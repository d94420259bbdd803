"""Run a command of Foretaste and kill its process, with SIGKILL, when a boundary is crossed for the n-th time.

python killer.py BOUNDARY N -- step land --day 2011-03-01
"""

from __future__ import annotations

import os
import signal
import sys

from jobs import cli
from jobs.io import commit


def main() -> None:
    wanted, number = sys.argv[1], int(sys.argv[2])
    crossed = 0

    def kill(name: str) -> None:
        nonlocal crossed
        crossed += name == wanted
        if crossed == number and name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    commit.boundary = kill
    sys.argv = ["foretaste", *sys.argv[4:]]
    cli.main()


if __name__ == "__main__":
    main()
