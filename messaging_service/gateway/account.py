"""/v1/account: one's own account, for the patient and whoever acts for the patient."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from messaging_service.application.account_view import AccountView, RepresentativeView
from messaging_service.domain.refusals import NotFound
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, authenticate, language_of
from messaging_service.gateway.messages import instant

_REPRESENTATIVE = re.compile(r"[0-9a-f]{16}")


class Consent(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/account/representatives/{representative}/consent."""

    given: bool


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/account", get_account)
    router.add_delete("/v1/account", delete_account)
    router.add_post("/v1/account/misuse-reports", post_misuse_report)
    router.add_post("/v1/account/representation-changes", post_representation_change)
    router.add_delete("/v1/account/representatives/{representative}", delete_representative)
    router.add_put("/v1/account/representatives/{representative}/consent", put_consent)


async def get_account(request: web.Request) -> web.Response:
    """The account, also while it is blocked or its terms are not accepted."""
    writer = await authenticate(request)
    return account_answer(await request.app[CONTEXT].administer.show_own(writer))


async def delete_account(request: web.Request) -> web.Response:
    """The patient closes the account, a representative their own access (terms article 4.2)."""
    writer = await authenticate(request)
    return account_answer(await request.app[CONTEXT].administer.close_own(writer))


async def post_misuse_report(request: web.Request) -> web.Response:
    """Somebody else uses this login (terms article 2.6): access stops at once, and the hospital is told."""
    writer = await authenticate(request)
    await request.app[CONTEXT].administer.report_misuse(writer)
    advice, language = writer.tenant.accounts.misuse_advice, language_of(request).lower().partition("-")[0]
    members: dict[str, Any] = {"blocked": True, "telephone": writer.tenant.telephone}
    if advice:
        members["advice"] = advice.get(language) or next(iter(advice.values()))
    return answer(members)


async def post_representation_change(request: web.Request) -> web.Response:
    """Something changed for a mentor or curator (terms SEIN, article 4.4): no access until it is confirmed."""
    writer = await authenticate(request)
    return account_answer(await request.app[CONTEXT].represent.report_change(writer))


async def delete_representative(request: web.Request) -> web.Response:
    """The patient ends a representative's access, a representative only their own (terms article 4.2)."""
    writer = await authenticate(request)
    return account_answer(await request.app[CONTEXT].represent.end_by(writer, representative_in_path(request)))


async def put_consent(request: web.Request) -> web.Response:
    """A child of 12 to 15 allows its parent to read and write, or no longer."""
    writer = await authenticate(request)
    said = await read_body(request, Consent)
    represent = request.app[CONTEXT].represent
    return account_answer(await represent.consent(writer, representative_in_path(request), said.given))


def representative_in_path(request: web.Request) -> str:
    """The representative's id that the path names. Raises NotFound for what cannot be one."""
    id = request.match_info["representative"]
    if not _REPRESENTATIVE.fullmatch(id):
        raise NotFound
    return id


def account_answer(found: AccountView, status: int = 200) -> web.Response:
    """An account as the API shows it."""
    members: dict[str, Any] = {"state": found.state}
    if found.id:
        members["id"] = found.id
    if found.opened_at:
        members["opened_at"] = instant(found.opened_at)
    if found.closing_on is not None:
        members["closing_on"] = found.closing_on.isoformat()
    if found.closed_at:
        members["closed_at"] = instant(found.closed_at)
    members["representatives"] = [_representative_json(each) for each in found.representatives]
    return answer(members, status)


def _representative_json(each: RepresentativeView) -> dict[str, Any]:
    members: dict[str, Any] = {
        "id": each.id,
        "name": each.name,
        "relation": each.relation,
        "standing": each.standing,
        "signs_care_plan": each.signs_care_plan,
        "first_contact": each.first_contact,
    }
    return {**members, "consented": each.consented} if each.relation.by_age else members


def answer(members: dict[str, Any], status: int = 200) -> web.Response:
    """A JSON answer that no cache keeps."""
    return web.Response(
        body=msgspec.json.encode(members),
        status=status,
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )
