"""A development issuer of access tokens: a key of its own in a folder of its own, for loopback only."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from messaging_service.domain.roles import SCOPES_OF, Role

KEY_ID = "development"
STRONG: dict[str, Any] = {
    "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract",
    "amr": ["pwd", "sms"],
}
"""A login with a password and an SMS code, as each of the shipped tenants asks."""


class Issuer:
    """Issues ES256 tokens for one tenant; `jwks` is the file that the gateway verifies them with."""

    def __init__(self, folder: Path, tenant: str) -> None:
        """Makes the key once; a later run in the same folder goes on with it."""
        self.name = f"https://login.{tenant}.invalid"
        self.jwks = folder / f"{tenant}-jwks.json"
        key_file = folder / f"{tenant}-issuer.pem"
        if key_file.exists():
            self._key = key_file.read_bytes()
            return
        private = ec.generate_private_key(ec.SECP256R1())
        self._key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self._key)
        public = {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": KEY_ID, "alg": "ES256", "use": "sig"}
        self.jwks.write_text(json.dumps({"keys": [public]}))

    def token(self, subject: str, *, hours: float = 12, audience: str = "messaging-service", **claims: Any) -> str:
        """A token for `subject`, who showed both factors; `claims` carry the patient's numbers and name."""
        now = int(time.time())
        payload = {
            "iss": self.name,
            "aud": audience,
            "sub": subject,
            "iat": now,
            "auth_time": now,
            "exp": now + int(hours * 3600),
            **STRONG,
            **claims,
        }
        said = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(said, self._key, algorithm="ES256", headers={"kid": KEY_ID})


def staff_issuer(folder: Path, tenant: str) -> Issuer:
    """The issuer of a tenant's staff: `token(subject, role=…, scope="… …")`."""
    return Issuer(folder, f"staff-{tenant}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print a token of somebody of a sandbox hospital's staff.")
    parser.add_argument("folder", type=Path, help="the service's folder, such as .var/up")
    parser.add_argument("tenant", help="such as spijkenisse")
    parser.add_argument("role", type=Role, choices=list(Role), help="whose scopes the token gets, all of them")
    given = parser.parse_args()
    scopes = " ".join(sorted(SCOPES_OF[given.role]))
    issuer = staff_issuer(given.folder, given.tenant)
    sys.stdout.write(issuer.token(f"sandbox-{given.role}", role=given.role, scope=scopes, name="De Wit") + "\n")
