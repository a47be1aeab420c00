"""/ops: the operations page. Static files that know nothing; what they show they ask of /v1/ops with a staff token.

`/ops/logins.json` says where its readers can log in: each hospital's own issuer, of which the browser gets the token.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import PurePath
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from messaging_service.tenants import Tenant

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_routes(router: web.UrlDispatcher, tenants: Iterable[Tenant]) -> None:
    """The page and its files, read once; no other name is ever looked for on the disk."""
    logins = [login for tenant in tenants for login in _logins(tenant)]
    asked = sorted({"{0.scheme}://{0.netloc}".format(urlsplit(login["token"])) for login in logins})
    headers = {**_HEADERS, "Content-Security-Policy": _policy(asked)}
    bodies = {file.name: file.read_bytes() for file in files(__package__).joinpath("ops").iterdir()}
    bodies["logins.json"] = msgspec.json.encode(logins)

    async def get_page(request: web.Request) -> web.Response:
        return _file("index.html", bodies["index.html"], headers)

    async def get_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in bodies:
            raise web.HTTPNotFound
        return _file(name, bodies[name], headers)

    router.add_get("/ops", get_page)
    router.add_get("/ops/{file}", get_file)


def _logins(tenant: Tenant) -> list[dict[str, str]]:
    """Public all of it: what a public client of that issuer knows."""
    staff = tenant.identity.staff
    if staff is None or staff.login is None:
        return []
    return [{"name": tenant.name, "issuer": staff.issuer, **msgspec.to_builtins(staff.login)}]


def _policy(asked: Iterable[str]) -> str:
    """The page runs its own scripts alone, and asks nobody but this service and the issuers that give it a token."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src " + " ".join(("'self'", *asked)) + "; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
    )


def _file(name: str, body: bytes, headers: dict[str, str]) -> web.Response:
    kind = _KINDS[PurePath(name).suffix]
    return web.Response(body=body, headers=headers, content_type=kind, charset="utf-8")
