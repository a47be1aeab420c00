"""An OpenID provider of one hospital's staff: asks who one is, gives a code, and for it a token (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from deploy.sandbox.issuer import Issuer
from messaging_service.domain.roles import Role, Scope

CLIENT = "ops-page"
_SCOPES = f"{Scope.READ_OPERATIONS} {Scope.MEND_OPERATIONS}"


@dataclass(slots=True)
class OidcProvider:
    """`refuses` has it send people back without a code. A code holds once, for what it was asked with."""

    issuer: Issuer
    refuses: bool = False
    _asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Its two endpoints."""
        router.add_get("/authorize", self._authorize)
        router.add_post("/token", self._token)

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        if (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) != ("code", CLIENT, "S256"):
            raise web.HTTPBadRequest
        code = secrets.token_urlsafe()
        said = {"state": asked["state"], "iss": self.issuer.name}
        if self.refuses:
            said["error"] = "access_denied"
        else:
            self._asked[code] = asked
            said["code"] = code
        back = html.escape(f"{asked['redirect_uri']}#{urlencode(said)}")
        return web.Response(
            text=f'<!doctype html><title>Staff</title><a href="{back}">De Wit</a>', content_type="text/html"
        )

    async def _token(self, request: web.Request) -> web.Response:
        given = await request.post()
        headers = {"Access-Control-Allow-Origin": "*"}
        asked = self._asked.pop(str(given["code"]), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(given["code_verifier"]).encode()).digest()).rstrip(b"=")
        wanted = (given["client_id"], given["redirect_uri"], challenge.decode())
        if asked is None or wanted != (CLIENT, asked["redirect_uri"], asked["code_challenge"]):
            return web.json_response({"error": "invalid_grant"}, status=400, headers=headers)
        token = self.issuer.token("de-wit", role=Role.OPS, scope=_SCOPES, name="De Wit")
        return web.json_response({"access_token": token, "token_type": "Bearer"}, headers=headers)
