"""The document store on MongoDB, and the only place that knows its drivers.

A stored document is `{_id, version, document: {id, version, …}, writer}`. Only calls that motor and pymongo
spell alike and every compatible server handles well: insert_many, find, count_documents, bulk_write of updates
by id and version, delete_one, create_index.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import count
from typing import Any, Literal

import bson
import pymongo
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.errors import BSONError
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, ReadPreference, UpdateOne
from pymongo.errors import BulkWriteError, ConfigurationError, OperationFailure, PyMongoError

from messaging_service.adapters.document_rules import (
    IndexDiffers,
    Shape,
    check_collections,
    check_values,
    encoded,
    ordering,
)
from messaging_service.adapters.gathering import Gathering
from messaging_service.adapters.write_verdicts import Seen, Verdict, Write, by_code, by_marks, together, turn
from messaging_service.application.ports import Collection, Document
from messaging_service.domain.errors import SettingInvalid, StoreDown

Driver = Literal["motor", "pymongo"]

_CLIENTS: dict[str, Any] = {"motor": AsyncIOMotorClient, "pymongo": AsyncMongoClient}
_ANSWER_MS = 2500
_SELECT_SERVER_MS = 2000
_BUILD_INDEX_SECONDS = 600
_INDEX_CONFLICTS = (85, 86)  # IndexOptionsConflict, IndexKeySpecsConflict
_CALLS_AT_ONCE = 2
_MOST_IN_A_CALL = 500


class _PlainInt(TypeDecoder):
    """The driver's own int type for 64 bits back to int, so that what is read equals what was stored."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(type_registry=TypeRegistry([_PlainInt()]))


class MongoDocuments:
    """A DocumentStore on MongoDB or a server compatible with it; `driver` chooses whose client is used.

    Writes wait for a majority and the journal. What several tasks ask at the same moment goes out as one
    command a collection. No answer within 2.5 seconds is StoreDown, and a write may then have been kept.
    """

    def __init__(self, uri: str, database: str, driver: Driver = "motor") -> None:
        """Connects to nothing. Raises SettingInvalid for a driver of another name."""
        if driver not in _CLIENTS:
            raise SettingInvalid(f"store driver {driver!r}: motor or pymongo")
        self._uri = uri
        self._database = database
        self._driver = driver
        self._client: Any = None
        self._parts: dict[str, _MongoCollection] = {}

    async def open(self, collections: Sequence[Collection]) -> None:
        """Connect and build the indexes that are missing.

        Raises:
            IndexNotShardable: a unique index lacks the shard key.
            IndexDiffers: an index exists with other fields.
            StoreDown: no server answers, or it refuses.
        """
        check_collections(collections)
        with _faults():
            if self._client is None:
                self._client = self._connect()
            await self._client.admin.command("ping")
            for collection in collections:
                part = _MongoCollection(collection, self._stored(collection))
                await part.create_indexes()
                self._parts.setdefault(collection.name, part)

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> list[bool]:
        """As the port says. Raises DocumentInvalid for one that no store takes; then none is inserted."""
        return await self._part(collection).insert(documents)

    async def replace(self, collection: Collection, document: Document) -> bool:
        """As the port says. Raises DocumentInvalid for one that no store takes."""
        return await self._part(collection).replace(document)

    async def delete(self, collection: Collection, id: str) -> bool:
        """As the port says."""
        check_values((id,))
        with _faults():
            result = await self._part(collection).stored.delete_one({"_id": id})
        return bool(result.deleted_count)

    async def get(self, collection: Collection, id: str) -> Document | None:
        """As the port says."""
        return (await self._part(collection).get((id,))).get(id)

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        """As the port says."""
        return await self._part(collection).get(ids)

    async def find(
        self,
        collection: Collection,
        index: str,
        equal: Mapping[str, Any],
        *,
        above: Any = None,
        below: Any = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[Document]:
        """As the port says; documents equal in every field of the index come in the order of their ids."""
        part = self._part(collection)
        bounds = {sign: value for sign, value in (("$gt", above), ("$lt", below)) if value is not None}
        check_values((*equal.values(), *bounds.values()))
        query = part.shape.query(index, equal, bounded=bool(bounds))
        if limit < 1:
            return []
        wanted = _wanted(equal) | ({_path(query.bounded): bounds} if query.bounded else {})
        way = DESCENDING if descending else ASCENDING
        order = [(_path(name), way) for name in query.order] or None
        with _faults():
            cursor = part.stored.find(wanted, sort=order, limit=limit, batch_size=limit)
            return [found["document"] for found in await cursor.to_list(None)]

    async def count(self, collection: Collection, index: str, equal: Mapping[str, Any]) -> int:
        """As the port says."""
        part = self._part(collection)
        check_values(equal.values())
        part.shape.query(index, equal, bounded=False)
        with _faults():
            return int(await part.stored.count_documents(_wanted(equal)))

    async def ping(self) -> None:
        """Raise StoreDown unless a round trip to the server works now."""
        if self._client is None:
            raise StoreDown("not open")
        with _faults():
            await self._client.admin.command("ping")

    async def close(self) -> None:
        """Finish what was begun and let go of the connections."""
        client, self._client = self._client, None
        parts, self._parts = self._parts, {}
        for part in parts.values():
            await part.close()
        if client is not None:
            closing = client.close()
            if inspect.isawaitable(closing):  # the one call that the drivers spell differently
                await closing

    def _connect(self) -> Any:
        return _CLIENTS[self._driver](
            self._uri,
            appname="messaging-service",
            serverSelectionTimeoutMS=_SELECT_SERVER_MS,
            connectTimeoutMS=_SELECT_SERVER_MS,
            timeoutMS=_ANSWER_MS,
            w="majority",
            journal=True,
        )

    def _stored(self, collection: Collection) -> Any:
        return self._client[self._database].get_collection(
            collection.name, codec_options=_CODEC, read_preference=ReadPreference.PRIMARY
        )

    def _part(self, collection: Collection) -> _MongoCollection:
        part = self._parts.get(collection.name)
        if part is None:
            raise StoreDown("not open")
        return part


class _MongoCollection:
    """One collection, with what is asked of it in the same moment gathered into one command."""

    def __init__(self, collection: Collection, stored: Any) -> None:
        self.shape = Shape(collection)
        self.stored = stored
        self._gets = Gathering(self._get, at_once=_CALLS_AT_ONCE, most=_MOST_IN_A_CALL)
        self._inserts = Gathering(self._insert, at_once=_CALLS_AT_ONCE, most=_MOST_IN_A_CALL)
        self._replaces = Gathering(self._replace, at_once=_CALLS_AT_ONCE, most=_MOST_IN_A_CALL)
        self._writer = secrets.token_urlsafe(9)
        self._writes = count()

    async def create_indexes(self) -> None:
        for index in self.shape.collection.indexes:
            keys = [(_path(name), ASCENDING) for name in ordering(index)]
            try:
                with pymongo.timeout(_BUILD_INDEX_SECONDS):
                    await self.stored.create_index(keys, name=index.name, unique=index.unique)
            except OperationFailure as exc:
                if exc.code in _INDEX_CONFLICTS:
                    raise IndexDiffers(f"{self.shape.collection.name}.{index.name}") from exc
                raise

    async def close(self) -> None:
        for gathering in (self._gets, self._inserts, self._replaces):
            await gathering.close()

    async def get(self, ids: Sequence[str]) -> dict[str, Document]:
        check_values(ids)
        with _faults():
            return await self._gets.ask(ids)

    async def insert(self, documents: Sequence[Document]) -> list[bool]:
        writes = [self._write(document, 0) for document in documents]
        with _faults():
            return await self._inserts.ask(writes) if writes else []

    async def replace(self, document: Document) -> bool:
        write = self._write(document, document["version"])
        with _faults():
            return await self._replaces.ask(write)

    def _write(self, document: Document, expected: int) -> Write:
        self.shape.check(document)
        body = encoded(self.shape.collection, _encode, {**document, "version": expected + 1})
        mark = f"{self._writer}-{next(self._writes)}"
        return Write(document["id"], expected, RawBSONDocument(body), mark)

    async def _get(self, asks: Sequence[Sequence[str]]) -> list[dict[str, Document]]:
        ids = list({id for ask in asks for id in ask})
        cursor = self.stored.find({"_id": {"$in": ids}}, batch_size=max(len(ids), 1))
        found = {one["_id"]: one["document"] for one in await cursor.to_list(None)}
        answers: list[dict[str, Document]] = []
        given: set[str] = set()
        for ask in asks:  # nobody shares a document with another who asked for it
            present = [id for id in ask if id in found]
            answers.append({id: deepcopy(found[id]) if id in given else found[id] for id in present})
            given.update(present)
        return answers

    async def _insert(self, asks: Sequence[Sequence[Write]]) -> list[list[bool] | StoreDown]:
        stored = [{"_id": one.id, "version": 1, "document": one.document} for ask in asks for one in ask]
        refused: dict[int, int] = {}
        try:
            await self.stored.insert_many(stored, ordered=False)
        except BulkWriteError as exc:
            refused = _refused(exc)
        verdicts = iter([by_code(refused.get(at)) for at in range(len(stored))])
        return [together([next(verdicts) for _ in ask]) for ask in asks]

    async def _replace(self, writes: Sequence[Write]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        while len(verdicts) < len(writes):
            places = turn(writes, verdicts)
            verdicts.update(zip(places, await self._update([writes[at] for at in places]), strict=True))
        return [verdicts[at] for at in range(len(writes))]

    async def _update(self, writes: Sequence[Write]) -> list[Verdict]:
        """A bulk's answer counts its matches and names none; a look is needed only if some did not match."""
        refused: dict[int, int] = {}
        try:
            matched = (await self.stored.bulk_write([*map(_update, writes)], ordered=False)).matched_count
        except BulkWriteError as exc:
            refused = _refused(exc)
            matched = exc.details["nMatched"]
        verdicts = [by_code(refused.get(at)) for at in range(len(writes))]
        if matched < len(writes) - len(refused):
            accepted = [at for at in range(len(writes)) if at not in refused]
            rest = [writes[at] for at in accepted]
            seen = await self._seen(rest) if matched else {}
            for at, verdict in zip(accepted, by_marks(rest, matched, seen), strict=True):
                verdicts[at] = verdict
        return verdicts

    async def _seen(self, writes: Sequence[Write]) -> dict[str, Seen]:
        wanted = {"_id": {"$in": [write.id for write in writes]}}
        cursor = self.stored.find(wanted, {"writer": 1, "version": 1}, batch_size=len(writes))
        found = await cursor.to_list(None)
        return {one["_id"]: Seen(one["version"], one.get("writer")) for one in found}


@contextmanager
def _faults() -> Iterator[None]:
    """Turn the drivers' errors into ours; what a server answered is not chained, it may quote a document."""
    try:
        yield
    except ConfigurationError as exc:  # its text may quote the password in the URI
        raise SettingInvalid(f"MESSAGING_STORE: {type(exc).__name__}") from None
    except OperationFailure as exc:
        raise StoreDown(f"{type(exc).__name__} {exc.code}") from None
    except PyMongoError as exc:
        raise StoreDown(type(exc).__name__) from exc


def _encode(document: Document) -> bytes:
    try:
        return bson.encode(document)
    except BSONError as exc:
        raise TypeError(type(exc).__name__) from None  # the driver's text quotes the value


def _path(field: str) -> str:
    return f"document.{field}"


def _wanted(equal: Mapping[str, Any]) -> dict[str, Any]:
    return {_path(name): value for name, value in equal.items()}


def _refused(exc: BulkWriteError) -> dict[int, int]:
    """Error codes by place. Raises `exc` if the writes themselves were not acknowledged by enough members."""
    if exc.details.get("writeConcernErrors"):
        raise exc
    return {error["index"]: error["code"] for error in exc.details["writeErrors"]}


def _update(write: Write) -> UpdateOne:
    now = {"version": write.expected + 1, "document": write.document, "writer": write.mark}
    return UpdateOne({"_id": write.id, "version": write.expected}, {"$set": now})
