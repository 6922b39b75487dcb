"""What each figure of the evidence report is called, what it means, and where it comes from (message ids)."""

from typing import NamedTuple

from intake.core.i18n import N_


class FigureText(NamedTuple):
    """The words of a figure; some have places for values, such as `%(hours)s`."""

    label: str
    means: str
    source: str


_ACCOUNTS = N_("The table of staff accounts, counted when this report was made.")
_OUTBOX = N_("The outbox, where each mail is marked when the mail server has accepted it.")
_JOB = N_("What the relay noted when the job ended.")
_BACKUP = N_("What was noted when it ended. What other programs save is not known here.")

TEXTS = {
    "doctor.checks": FigureText(
        N_("Checks that were made"),
        N_("What they found and is not well stands under the open findings."),
        N_("The same checks that `intake doctor` makes, made when this report was."),
    ),
    "doctor.not_looked_at": FigureText(
        N_("A check that was not made"),
        N_("It asks other sites, and a report asks nobody."),
        N_("`intake doctor` on the machine."),
    ),
    "access.accounts": FigureText(
        N_("Accounts that can sign in"),
        N_("One account is one human being. Closed accounts and unused invitations do not count."),
        _ACCOUNTS,
    ),
    "access.with_second_factor": FigureText(
        N_("… of them with a second factor"),
        N_(
            "Nobody signs in with a password alone: a code of an authenticator app, a passkey or a recovery "
            "code is always asked for. Counted are the accounts whose second factor can be checked."
        ),
        N_("The sealed secret of each account, opened with the key in use."),
    ),
    "access.with_passkey": FigureText(
        N_("… of them with a passkey"),
        N_("A passkey cannot be given away on a false page. It is offered, and not required."),
        N_("The table of passkeys."),
    ),
    "access.without_recovery_codes": FigureText(
        N_("… of them with no recovery code left"),
        N_("Who loses the second factor and has no code left needs a colleague to be let in again."),
        N_("The table of recovery codes; only their keyed hashes are kept."),
    ),
    "access.invitations": FigureText(
        N_("Invitations not taken up"),
        N_("Nobody can sign in with these accounts until their owners have chosen a second factor."),
        N_("The table of invitations."),
    ),
    "access.closed": FigureText(
        N_("Closed accounts"),
        N_("They are kept so that the audit log goes on saying who did what. Nobody can sign in."),
        _ACCOUNTS,
    ),
    "audit.verified": FigureText(
        N_("Did everything hold when it was last verified?"),
        N_(
            "Every event has its own seal and a place in one chain. Verifying finds what was changed, "
            "removed, put in or moved by somebody without the key, also in the consent events."
        ),
        N_(
            "The relay verifies once a day, and whoever may read the log at any time. How it ended stands in "
            "the log."
        ),
    ),
    "audit.anchored": FigureText(
        N_("End of the chain last kept outside the database"),
        N_("Such an anchor shows when the newest part of the log was cut off or put back to an older copy."),
        N_("The newest line of the file for anchors, with its seal checked."),
    ),
    "audit.began": FigureText(
        N_("The audit log reaches back to"),
        N_("Acts are on record from here on. Nothing can be told of the time before."),
        N_("The oldest event of the log."),
    ),
    "erasing.last_purge": FigureText(
        N_("Last purge that ended well"),
        N_("Every hour the service erases the requests whose time is over, and destroys their keys."),
        _JOB,
    ),
    "erasing.overdue": FigureText(
        N_("Requests that should have been erased and are still there"),
        N_(
            "Their time was over more than %(hours)s hours ago, and no legal hold keeps them. "
            "Small numbers are told as <11."
        ),
        N_("The last day of each request, counted when this report was made."),
    ),
    "erasing.held": FigureText(
        N_("Requests that a legal hold keeps beyond their time"),
        N_("A privacy officer put each hold, with a reason and a last day. Small numbers are told as <11."),
        N_("The table of legal holds."),
    ),
    "erasing.ledger_copied": FigureText(
        N_("Ledger of erasures last copied outside the database"),
        N_("The copy says what a restored backup has to forget again."),
        _JOB,
    ),
    "backups.last_taken": FigureText(
        N_("Last backup that was taken"),
        N_("One encrypted file that holds everything but sessions. Keys are not in it."),
        _BACKUP,
    ),
    "backups.last_tested": FigureText(
        N_("Last restore test that succeeded"),
        N_(
            "A backup was opened in memory and everything was done that a restore would do: counts, "
            "audit chain, proof of consent and every sealed row were checked."
        ),
        _BACKUP,
    ),
    "keys.in_use_since": FigureText(
        N_("Key in use since, at the latest"),
        N_(
            "The day on which this service first saw the key. When it was made is not known; it may be older."
        ),
        N_("The audit log, which notes each key when it is first seen, by a mark and never by the key."),
    ),
    "keys.no_backup_key": FigureText(
        N_("Key in use since, at the latest"),
        N_("Without this key no backup can be taken."),
        N_("The settings in force."),
    ),
    "keys.on_older_sealing_keys": FigureText(
        N_("Sealed things that stand on an older sealing key"),
        N_(
            "After a change of keys this has to come to 0 before an older key is taken out. In front stands "
            "%(key)s. Small numbers are told as <11."
        ),
        N_("The key ids of every sealed row, counted when this report was made."),
    ),
    "keys.last_change": FigureText(
        N_("Last change of the sealing key"),
        N_("Everything was wrapped anew under a newer key. How often is for the clinic to decide."),
        N_("The audit log."),
    ),
    "mail.last_test": FigureText(
        N_("Last test of the mail server"),
        N_("A test mail was sent at once to everybody who gets the notices."),
        N_("The audit log: somebody ran the command for it on the machine."),
    ),
    "mail.daily_accepted": FigureText(
        N_("Daily mail last accepted"),
        N_("One constant mail a day shows that the way out is open when nobody asks for contact."),
        _OUTBOX,
    ),
    "mail.last_accepted": FigureText(
        N_("Any mail last accepted"),
        N_("The mail server took it. Whether somebody read it is not known to this service."),
        _OUTBOX,
    ),
    "mail.refused": FigureText(
        N_("Mail that was refused for good and not sent again"),
        N_("The requests are at the desk all the same. Small numbers are told as <11."),
        N_("The outbox, counted when this report was made."),
    ),
    "pages.foreign_origins": FigureText(
        N_("%(pages)s: other origins"),
        N_("With none, no analytics, font or picture of anybody else learns that a page was opened."),
        N_("The Content-Security-Policy of this version, which every answer carries: %(policy)s"),
    ),
    "statements.in_force": FigureText(
        N_("%(kind)s, %(spoken)s, version %(version)s"),
        N_("The digest is of the very words people see. The date is that of the first answer to them."),
        N_("The statements in the configuration folder, and the consent events."),
    ),
}
"""By the name of the figure; `keys.no_backup_key` has the words of a key that is not set."""
