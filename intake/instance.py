"""The parts of one running service: settings, clinic, keys, database, statements, rate limiter, clock."""

from dataclasses import dataclass
from typing import Self

from intake.calling import hours as calling_hours
from intake.conf import clinic as clinic_file
from intake.conf.clinic import Clinic
from intake.conf.secrets import parse_app_keys, parse_key, parse_sealing_keys
from intake.conf.settings import Settings
from intake.conf.validators import DATABASE_LOCK
from intake.consent import statements as consent_statements
from intake.consent.statements import Statements
from intake.core.clock import Clock, clock_ahead, now
from intake.db.engine import Database
from intake.security.crypto import Keyring
from intake.security.rate_limits import RateLimiter


@dataclass(frozen=True)
class Instance:
    """The parts of the service, created once at start and passed to the code that needs them."""

    settings: Settings
    clinic: Clinic
    hours: calling_hours.CallingHours
    statements: Statements
    keyring: Keyring
    database: Database
    throttle: RateLimiter
    clock: Clock = now

    @classmethod
    def from_settings(cls, settings: Settings, *, clock: Clock | None = None) -> Self:
        """Read the configuration folder and create the engine. Raises SettingsError with every problem."""
        folder = settings.config_dir
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        clinic = clinic_file.load(folder / "clinic.toml")
        keyring = load_keyring(settings)
        clock = clock or clock_ahead(settings.time_shift)
        return cls(
            settings=settings,
            clinic=clinic,
            hours=calling_hours.load(folder / "calling_hours.toml"),
            statements=consent_statements.load(folder / "consent", clinic),
            keyring=keyring,
            database=Database(settings.database_url, lock=settings.data_dir / DATABASE_LOCK),
            throttle=RateLimiter(settings.data_dir / "throttle.sqlite3", keyring=keyring, clock=clock),
            clock=clock,
        )


def load_keyring(settings: Settings) -> Keyring:
    """The keyring of `settings`, whose keys were checked when they were loaded."""
    return Keyring(
        sealing=parse_sealing_keys(settings.sealing_keys),
        index=parse_key(settings.index_key),
        chain=parse_key(settings.chain_key),
        app=parse_app_keys(settings.app_keys),
    )
