"""What can be wrong with a lexicon."""

from __future__ import annotations

from messaging_service.domain.errors import MessagingError


class LexiconFault(MessagingError):
    """The screening lexicon cannot be read: correct the file and rule that the message names."""
