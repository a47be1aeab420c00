"""The shipped tenants as tests need them: their own files, with short time-outs, mail for on-call and a portal."""

from __future__ import annotations

from pathlib import Path

TENANTS = Path(__file__).resolve().parents[2] / "deploy" / "tenants"
SECRET = "whsec_dGVzdHMtb25seS1zZWNyZXQtb2YtZXZlcnktd2ViaG9vaw=="
ON_CALL_MAIL = "dienst@hospital.invalid"
ACK_SECONDS = 1.5

_EPD = f"[epd]\nconnect_timeout = 1.0\nack_timeout = {ACK_SECONDS}\n"
_EVERY_TENANT = f"""\
email = ["{ON_CALL_MAIL}"]

[portal]
webhook = "${{PORTAL}}"
secret = "{SECRET}"

[limits]
messages_per_hour = 100000
requests_per_minute = 100000
"""
_PARKS_WHAT_IS_UNKNOWN = '\n[epd.policy]\non_unknown = "park"\n'
_ITS_OWN = {"sein": _PARKS_WHAT_IS_UNKNOWN}


def write_tenants(folder: Path) -> list[str]:
    """The shipped tenants into `folder`; returns their ids.

    Spijkenisse sends again what was not acknowledged; SEIN parks it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(TENANTS.glob("*.toml"))
    for path in files:
        shipped = path.read_text("utf-8")
        last_table = shipped.rindex("\n[")
        assert shipped[last_table:].startswith("\n[on_call]"), f"{path}: [on_call] must come last"
        text = shipped.replace("[epd]\n", _EPD, 1) + _EVERY_TENANT + _ITS_OWN.get(path.stem, "")
        (folder / path.name).write_text(text, "utf-8")
    return [path.stem for path in files]
