"""messaging-service …: run the service, watch the queues, mend what is parked, prove that nothing is lost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from messaging_service.cli import (
    alarms,
    auditing,
    destroyed,
    doctor,
    epd,
    identity,
    keys,
    mending,
    receiving,
    replies,
    restoring,
    retention,
    running,
    screening,
    setting_up,
    tenants,
    watching,
    webhooks,
)
from messaging_service.domain.errors import MessagingError


class _Commands(click.Group):
    """Shows our own errors as one line with its remedy, never as a stack trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MessagingError as problem:
            _end_with([problem])
        except BaseExceptionGroup as group:
            known, unknown = group.split(MessagingError)
            if known is None or unknown is not None:
                raise
            _end_with(_leaves(known))


def _end_with(problems: Sequence[BaseException]) -> NoReturn:
    for problem in problems:
        click.secho(f"messaging-service: {' '.join(str(problem).split())}", fg="red", err=True)
    sys.exit(2)


def _leaves(group: BaseExceptionGroup[MessagingError]) -> list[BaseException]:
    """The errors themselves, out of task groups within task groups."""
    nested = [_leaves(each) if isinstance(each, BaseExceptionGroup) else [each] for each in group.exceptions]
    return [problem for problems in nested for problem in problems]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="messaging-service")
def main() -> None:
    """Secure messages between patients and their care teams, filed in the EPD with proof.

    Settings are environment variables: MESSAGING_BROKER, MESSAGING_STORE, MESSAGING_KEYRING and MESSAGING_TENANTS
    are needed by every command that touches messages.
    """


for module in (
    running,
    keys,
    setting_up,
    tenants,
    watching,
    mending,
    alarms,
    doctor,
    receiving,
    replies,
    restoring,
    retention,
    destroyed,
    epd,
    screening,
    identity,
    auditing,
    webhooks,
):
    module.add_to(main)
