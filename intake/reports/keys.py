"""Since when each key is in use, and whether anything still stands on an older one."""

from datetime import datetime

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action
from intake.conf.settings import PREFIX
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.leads import key_rotation
from intake.monitoring import key_ages
from intake.monitoring.key_ages import KeyAge
from intake.reports.compliance_model import Figure, Section, Standing
from intake.reports.keeping import masked

LISTS = ("sealing_keys", "app_keys")
"""The settings that hold several keys, the newest in front."""


def section(session: Session, instance: Instance) -> Section:
    """The age of every key as far as it is known; never a key."""
    ages = [_age(each) for each in key_ages.ages(session, instance)]
    backup = [] if instance.settings.backup_key else [_no_backup_key(instance.clock())]
    figures = [*ages, *backup, _pending(session, instance), _rotated(session, instance)]
    return Section("keys", gettext("Keys"), figures)


def _age(age: KeyAge) -> Figure:
    place = (
        gettext("In front: what is new is sealed or signed with it.") if age.first else gettext("Still read.")
    )
    return Figure(
        name="keys.in_use_since",
        item=" ".join(filter(None, (f"{PREFIX}{age.setting.upper()}", age.key_id))),
        label=gettext("Key in use since, at the latest"),
        value=age.since,
        at=age.since,
        means=gettext(
            "The day on which this service first saw the key. When it was made is not known; it may be older."
        ),
        source=gettext(
            "The audit log, which notes each key when it is first seen, by a mark and never by the key."
        ),
        standing=Standing.TOLD if age.since else Standing.NOT_KNOWN,
        detail=place if age.setting in LISTS else "",
    )


def _no_backup_key(now: datetime) -> Figure:
    return Figure(
        name="keys.in_use_since",
        item=f"{PREFIX}BACKUP_KEY",
        label=gettext("Key in use since, at the latest"),
        value=None,
        at=now,
        means=gettext("Without this key no backup can be taken."),
        source=gettext("The settings in force."),
        detail=gettext("No such key is set."),
    )


def _pending(session: Session, instance: Instance) -> Figure:
    newest, *_ = instance.keyring.sealing_ids
    counts = key_rotation.standing(session, instance.keyring)
    older = sum(counts.values()) - counts[newest]
    return Figure(
        name="keys.on_older_sealing_keys",
        label=gettext("Sealed things that stand on an older sealing key"),
        value=masked(older),
        at=instance.clock(),
        means=translate(
            "After a change of keys this has to come to 0 before an older key is taken out. In front stands "
            "%(key)s. Small numbers are told as <11.",
            key=newest,
        ),
        source=gettext("The key ids of every sealed row, counted when this report was made."),
        standing=Standing.OPEN if older else Standing.GOOD,
    )


def _rotated(session: Session, instance: Instance) -> Figure:
    event = audit.last(session, Action.KEYS_ROTATED, keyring=instance.keyring)
    return Figure(
        name="keys.last_change",
        label=gettext("Last change of the sealing key"),
        value=event.at if event else None,
        at=event.at if event else audit.began(session),
        means=gettext(
            "Everything was wrapped anew under a newer key. How often is for the clinic to decide."
        ),
        source=gettext("The audit log."),
        detail="" if event else gettext("None is on record since the audit log began."),
    )
