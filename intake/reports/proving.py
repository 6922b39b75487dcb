"""What stands outside anybody's word: the log's own proof, the statements, and what pages may load."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import anchors
from intake.consent.models import Kind
from intake.core.i18n import LANGUAGES, N_, gettext, translate
from intake.instance import Instance
from intake.monitoring import integrity
from intake.privacy import statement_versions
from intake.privacy.statement_versions import History
from intake.reports.compliance_model import Figure, Section, Standing

OURS = ("'none'", "'self'", "data:")
"""What a policy may name and still load nothing from anywhere else."""
PAGES = {"public": N_("The pages for people who ask"), "staff": N_("The pages for staff")}
SPOKEN = {"en": N_("English"), "es": N_("Spanish")}


def log(session: Session, instance: Instance) -> Section:
    """Whether the log and the proof of consent held when they were last verified."""
    began = audit.began(session)
    figures = [
        _verified(integrity.last_verified(session, instance)),
        _anchored(instance),
        Figure(
            name="audit.began",
            label=gettext("The audit log reaches back to"),
            value=began,
            at=began,
            means=gettext("Acts are on record from here on. Nothing can be told of the time before."),
            source=gettext("The oldest event of the log."),
            standing=Standing.TOLD if began else Standing.NOT_KNOWN,
        ),
    ]
    return Section("audit", gettext("The audit log and the proof of consent"), figures)


def _verified(last: integrity.Verified | None) -> Figure:
    return Figure(
        name="audit.verified",
        label=gettext("Did everything hold when it was last verified?"),
        value=last.intact if last else None,
        at=last.at if last else None,
        means=gettext(
            "Every event has its own seal and a place in one chain. Verifying finds what was changed, "
            "removed, put in or moved by somebody without the key, also in the consent events."
        ),
        source=gettext(
            "The relay verifies once a day, and whoever may read the log at any time. How it ended stands in "
            "the log."
        ),
        standing=Standing.NOT_KNOWN if not last else Standing.GOOD if last.intact else Standing.OPEN,
        detail=translate("%(count)s events were looked at.", count=last.events)
        if last
        else gettext("No verification is on record."),
        check=integrity.VERIFICATION,
    )  # fmt: skip


def _anchored(instance: Instance) -> Figure:
    last = anchors.last(instance.settings.anchor_path)
    at = last.at if last and last.authentic(instance.keyring) else None
    return Figure(
        name="audit.anchored",
        label=gettext("End of the chain last kept outside the database"),
        value=at,
        at=at,
        means=gettext(
            "Such an anchor shows when the newest part of the log was cut off or put back to an older copy."
        ),
        source=gettext("The newest line of the file for anchors, with its seal checked."),
        standing=Standing.TOLD if at else Standing.NOT_KNOWN,
        detail="" if at else gettext("No anchor with a good seal was found."),
        check="anchors",
    )  # fmt: skip


def statements(session: Session, instance: Instance) -> Section:
    """Every statement in force, by version and by the digest of its words."""
    found = statement_versions.histories(session, statements=instance.statements, languages=LANGUAGES)
    return Section("statements", gettext("What people agree to"), [_statement(each) for each in found])


def _statement(history: History) -> Figure:
    now = history.wordings[0]
    return Figure(
        name="statements.in_force",
        item=f"{now.kind} {now.language} v{now.version}",
        label=translate(
            "%(kind)s, %(spoken)s, version %(version)s",
            kind=_kind(now.kind),
            spoken=gettext(SPOKEN[now.language]),
            version=now.version,
        ),
        value=f"sha256:{now.digest}",
        at=now.since,
        means=gettext(
            "The digest is of the very words people see. The date is that of the first answer to them."
        ),
        source=gettext("The statements in the configuration folder, and the consent events."),
        detail="" if now.since else gettext("Nobody has answered it yet."),
    )


def _kind(kind: Kind) -> str:
    return gettext(kind.sentence)


def pages(policies: Mapping[str, str], now: datetime) -> Section:
    """From which other origins the pages may load anything."""
    figures = [_policy(name, policy, now) for name, policy in policies.items()]
    return Section("pages", gettext("What the pages may load"), figures)


def _policy(name: str, policy: str, now: datetime) -> Figure:
    foreign = foreign_origins(policy)
    return Figure(
        name="pages.foreign_origins",
        item=name,
        label=translate("%(pages)s: other origins", pages=gettext(PAGES[name])),
        value=len(foreign),
        at=now,
        means=gettext(
            "With none, no analytics, font or picture of anybody else learns that a page was opened."
        ),
        source=translate(
            "The Content-Security-Policy of this version, which every answer carries: %(policy)s",
            policy=policy,
        ),
        standing=Standing.OPEN if foreign else Standing.GOOD,
        detail=", ".join(foreign) or gettext("None."),
    )  # fmt: skip


def foreign_origins(policy: str) -> list[str]:
    """What a Content-Security-Policy names that is neither nothing, nor ourselves, nor words in the page."""
    named = [source for directive in policy.split(";") for source in directive.split()[1:]]
    return sorted({source for source in named if source not in OURS})
