"""One base error; a class docstring is the message a person reads, remedy included."""

from __future__ import annotations

import inspect


class MessagingError(Exception):
    """Something went wrong in the messaging service."""

    def __init__(self, detail: str | None = None) -> None:
        """`detail` adds identifiers or settings to the docstring; never content or a patient number."""
        said = inspect.cleandoc(type(self).__doc__ or "")
        super().__init__(f"{said} ({detail})" if detail else said)
        self.detail = detail


class ServerFault(MessagingError):
    """A server this service depends on is down or cannot answer; the work waits until it is back.

    Says nothing about the message: no attempt is counted, the circuit of the step opens.
    """

    server = "server"


class StoreDown(ServerFault):
    """The document store does not answer. Check MESSAGING_STORE and that the server runs."""

    server = "store"


class BrokerDown(ServerFault):
    """The message broker does not answer. Check MESSAGING_BROKER and that the server runs."""

    server = "broker"


class EpdDown(ServerFault):
    """The EPD cannot be reached or does not acknowledge in time. Check the tenant's [epd] host and port."""

    server = "epd"


class OnCallUnreachable(ServerFault):
    """None of the on-call channels took the alarm. Check the tenant's [on_call] webhook and e-mail."""

    server = "on-call"


class WebhookDown(ServerFault):
    """The portal's webhook does not take events. Check the tenant's [portal] webhook."""

    server = "webhook"


class MailDown(ServerFault):
    """The mail server does not take a letter. Check MESSAGING_SMTP and the addresses in the tenant's file."""

    server = "mail"


class MailUnknown(MailDown):
    """The mail server did not say whether it took the letter. Check MESSAGING_SMTP."""


class AddressRefused(MessagingError):
    """The mail server refuses this address for good (RFC 5321 §4.2.1, a 5yz answer)."""


class KeyringUnreadable(ServerFault):
    """The keyring file was replaced by one that cannot be read. Put the right one at MESSAGING_KEYRING."""

    server = "keyring"


class PublishUnknown(BrokerDown):
    """The broker did not confirm in time; the message may or may not have been queued.

    Publish again under the same message id: consumers are idempotent.
    """


class QueueRefused(BrokerDown):
    """The queue refused the message: it is full or the broker is out of memory or disk."""


class QueueMissing(BrokerDown):
    """The queue does not exist. Run `messaging-service queues declare` with the present settings."""


class TopologyMismatch(MessagingError):
    """A queue exists with other arguments than this version declares.

    Drain the queue, delete it and run `messaging-service queues declare`.
    """


class MessageFault(MessagingError):
    """The message itself cannot be handled; it is retried on the delay ladder and then parked alone."""

    def __init__(self, reason: str, detail: str | None = None, *, final: bool = False) -> None:
        """`reason` is a short code for lists and metrics; `final` parks at once, without retries."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.final = final


class Deferred(MessagingError):
    """The message must wait for its predecessor in the thread; nothing is counted against it."""


class Conflict(MessagingError):
    """Somebody else changed the same thing at the same moment; read it again and retry."""


class UnsealFailed(MessagingError):
    """A sealed field does not open: wrong key, wrong place or changed bytes. Check MESSAGING_KEYRING."""


class KeyMissing(UnsealFailed):
    """The keyring does not hold the key that sealed this. Restore the keyring that was used then."""


class SettingInvalid(MessagingError):
    """A setting is missing or wrong."""
