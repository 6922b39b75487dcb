"""`intake staff`: accounts.

Addresses and passwords are prompted for, so that none shows in a process list.
"""

import click
import segno
from rich.console import Console
from rich.table import Table

from intake.accounts import dev_account, invitations, service
from intake.accounts.models import Role
from intake.accounts.service import NewAccount
from intake.act import Act
from intake.cli.context import load_settings, open_instance
from intake.core.clock import clock_ahead
from intake.core.errors import Refused
from intake.leads import claims

_roles = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="May be given several times; default: all four, for a clinic of one.",
)


@click.group("staff")
def staff_command() -> None:
    """Add, invite, list, reset and disable staff accounts."""


@staff_command.command()
@_roles
@click.option("--choose-password", is_flag=True, help="Ask for a password instead of making one.")
def add(*, roles: tuple[str, ...], choose_password: bool) -> None:
    """Add an account for one human being; asks for the address and the name."""
    email, name = click.prompt("Email address"), click.prompt("Name")
    password = (
        click.prompt("Password", hide_input=True, confirmation_prompt=True) if choose_password else None
    )
    with open_instance() as instance, instance.database.transaction() as session:
        added = service.add(
            Act(session, instance),
            email=email,
            name=name,
            roles=frozenset(map(Role, roles)) or frozenset(Role),
            password=password,
        )
    _print_credentials(added, show_password=password is None)


@staff_command.command()
@_roles
def invite(*, roles: tuple[str, ...]) -> None:
    """Add an account and show a link with which its owner chooses password and second factor."""
    email, name = click.prompt("Email address"), click.prompt("Name")
    with open_instance() as instance, instance.database.transaction() as session:
        granted = frozenset(map(Role, roles)) or frozenset(Role)
        invited = invitations.invite(Act(session, instance), email=email, name=name, roles=granted)
    click.echo("\nHand this link over; it is shown only now, works once, and ends in 72 hours.\n")
    click.echo(f"{instance.settings.base_url}/join#{invited.token}")


@staff_command.command()
def reset() -> None:
    """Give an account a new password, second factor and recovery codes; sessions and passkeys end."""
    email = click.prompt("Email address")
    with open_instance() as instance, instance.database.transaction() as session:
        act = Act(session, instance)
        member = service.by_email(session, email)
        added = service.reset(act, staff_id=member.id)
        claims.release_all_of_account(act, staff_id=member.id)
    _print_credentials(added, show_password=True)


def _print_credentials(added: NewAccount, *, show_password: bool) -> None:
    """Print the credentials of a new account; they are stored only hashed or sealed and not shown again."""
    click.echo("\nHand this over in person; it is shown only now.\n")
    if show_password:
        click.echo(f"Password: {added.password}\n")
    click.echo("Scan this with an authenticator app:\n")
    segno.make(added.totp_uri).terminal(compact=True)
    click.echo(f"\nor type this into it: {added.totp_uri}\n")
    click.echo("Recovery codes for a lost phone, each works once:")
    for code in added.recovery_codes:
        click.echo(f"  {code}")


@staff_command.command()
def disable() -> None:
    """Close an account and end its sessions; what it did stays in the audit log."""
    email = click.prompt("Email address")
    with open_instance() as instance, instance.database.transaction() as session:
        act, member = Act(session, instance), service.by_email(session, email)
        service.disable(act, staff_id=member.id)
        claims.release_all_of_account(act, staff_id=member.id)
    click.echo("The account is closed.")


@staff_command.command()
def enable() -> None:
    """Open a disabled account again."""
    email = click.prompt("Email address")
    with open_instance() as instance, instance.database.transaction() as session:
        service.enable(Act(session, instance), staff_id=service.by_email(session, email).id)
    click.echo("The account is open.")


@staff_command.command("list")
def list_accounts() -> None:
    """List the accounts with their roles."""
    table = Table("address", "name", "roles", "since", "state", "codes left", box=None, pad_edge=False)
    with open_instance() as instance, instance.database.reading() as session:
        for each in service.list_accounts(session):
            roles = ", ".join(sorted(role.value for role in each.member.roles))
            state = "disabled" if each.disabled_at else "open"
            since, left = f"{each.created_at:%Y-%m-%d}", str(each.recovery_codes_left)
            table.add_row(each.member.email, each.member.name, roles, since, state, left)
    Console().print(table)


@staff_command.command()
def code() -> None:
    """Print the current sign-in code of the first account; in development only."""
    settings = load_settings()
    if not settings.development:
        raise Refused("A sign-in code is shown in development only.")
    account = dev_account.read_dev_account(settings)
    if not account:
        raise Refused("There is no first account here: start `intake run` once.")
    click.echo(account.code(clock_ahead(settings.time_shift)()))
