"""The sending side of MLLP, over TCP or TLS: one message in flight on each connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from messaging_service.adapters.mllp_frames import MAX_FRAME, FrameBroken, framed
from messaging_service.adapters.mllp_session import Session
from messaging_service.adapters.mllp_turns import Turns
from messaging_service.application.ports import AtTurn
from messaging_service.domain.errors import EpdDown
from messaging_service.epd.acknowledgement import AckCode, AckUnknown, Unanswered, told_of
from messaging_service.epd.commit import commit_to

_COMMITTED = "CA"


class MllpClient:
    """One connection to an EPD: opened when needed, kept, one message at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 5.0,
        ack_timeout: float = 30.0,
        max_frame: int = MAX_FRAME,
        answers_twice: bool = False,
        ahead: bool = True,
    ) -> None:
        """Time-outs in seconds: until connected (with TLS), and from sent to answered.

        `answers_twice`: a commit (CA) is followed on the same connection by the application acknowledgement.
        `ahead`: `at_turn` may run early for those whose turn is about to come (`mllp_turns.py`).
        """
        self._address = (host, port)
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._ack_timeout = ack_timeout
        self._max_frame = max_frame
        self._answers = 2 if answers_twice else 1
        self._session: Session | None = None
        self._turns = Turns() if ahead else Turns(most_ahead=1)

    async def exchange(self, frame: bytes, control_id: str, at_turn: AtTurn | None = None) -> bytes:
        """Send `frame` (without VT and FS CR) and return the raw acknowledgement whose MSA-2 is `control_id`.

        `at_turn` runs when all before it are answered or about to be, and is done before the first byte; it runs again
        when its turn comes late. What it raises goes to the caller.
        In enhanced mode that is the application acknowledgement; the commit, when no other came in time.

        Raises:
            EpdDown: no connection; nothing was sent.
            AckUnknown: sent, but no answer of its own in time. The connection is closed, so that a late
                answer can never be taken for the next message's.
        """
        sent = framed(frame)
        async with self._turns.turn(at_turn):
            session = self._session
            if session is None or not session.is_fit():
                session = await self._ready()
            try:
                code, answer = await self._first(session, sent, control_id)
                if self._answers == 1:
                    return answer
                if code == _COMMITTED:
                    return await self._second(session, control_id, answer)
                session.expect_no_more()
            except BaseException:
                self._drop()
                raise
            return answer

    async def probe(self) -> None:
        """Raise EpdDown unless the EPD takes a connection (or the one that is open still stands)."""
        async with self._turns.turn():
            await self._ready()

    @property
    def in_hand(self) -> int:
        """How many exchanges are under way or wait for their turn."""
        return len(self._turns)

    @property
    def is_open(self) -> bool:
        """Whether a connection stands now."""
        return self._session is not None and self._session.is_fit()

    async def close(self) -> None:
        """Close the connection after the exchange under way."""
        async with self._turns.turn():
            self._drop()

    async def _first(self, session: Session, sent: bytes, control_id: str) -> tuple[str, bytes]:
        try:
            answer = await session.ask(sent, self._ack_timeout, answers=self._answers)
        except TimeoutError as exc:
            raise AckUnknown(Unanswered.TIMEOUT) from exc
        except (EOFError, OSError) as exc:
            raise AckUnknown(Unanswered.CLOSED) from exc
        except FrameBroken as exc:
            raise AckUnknown(Unanswered.GARBLED) from exc
        code, answered = told_of(answer)
        if code not in AckCode.__members__ or not answered:
            raise AckUnknown(Unanswered.GARBLED, answer)
        if answered != control_id:
            raise AckUnknown(Unanswered.MISMATCH, answer)
        return code, answer

    async def _second(self, session: Session, control_id: str, commit: bytes) -> bytes:
        """The application acknowledgement, committed to where it asks for that.

        Without one the commit is what is known, and the connection is closed: a late one must not be taken for the
        next message's.
        """
        try:
            answer = await session.another(self._ack_timeout)
        except (TimeoutError, EOFError, OSError, FrameBroken):
            self._drop()
            return commit
        code, answered = told_of(answer)
        if answered != control_id or code not in ("AA", "AE", "AR"):
            self._drop()
            return commit
        if (said := commit_to(answer, datetime.now(UTC))) is not None:
            session.tell(framed(said))
        return answer

    async def _ready(self) -> Session:
        if self._session is not None and not self._session.is_fit():
            self._drop()
        if self._session is None:
            self._session = await self._connect()
        return self._session

    async def _connect(self) -> Session:
        host, port = self._address
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, session = await asyncio.get_running_loop().create_connection(
                    lambda: Session(self._max_frame), host, port, ssl=self._tls
                )
        except (OSError, TimeoutError) as exc:
            raise EpdDown(f"{host}:{port}, {type(exc).__name__}") from exc
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.abort()
            self._session = None


class _Line:
    """The connection that a partition has now, and for how many exchanges."""

    def __init__(self, client: MllpClient) -> None:
        self.client = client
        self.exchanges = 0


class MllpPool:
    """Connections to one EPD: several for the normal lane, one of its own for the urgent lane.

    While a partition (a patient) has a message in hand its other messages take the same connection and so keep their
    order; else it takes the one with the least to do, so that none is idle while another has a row.
    """

    def __init__(self, clients: tuple[MllpClient, ...], urgent: MllpClient) -> None:
        """`clients` (at least one) share the normal lane."""
        self._clients = clients
        self._urgent = urgent
        self._lines: dict[str, _Line] = {}

    async def exchange(
        self, frame: bytes, control_id: str, partition: str, urgent: bool, at_turn: AtTurn | None = None
    ) -> bytes:
        """As MllpClient.exchange, on the connection of `partition`, or at once on the urgent one."""
        if urgent:
            return await self._urgent.exchange(frame, control_id, at_turn)
        with self._connection_of(partition) as client:
            return await client.exchange(frame, control_id, at_turn)

    async def probe(self) -> None:
        """Raise EpdDown unless the EPD takes a connection; a connection that is busy is not waited for."""
        await self._urgent.probe()

    def connections(self) -> tuple[int, int]:
        """How many connections stand now, and how many there are at most."""
        clients = (*self._clients, self._urgent)
        return sum(client.is_open for client in clients), len(clients)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(client.close() for client in (*self._clients, self._urgent)))

    @contextmanager
    def _connection_of(self, partition: str) -> Iterator[MllpClient]:
        line = self._lines.get(partition)
        if line is None:
            line = self._lines[partition] = _Line(min(self._clients, key=lambda client: client.in_hand))
        line.exchanges += 1
        try:
            yield line.client
        finally:
            line.exchanges -= 1
            if not line.exchanges:
                del self._lines[partition]
