"""messaging-service …: run the service, watch the queues, mend what is parked, prove that nothing is lost."""

from __future__ import annotations

import sys

import click

from messaging_service.cli import mending, running, screening, setting_up, watching
from messaging_service.domain.errors import MessagingError


class _Commands(click.Group):
    """Shows our own errors as one line with its remedy, never as a stack trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MessagingError as problem:
            click.secho(f"messaging-service: {problem}", fg="red", err=True)
            sys.exit(2)
        except BaseExceptionGroup as group:
            known, unknown = group.split(MessagingError)
            if known is None or unknown is not None:
                raise
            for each in known.exceptions:
                click.secho(f"messaging-service: {each}", fg="red", err=True)
            sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="messaging-service")
def main() -> None:
    """Secure messages between patients and their care teams, filed in the EPD with proof.

    Settings are environment variables: MESSAGING_BROKER, MESSAGING_STORE, MESSAGING_KEYRING and MESSAGING_TENANTS
    are needed by every command that touches messages.
    """


for module in (running, setting_up, watching, mending, screening):
    module.add_to(main)
