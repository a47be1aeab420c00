"""E-mail to patients as tests have it sent: owed over the service's store, handed in at a mail server."""

from __future__ import annotations

import msgspec

from messaging_service.adapters.notice_mail import NoticeMail
from messaging_service.application.email_notices import EmailNotices
from messaging_service.application.ports import PatientMail
from messaging_service.application.send_email_notices import OwedEmailNotices
from messaging_service.tenants import EmailNotice
from tests.parts.service import Service

SENDER = "Messaging <berichten@hospital.example>"


def offering(service: Service, tenant: str = "spijkenisse", offered: EmailNotice | None = None) -> None:
    """The tenant sends such e-mail from now on."""
    known = service.tenants[tenant]
    service.tenants[tenant] = msgspec.structs.replace(known, email_notice=offered or EmailNotice())


def wishes(service: Service) -> EmailNotices:
    """What keeps where patients want it."""
    return EmailNotices(
        store=service.store,
        accounts=service.accounts,
        patients=service.patients,
        access_log=service.access_log,
        clock=service.clock,
    )


def email_notices(service: Service, port: int = 0) -> OwedEmailNotices:
    """What owes it and, at a mail server on this port of loopback, sends it."""
    mail: dict[str, PatientMail] = {
        tenant.id: NoticeMail(tenant, f"smtp://127.0.0.1:{port}", SENDER, service.clock, count=service.meter.channel)
        for tenant in service.tenants.values()
        if port and tenant.email_notice
    }
    return OwedEmailNotices(
        tenants=service.tenants,
        mail=mail,
        store=service.store,
        accounts=service.accounts,
        patients=service.patients,
        threads=service.threads,
        access_log=service.access_log,
        alerts=service.alerts,
        clock=service.clock,
    )
