"""Which adapter speaks to which broker and store."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.ports import Broker, DocumentStore
from messaging_service.config import Settings
from messaging_service.transport import require_encrypted

_MONGO_DATABASE = "messaging"


def broker_of(settings: Settings, name: str) -> Broker:
    url = settings.broker
    require_encrypted("MESSAGING_BROKER", url)
    if url.startswith("embedded:"):
        return EmbeddedBroker(Path(url.removeprefix("embedded:")))
    tls = ssl.create_default_context(cafile=settings.ca_file) if url.startswith("amqps:") else None
    return RabbitBroker(url, name=name, tls=tls)


def store_of(settings: Settings) -> DocumentStore:
    url = settings.store
    require_encrypted("MESSAGING_STORE", url)
    if url.startswith("sqlite:"):
        return SqliteDocuments(Path(url.removeprefix("sqlite:")))
    database = urlsplit(url).path.strip("/") or _MONGO_DATABASE
    return MongoDocuments(url, database, settings.store_driver)
