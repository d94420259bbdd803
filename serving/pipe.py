"""One connection to the online store on which questions follow each other without waiting for answers.

A pipeline that waits for its answers before the next one begins leaves the server idle meanwhile; here whatever is
asked in one turn of the event loop is written at once, and answers come back in the order of the questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import Any

import redis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from contracts.errors import ForetasteError

Command = tuple[bytes, ...]
_Question = tuple[int, "asyncio.Future[list[Any]]"]  # how many answers it has, and who waits for them


class StoreAway(ForetasteError):
    """The online store does not answer in time, or refuses."""


class Pipe:
    """Asks without waiting for its turn.

    Args:
        timeout: seconds without an answer after which the connection is given up, and all that was asked with it.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._timeout = timeout
        # Any: redis-py has no types for what stands below its commands.
        self._pool: Any = ConnectionPool.from_url(
            url, socket_connect_timeout=timeout, socket_timeout=None, retry=Retry(NoBackoff(), 0), protocol=2
        )
        self._connection: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._unsent: list[Command] = []
        self._asked: deque[_Question] = deque()
        self._suspect: tuple[_Question | None, int] = (None, 0)

    async def connect(self) -> None:
        """Connect, unless it is.

        Raises:
            StoreAway: nobody answers, or we are refused.
        """
        if self._connection is not None:
            return
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except (redis.RedisError, OSError) as error:
            with contextlib.suppress(redis.RedisError, OSError):
                await connection.disconnect(nowait=True)
            raise StoreAway(said(error)) from error
        self._connection = connection
        self._reading = asyncio.create_task(self._read(connection))

    async def close(self) -> None:
        await self._give_up(StoreAway("the connection was closed"))

    def ask(self, *commands: Command) -> asyncio.Future[list[Any]]:
        """The answers to some commands; StoreAway is raised where they are waited for."""
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[list[Any]] = loop.create_future()
        if self._connection is None:
            answers.set_exception(StoreAway("there is no connection"))
            return answers
        if not self._unsent:
            self._sending = loop.create_task(self._send())
        self._unsent += commands
        self._asked.append((len(commands), answers))
        if self._watching is None:
            self._watching = loop.call_later(self._timeout / 2, self._watch)
        return answers

    async def _send(self) -> None:
        commands, self._unsent = self._unsent, []
        connection = self._connection
        if connection is not None and commands:
            with contextlib.suppress(redis.RedisError, OSError):  # who reads meets it, too, and tells
                await connection.send_packed_command(b"".join(map(packed, commands)), check_health=False)

    async def _read(self, connection: Any) -> None:
        """Hand every answer to who waits for it, until the connection breaks."""
        try:
            while True:
                answers: list[Any] = []
                problem: StoreAway | None = None
                num = 1
                while len(answers) < num:
                    try:
                        answers.append(await connection.read_response(timeout=math.inf))
                    except redis.ResponseError as error:
                        answers.append(None)
                        problem = StoreAway(said(error))
                    num = self._asked[0][0]
                _, waiting = self._asked.popleft()
                if waiting.done():  # who asked has gone
                    continue
                if problem is None:
                    waiting.set_result(answers)
                else:
                    waiting.set_exception(problem)
        except (redis.RedisError, OSError, IndexError) as error:
            self._reading = None  # it is this very task
            await self._give_up(StoreAway(said(error)))

    def _watch(self) -> None:
        """Give up when the oldest question is the same at a second look: one late look may be our own delay."""
        self._watching = None
        if not self._asked:
            return
        oldest, (suspect, times) = self._asked[0], self._suspect
        times = times + 1 if oldest is suspect else 1
        self._suspect = (oldest, times)
        loop = asyncio.get_running_loop()
        if times > 2:
            error = StoreAway(f"no answer within {self._timeout * 1e3:.0f} ms")
            self._ending = loop.create_task(self._give_up(error))
        else:
            self._watching = loop.call_later(self._timeout / 2, self._watch)

    async def _give_up(self, error: StoreAway) -> None:
        connection, self._connection = self._connection, None
        asked, self._asked = self._asked, deque()
        self._unsent = []
        for _, waiting in asked:
            if not waiting.done():
                waiting.set_exception(error)
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if connection is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                await connection.disconnect(nowait=True)


def packed(command: Command) -> bytes:
    """A command as it is sent: how many parts, then each with its length. redis-py's own takes ten times as long."""
    parts = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def said(error: BaseException) -> str:
    """An error in a few words."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
