"""Patients who go on writing whatever happens, and remember what they were promised."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field

import aiohttp

from tests.parts.patient import URGENT, Answer, Patient
from tests.parts.system import System

_PAUSE_BEFORE_RETRY = 0.3
_ANSWERS_TO_A_GET = (200, 503)


@dataclass(frozen=True, slots=True)
class Promise:
    """A 202 that a client holds. `mark` stands in the text and nowhere else; `after` is what it saw stored before."""

    id: str
    thread: str
    mark: str
    tenant: str
    urgent: bool
    after: str | None


@dataclass(slots=True)
class Correspondence:
    """What all writers hold: promises, marks of posts that were given up without one, and answers that must not be."""

    promises: dict[str, Promise] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Writer:
    """One patient: ordinary, HTML and urgent messages, new threads and replies, retries with the same key."""

    def __init__(self, system: System, patient: Patient, held: Correspondence, seed: str) -> None:
        self._system = system
        self._patient = patient
        self._held = held
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._last: Promise | None = None

    async def write(self, stop: asyncio.Event) -> None:
        """Post until `stop`, a few messages a second."""
        while not stop.is_set():
            await self._one()
            try:
                await asyncio.wait_for(stop.wait(), self._random.uniform(0.05, 0.4))
            except TimeoutError:
                continue

    async def _one(self) -> None:
        mark = f"{self._patient.tenant}.{self._patient.number}.{next(self._numbers)}."
        last = self._last if self._random.random() < 0.5 else None
        seen = last is not None and self._random.random() < 0.7 and await self._is_stored(last.id)
        urgent = self._random.random() < 0.1
        text = f"{URGENT} {mark}" if urgent else f"Kan iemand mij terugbellen over punt {mark}"
        members = {"thread": last.thread} if last else {}
        if self._random.random() < 0.15:
            text, members = f"<p>{text}</p>", {**members, "format": "html"}
        answer = await self._post(mark, text, members, tries=6 if self._random.random() < 0.7 else 1)
        if answer is None:
            self._held.given_up.add(mark)
            return
        if self._random.random() < 0.1:
            await self._repeat(answer, mark, text, members)
        after = last.id if last and seen else None
        made = Promise(answer.id, answer.body["thread"], mark, self._patient.tenant, urgent, after)
        self._held.promises[made.id] = self._last = made
        await self._look(made.id)

    async def _post(self, mark: str, text: str, members: dict[str, str], tries: int) -> Answer | None:
        """A 202, or None after so many tries; a retry has the same key, so it is the same message."""
        for _ in range(tries):
            try:
                answer = await self._patient.post("Vraag", text, key=mark, **members)
            except (aiohttp.ClientError, TimeoutError):
                answer = None
            if answer is not None and answer.status == 202:
                return answer
            if answer is not None and answer.status != 503:
                self._held.wrong.append(f"{mark} was answered {answer.status}: {answer.body}")
            await asyncio.sleep(_PAUSE_BEFORE_RETRY)
        return None

    async def _repeat(self, answer: Answer, mark: str, text: str, members: dict[str, str]) -> None:
        """As a portal does that lost the answer."""
        again = await self._post(mark, text, members, tries=1)
        if again is not None and again.id != answer.id:
            self._held.wrong.append(f"{mark} was {answer.id}, and is {again.id} when it is sent again")

    async def _look(self, id: str) -> None:
        """What was answered 202 is there at once, for as long as anything answers."""
        try:
            found = await self._patient.get(f"/v1/messages/{id}")
        except (aiohttp.ClientError, TimeoutError):
            return
        if found.status not in _ANSWERS_TO_A_GET:
            self._held.wrong.append(f"{id} was answered 202, then {found.status}")

    async def _is_stored(self, id: str) -> bool:
        try:
            return await self._patient.status(id) in ("persisted", "filed")
        except (aiohttp.ClientError, TimeoutError):
            return False
