"""Which queues there are: persist and file by lane, the rest one each, and the delay ladder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from messaging_service.application.ports import QueueDeclaration, Topology
from messaging_service.domain.message import Lane, Step

LADDER_MS = (5_000, 60_000, 600_000)
"""How long a message that failed by its own fault waits before each retry; after the last it is parked.

The setting MESSAGING_LADDER_MS replaces it.
"""

DEFERRAL_MS = 1_000
"""How long a message waits for its predecessor in the thread, or for a server that failed under it."""

SOON = 10
"""How many deferrals come soon; after them a message that waits is looked at every first rung of the ladder."""

PARK = Step.PARK.value
PARK_DEAD = "park.dead"


def persist_queue(lane: Lane) -> str:
    """The persist step's queue of a lane."""
    return f"{Step.PERSIST}.{lane}"


def file_queue(tenant: str, lane: Lane) -> str:
    """The file step's queue of a tenant and lane: one EPD down holds up nobody else."""
    return f"{Step.FILE}.{tenant}.{lane}"


def escalate_queue(tenant: str) -> str:
    """The escalate step's queue of a tenant: one hospital's on-call that cannot be reached delays nobody else's."""
    return f"{Step.ESCALATE}.{tenant}"


def notify_queue(tenant: str) -> str:
    """The notify step's queue of a tenant."""
    return f"{Step.NOTIFY}.{tenant}"


SHARED_QUEUES = (*(persist_queue(lane) for lane in Lane), PARK, PARK_DEAD)
"""Those that every tenant's messages pass."""


def queues_of(tenant: str) -> tuple[str, ...]:
    """A tenant's own queues."""
    return (*(file_queue(tenant, lane) for lane in Lane), escalate_queue(tenant), notify_queue(tenant))


def topology(tenants: Iterable[str], ladder_ms: Iterable[int] = LADDER_MS) -> Topology:
    """Every queue for these tenants. What a step cannot take dead-letters to `park`."""
    names = [persist_queue(lane) for lane in Lane]
    for tenant in tenants:
        names += queues_of(tenant)
    queues = [QueueDeclaration(name, dead_letter=PARK) for name in names]
    queues += [QueueDeclaration(PARK, dead_letter=PARK_DEAD), QueueDeclaration(PARK_DEAD, dead_letter=None)]
    return Topology(tuple(queues), tuple(sorted({DEFERRAL_MS, *ladder_ms})))


def deferrals_for_opener(ladder_ms: Sequence[int]) -> int:
    """After how many deferrals the message that opens a thread is not waited for any longer.

    It is somewhere on the ladder at the longest, and then stored or parked; a quarter more is for a busy machine. What
    is still missing then is lost: it was stored after the backup that the store was restored from.
    """
    return SOON + -(-5 * sum(ladder_ms) // (4 * ladder_ms[0]))


def step_of(queue: str) -> Step:
    """The step that consumes a queue."""
    return Step(queue.partition(".")[0])
