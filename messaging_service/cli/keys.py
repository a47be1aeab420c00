"""keys: the keyring made, renewed, backed up, and checked before a patient finds that a key is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from messaging_service.application.rewrap import Rewrap
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.operating import missing_keys
from messaging_service.cli.console import as_json, print_json, print_table, with_parts
from messaging_service.config import load_settings, load_tenants, read_secret
from messaging_service.crypto import key_backup, private_file
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import Conflict, SettingInvalid


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(keys)


@click.group()
def keys() -> None:
    """The keyring: the keys that everything at rest is sealed with."""


@keys.command("init")
def init_keys() -> None:
    """Make the keyring at MESSAGING_KEYRING, or add keys for tenants that are new. Existing keys stay."""
    settings = load_settings()
    wanted = list(load_tenants(settings.tenants))
    if not settings.keyring.exists():
        Keyring.create(settings.keyring, wanted)
        click.echo(f"made {settings.keyring}; keep a copy where the database's copies are not: `keys backup`")
        return
    keyring = Keyring.load(settings.keyring)
    for tenant in wanted:
        keyring = keyring.with_tenant(tenant)
    keyring.save(settings.keyring)
    click.echo(f"{settings.keyring} has keys for {', '.join(wanted)}")


@keys.command("list")
@as_json
def list_keys(json_output: bool) -> None:
    """List each tenant's KEK versions and how many patients' keys stand under each. The highest seals."""

    async def use(parts: Parts) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for tenant in parts.tenants:
            used, held = await _rewrap(parts).used(tenant), parts.keyring.kek_versions(tenant)
            for version in sorted({*used, *held}):
                state = "missing" if version not in held else "seals" if version == held[-1] else "opens"
                rows.append({"tenant": tenant, "version": version, "state": state, "patients": used.get(version, 0)})
        return rows

    rows = with_parts(use)
    if json_output:
        print_json(rows)
        return
    print_table(("tenant", "KEK", "state", "patients"), [tuple(row.values()) for row in rows], "no keys")


@keys.command("new-kek")
@click.argument("tenant")
def new_kek(tenant: str) -> None:
    """Make a new KEK version for TENANT. It seals from now on; what runs takes it up by itself.

    On hosts with a copy of the keyring of their own, bring them the new file before you run `keys rewrap`.
    """
    path = load_settings().keyring
    keyring = Keyring.load(path).with_new_kek(tenant)
    keyring.save(path)
    click.echo(f"{tenant}: KEK {keyring.kek_versions(tenant)[-1]} seals now; next: `keys backup`, then `keys rewrap`")


@keys.command("rewrap")
@click.argument("tenant")
def rewrap_keys(tenant: str) -> None:
    """Wrap the keys of TENANT's patients under its newest KEK, while the service runs. Stopped, it can be run again."""

    async def use(parts: Parts) -> int:
        rewrap, done = _rewrap(parts), 0
        with click.progressbar(length=await rewrap.waiting(tenant), label="rewrapping", file=sys.stderr) as progress:
            async for moved in rewrap.run(tenant):
                progress.update(moved)
                done += moved
        return done

    click.echo(f"{tenant}: {with_parts(use)} patients' keys rewrapped")


@keys.command("retire")
@click.argument("tenant")
@click.argument("version", type=click.IntRange(min=1))
@click.confirmation_option(prompt="The key is deleted for good. Have all processes and hosts the newer one?")
def retire_kek(tenant: str, version: int) -> None:
    """Delete KEK VERSION of TENANT from the keyring; refused while any patient's key stands under it."""
    path = load_settings().keyring
    held = Keyring.load(path)

    async def use(parts: Parts) -> None:
        rewrap = _rewrap(parts)
        await rewrap.require_unused(tenant, version)
        Keyring.drop_kek(path, tenant, version)
        try:
            await rewrap.require_unused(tenant, version)
        except Conflict:  # a process that had not seen the newer version made a patient meanwhile
            held.put_back_kek(path, tenant, version)
            raise

    with_parts(use)
    click.secho(f"{tenant}: KEK {version} is gone; backups of the store from before the rewrap need it", fg="yellow")


@keys.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase", help="file:PATH that holds it; asked for when left out.")
def back_up(file: Path, passphrase: str | None) -> None:
    """Write the keyring to FILE under a passphrase. Keep it where the store's backups are not."""
    content = private_file.read(load_settings().keyring)
    private_file.create(file, key_backup.lock(content, _passphrase(passphrase, confirm=True)))
    click.echo(f"wrote {file}; without the passphrase nobody can open it, you included")


@keys.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--passphrase", help="file:PATH that holds it; asked for when left out.")
def restore(file: Path, passphrase: str | None) -> None:
    """Put the keyring back from FILE to MESSAGING_KEYRING, where none must be. Then run `keys check`."""
    content = key_backup.unlock(file.read_bytes(), _passphrase(passphrase, confirm=False))
    path = load_settings().keyring
    private_file.create(path, content)
    click.echo(f"restored {path}; now run `messaging-service keys check`")


@keys.command("check")
@as_json
def check_keys(json_output: bool) -> None:
    """Open one patient's key under every KEK in use. Exit status 1 when one is lost or is another key."""
    faults = with_parts(missing_keys)
    if json_output:
        print_json(faults)
    elif faults:
        for fault in faults:
            click.secho(fault, fg="red")
    else:
        click.secho("every key in use is there", fg="green")
    sys.exit(1 if faults else 0)


def _rewrap(parts: Parts) -> Rewrap:
    return Rewrap(parts.store, parts.keyring)


def _passphrase(given: str | None, *, confirm: bool) -> str:
    if given is None:
        return str(click.prompt("passphrase", hide_input=True, confirmation_prompt=confirm))
    if not given.startswith("file:"):
        raise SettingInvalid("--passphrase takes file:PATH: on the command line others on this machine could read it")
    return read_secret(given)
