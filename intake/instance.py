"""Everything one running service is made of: one clinic, its keys, its database, its words."""

from dataclasses import dataclass
from typing import Self

from intake.calling import hours as calling_hours
from intake.conf import toml_schema
from intake.conf.clinic import Clinic
from intake.conf.settings import Settings
from intake.conf.validators import IN_USE
from intake.consent import statements as consent_statements
from intake.consent.statements import Statements
from intake.core.clock import Clock, ahead, now
from intake.db.engine import Database
from intake.security.crypto import Keyring
from intake.security.rate_limits import RateLimiter


@dataclass(frozen=True)
class Instance:
    """The parts, put together once at start and handed to whoever acts."""

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
        """Read the configuration folder and open the database. Raises SettingsError, all at once."""
        folder = settings.config_dir
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        clinic = toml_schema.load(folder / "clinic.toml", Clinic)
        keyring = Keyring.from_settings(settings)
        clock = clock or ahead(settings.time_shift)
        return cls(
            settings=settings,
            clinic=clinic,
            hours=calling_hours.load(folder / "calling_hours.toml"),
            statements=consent_statements.load(folder / "consent", clinic),
            keyring=keyring,
            database=Database(settings.database_url, lock=settings.data_dir / IN_USE),
            throttle=RateLimiter(settings.data_dir / "throttle.sqlite3", keyring=keyring, clock=clock),
            clock=clock,
        )
