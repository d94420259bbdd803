"""One connection to the online store on which questions follow each other without waiting for answers.

A pipeline that waits for its answers before the next one begins leaves the server idle meanwhile; here whatever is
asked in one turn of the event loop is written at once, and answers come back in the order of the questions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

import redis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from contracts.errors import ForetasteError
from serving.replies import NoReply, Refused, Replies, Reply

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
        self._line: _Line | None = None

    async def connect(self) -> None:
        """Connect, unless it is.

        Raises:
            StoreAway: nobody answers, or we are refused.
        """
        if self._line is not None and self._line.is_open:
            return
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except (redis.RedisError, OSError) as error:
            with contextlib.suppress(redis.RedisError, OSError):
                await connection.disconnect(nowait=True)
            raise StoreAway(said(error)) from error
        self._line = _Line(connection, self._timeout)

    async def close(self) -> None:
        if self._line is not None:
            self._line.give_up("the connection was closed")
            await self._line.let_go()

    def ask(self, *commands: Command) -> asyncio.Future[list[Any]]:
        """The answers to some commands; StoreAway is raised where they are waited for."""
        if self._line is not None and self._line.is_open:
            return self._line.ask(commands)
        answers: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        answers.set_exception(StoreAway("there is no connection"))
        return answers


class _Line(asyncio.Protocol):
    """A connection once redis-py has opened it, by TLS, password and database as its URL says."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection, self._timeout = connection, timeout
        self._loop = asyncio.get_running_loop()
        self._transport = connection._writer.transport
        self._transport.set_protocol(self)
        self._replies = Replies()
        self._unsent: list[Command] = []
        self._asked: deque[_Question] = deque()
        self._answers: list[Reply] = []  # to the oldest question, so far
        self._watching: asyncio.TimerHandle | None = None
        self._suspect: tuple[_Question | None, int] = (None, 0)
        self.is_open = True

    def ask(self, commands: tuple[Command, ...]) -> asyncio.Future[list[Any]]:
        answers: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent += commands
        self._asked.append((len(commands), answers))
        if self._watching is None:
            self._watching = self._loop.call_later(self._timeout / 2, self._watch)
        return answers

    def _send(self) -> None:
        commands, self._unsent = self._unsent, []
        if self.is_open:
            self._transport.write(b"".join(map(packed, commands)))

    def data_received(self, data: bytes) -> None:
        """Hand every answer to who waits for it."""
        try:
            self._answers += self._replies.read(data)
        except NoReply as error:
            self.give_up(str(error))
        while self._asked and len(self._answers) >= self._asked[0][0]:
            num, waiting = self._asked.popleft()
            answers, self._answers = self._answers[:num], self._answers[num:]
            if waiting.done():  # who asked has gone
                continue
            refused = [each for each in answers if isinstance(each, Refused)]
            if refused:
                waiting.set_exception(StoreAway(str(refused[0])))
            else:
                waiting.set_result(answers)

    def connection_lost(self, exc: Exception | None) -> None:
        self.give_up("the connection broke off" if exc is None else said(exc))

    def _watch(self) -> None:
        """Give up when the oldest question is the same at a second look: one late look may be our own delay."""
        self._watching = None
        if not self._asked:
            return
        oldest, (suspect, times) = self._asked[0], self._suspect
        times = times + 1 if oldest is suspect else 1
        self._suspect = (oldest, times)
        if times > 2:
            self.give_up(f"no answer within {self._timeout * 1e3:.0f} ms")
        else:
            self._watching = self._loop.call_later(self._timeout / 2, self._watch)

    def give_up(self, why: str) -> None:
        """Tell everybody who still waits, and close."""
        if not self.is_open:
            return
        self.is_open = False
        asked, self._asked = self._asked, deque()
        for _, waiting in asked:
            if not waiting.done():
                waiting.set_exception(StoreAway(why))
        self._transport.abort()
        self._ending = self._loop.create_task(self.let_go())

    async def let_go(self) -> None:
        """Have redis-py know that it is over."""
        with contextlib.suppress(redis.RedisError, OSError):
            await self._connection.disconnect(nowait=True)


def packed(command: Command) -> bytes:
    """A command as it is sent: how many parts, then each with its length. redis-py's own takes ten times as long."""
    parts = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def said(error: BaseException) -> str:
    """An error in a few words."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
