"""What is kept and for how long, and who looked at it."""

from __future__ import annotations

from messaging_service.application.break_glass import BreakGlass
from messaging_service.application.destroy import Destroy
from messaging_service.application.forget_accesses import ForgetAccesses
from messaging_service.application.openings import Openings
from messaging_service.application.read_access_log import ReadAccessLog
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.retain import Retain
from messaging_service.application.verify_access_log import VerifyAccessLog
from messaging_service.bootstrap.parts import Parts


def make_break_glass(parts: Parts) -> BreakGlass:
    """What lets on-call open an urgent message."""
    return BreakGlass(
        store=parts.store,
        patients=parts.patients,
        threads=parts.threads,
        openings=make_openings(parts),
        keyring=parts.keyring,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_openings(parts: Parts) -> Openings:
    """The openings on record."""
    return Openings(store=parts.store, patients=parts.patients, access_log=parts.access_log)


def make_verify_access_log(parts: Parts) -> VerifyAccessLog:
    """What verifies the access log."""
    return VerifyAccessLog(parts.store, parts.anchors)


def make_read_access_log(parts: Parts) -> ReadAccessLog:
    """What tells who looked at a patient's data."""
    return ReadAccessLog(
        store=parts.store,
        patients=parts.patients,
        accounts=parts.accounts,
        threads=parts.threads,
        access_log=parts.access_log,
    )


def make_forget_accesses(parts: Parts) -> ForgetAccesses:
    """What lets go of the access log what is over its term."""
    return ForgetAccesses(parts.store, parts.anchors, parts.clock)


def make_remove_message(parts: Parts) -> RemoveMessage:
    """What takes a message out of the store."""
    return RemoveMessage(store=parts.store, threads=parts.threads, access_log=parts.access_log)


def make_destroy(parts: Parts) -> Destroy:
    """What destroys by a medical-records decision."""
    return Destroy(
        store=parts.store,
        threads=parts.threads,
        remove_message=make_remove_message(parts),
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_retain(parts: Parts) -> Retain:
    """What removes what is past its term."""
    return Retain(
        tenants=parts.tenants,
        store=parts.store,
        remove_message=make_remove_message(parts),
        forget_accesses=make_forget_accesses(parts),
        clock=parts.clock,
    )
