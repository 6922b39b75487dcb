"""By when a request that is held already should hear from us, counted for what holds now."""

from datetime import datetime

from sqlalchemy.orm import Session

from intake.calling import windows
from intake.calling.promise import promise_for
from intake.conf.clinic import Clinic
from intake.instance import Instance
from intake.leads import eligibility
from intake.leads.models import Lead


def promise_of(
    session: Session, lead: Lead, *, instance: Instance, since: datetime, clinic: Clinic | None = None
) -> datetime:
    """When `response_minutes` of contactable time have passed since `since`. Raises NoTimeWithin14Days."""
    return promise_for(
        clinic or instance.clinic,
        instance.hours,
        channels=eligibility.standing(session, lead).channels,
        region=lead.region,
        time_zone=lead.time_zone,
        number_zones=tuple(lead.number_zones.split()),
        windows=windows.from_text(lead.windows),
        now=since,
    )
