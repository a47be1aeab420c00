"""tenants: the hospitals' own files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.bootstrap import epd_pool
from messaging_service.cli.console import as_json, print_json
from messaging_service.domain.errors import SettingInvalid
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Detection, Epd, ReplyTarget
from messaging_service.tenants.reading import Fault, TenantFile, read_tenant_file

_NO_STATEMENT = (
    "urgency is detected, but [detection.statement] does not say what for: add intended_purpose, classification "
    "(MDR rule 11), by and on (a date), or set urgency = false; see deploy/guides/clinical-safety.md"
)


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(tenants)


@click.group()
def tenants() -> None:
    """The hospitals' own files."""


@tenants.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@as_json
def check_tenants(folder: Path | None, json_output: bool) -> None:
    """Check every tenant's file in FOLDER (or MESSAGING_TENANTS) before production: all mistakes, each with its line.

    Settings, routing, closing days, the EPD's profile, and the statement of intended purpose that urgency detection
    needs. Ends with 0 when all is in order, else with 1.
    """
    files = [read_tenant_file(path) for path in sorted((folder or _folder()).glob("*.toml"))]
    if not files:
        raise SettingInvalid(f"MESSAGING_TENANTS: no *.toml in {folder or _folder()}")
    found = [(file, _faults(file, files[:number])) for number, file in enumerate(files)]
    if json_output:
        print_json([_as_json(file, faults) for file, faults in found])
    else:
        for file, faults in found:
            _print(file, faults)
    sys.exit(1 if any(faults for _, faults in found) else 0)


def _folder() -> Path:
    """Where the files are, read by itself: a file can be checked before there is any other setting."""
    given = os.environ.get("MESSAGING_TENANTS")
    if not given:
        raise SettingInvalid("MESSAGING_TENANTS is not set: name the folder")
    return Path(given)


def _faults(file: TenantFile, before: Sequence[TenantFile]) -> list[Fault]:
    return sorted({*file.faults, *_beyond_the_file(file), *_same_id(file, before)})


def _same_id(file: TenantFile, before: Sequence[TenantFile]) -> Iterator[Fault]:
    for other in before:
        if "id" in file.given and other.given.get("id") == file.given["id"]:
            yield file.fault(("id",), f"used by {other.path.name} as well")


def _beyond_the_file(file: TenantFile) -> Iterator[Fault]:
    """What HL7, the calendar and the norms say of tables that are right in themselves."""
    detection = file.part("detection", Detection) if "detection" in file.given else Detection()
    if file.given and detection is not None and detection.urgency and detection.statement is None:
        yield file.fault(("detection",), _NO_STATEMENT)
    if (reply := file.part("reply", ReplyTarget)) is not None:
        try:
            TenantWorkingDays(reply)
        except SettingInvalid as problem:
            yield file.fault(("reply",), str(problem.detail))
    if (epd := file.part("epd", Epd)) is not None:
        try:
            epd_pool(epd)
        except (SettingInvalid, OSError) as problem:
            yield file.fault(("epd",), str(getattr(problem, "detail", None) or problem))
        try:
            DocumentTemplate.compile(epd.profile)
        except SettingInvalid as problem:
            yield file.fault(("epd", "profile"), str(problem.detail))


def _as_json(file: TenantFile, faults: Sequence[Fault]) -> dict[str, object]:
    return {"file": str(file.path), "tenant": file.given.get("id"), "faults": [fault._asdict() for fault in faults]}


def _print(file: TenantFile, faults: Sequence[Fault]) -> None:
    for fault in faults:
        click.secho(f"{file.path}:{fault}", fg="red")
    if not faults:
        click.secho(f"{file.given['id']}: {file.given['name']} is in order", fg="green")
