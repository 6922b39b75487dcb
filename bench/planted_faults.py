"""Tests that can fail: plants one fault at a time in a copy of the code and looks whether its test turns red.

    .venv/bin/python bench/planted_faults.py

Prints the table of docs/reliability.md; exit code 1 when a test stays green over its fault.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("intake", "tests", "migrations", "templates", "config", "pyproject.toml", "docs", "README.md")


@dataclass(frozen=True)
class Fault:
    """One mistake somebody could make: in `file`, `before` becomes `after`; `test` must turn red."""

    name: str
    file: str
    before: str
    after: str
    test: str


FAULTS = (
    Fault(
        "SQLite does not wait for the disk",
        "intake/db/engine.py",
        '"synchronous": 2',
        '"synchronous": 0',
        "tests/db/test_engine.py -k safe_modes",
    ),
    Fault(
        "deleted bytes stay in the SQLite file",
        "intake/db/engine.py",
        '"secure_delete": 1',
        '"secure_delete": 0',
        "tests/privacy/test_retention.py -k files_of_sqlite",
    ),
    Fault(
        "a notice is marked as sent before it is sent",
        "intake/outbox/sender.py",
        "            failure = None\n            try:\n                send(",
        "            failure = None\n"
        "            tally[_record_result(database, batch, None, clock())] += len(batch)\n"
        "            try:\n                send(",
        "tests/outbox/test_sender.py -k unwell_for_a_day",
    ),
    Fault(
        "the lease is shorter than a sending",
        "intake/outbox/sender.py",
        "settings.smtp_timeout * (TIMEOUTS_PER_MESSAGE + 1) + _MARGIN",
        "settings.smtp_timeout",
        "tests/outbox/test_sender.py -k lease_is_longer",
    ),
    Fault(
        "a relay that slept marks what another sent",
        "intake/outbox/sender.py",
        "            OutboxMessage.generation == message.generation,\n",
        "",
        "tests/outbox/test_sender.py -k wakes_while",
    ),
    Fault(
        "the mail server's certificate is not looked at",
        "intake/outbox/mailer.py",
        "        self._tls.minimum_version",
        "        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE\n"
        "        self._tls.minimum_version",
        "tests/outbox/test_sender.py -k proves_nothing",
    ),
    Fault(
        "an audit event is authenticated without the key",
        "intake/audit/service.py",
        'event.mac = keyring.mac("audit-event", canonical(event))',
        'event.mac = __import__("hashlib").sha256(canonical(event)).digest()',
        "tests/audit/test_chain.py -k honest_log",
    ),
    Fault(
        "the chain does not lean on the link before",
        "intake/audit/service.py",
        "message = before + chained.seq",
        "message = chained.seq",
        "tests/audit/test_histories.py",
    ),
    Fault(
        "a link of an older formula may stand behind newer ones",
        "intake/audit/chain.py",
        "for each in allowed if each >= self._reached",
        "for each in allowed",
        "tests/audit/test_digest_versions.py -k comes_back",
    ),
    Fault(
        "links of the first formula verify no longer",
        "intake/audit/service.py",
        "UNLABELLED = (1, 2)",
        "UNLABELLED = (2,)",
        "tests/repository/test_releases.py -k consent_verify",
    ),
    Fault(
        "a sealed value is not bound to its cell",
        "intake/security/crypto.py",
        'return "\\x1f".join(("intake", self.table, self.column, str(self.row), *more)).encode()',
        'return b"intake"',
        "tests/security/test_crypto.py -k another_cell",
    ),
    Fault(
        "an erasure is not noted in the ledger",
        "intake/privacy/retention.py",
        "    act.session.add(erasure)\n",
        "",
        "tests/privacy/test_retention.py -k noted_in_the_ledger",
    ),
    Fault(
        "the gate ignores a withdrawal",
        "intake/calling/gate.py",
        "        Refusal.WITHDRAWN: consent == WITHDRAWN,\n",
        "",
        "tests/calling/test_gate.py",
    ),
    Fault(
        "the gate ignores the do-not-contact list",
        "intake/calling/gate.py",
        "        Refusal.SUPPRESSED: channel in facts.suppressed,\n",
        "",
        "tests/calling/test_gate.py",
    ),
    Fault(
        "the limit is read first and written later",
        "intake/security/rate_limits.py",
        "SET count = count + excluded.count",
        "SET count = excluded.count",
        "tests/security/test_rate_limits.py -k limit_says",
    ),
    Fault(
        "a page sent twice makes two requests",
        "intake/leads/submission.py",
        "    if not _take_token(act, token_hash, content_mac):",
        "    if not _take_token(act, token_hash, content_mac) and False:",
        "tests/leads/test_submission.py",
    ),
    Fault(
        "two colleagues hold the same request",
        "intake/leads/claims.py",
        "Lead.status != LeadStatus.CLOSED, _claimable_by(act.member, act.now)",
        "Lead.status != LeadStatus.CLOSED",
        "tests/drills/test_forty_leads.py tests/leads/test_reveal.py",
    ),
    Fault(
        "a session has no end",
        "intake/accounts/sessions.py",
        "return -_SKEW <= idle < IDLE and -_SKEW <= age < ABSOLUTE",
        "return True",
        "tests/accounts/test_sessions.py",
    ),
    Fault(
        "a code of the second factor works twice",
        "intake/accounts/credentials.py",
        ", StaffMember.totp_step < step)",
        ")",
        "tests/accounts/test_credentials.py tests/accounts/test_sign_in.py",
    ),
    Fault(
        "scripts of any origin may run",
        "intake/web/headers.py",
        "script-src 'self'",
        "script-src *",
        "tests/web/test_headers.py",
    ),
    Fault(
        "the heartbeat leaves a made-up request behind",
        "intake/jobs/canary.py",
        "            raise _RolledBack\n",
        "",
        "tests/jobs/test_alerts.py -k leaves_nothing",
    ),
    Fault(
        "the alarm leaves by the mail server that fails",
        "intake/jobs/alerts.py",
        "    if not settings.alarm_smtp_host:",
        "    if settings.alarm_smtp_host:",
        "tests/jobs/test_alerts.py -k second_mail_server",
    ),
    Fault(
        "a request is kept in two steps",
        "intake/leads/submission.py",
        "    session.add(lead)\n    session.flush()\n",
        "    session.add(lead)\n    session.commit()\n",
        "tests/drills/test_crash_points.py -k sqlite-submit",
    ),
    Fault(
        "the key of an erased request is destroyed in a step of its own",
        "intake/privacy/retention.py",
        "    act.session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))\n",
        "    act.session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))\n"
        "    act.session.commit()\n",
        "tests/drills/test_crash_points.py -k sqlite-erase",
    ),
    Fault(
        "a log that cannot be written fails whoever asks",
        "intake/core/logging.py",
        'cast("TextIO", _SafeStream(sys.stderr))',
        "sys.stderr",
        "tests/drills/test_full_disk.py -k taken_again",
    ),
    Fault(
        "new requests use up the room that is held for those who want out",
        "intake/db/engine.py",
        "if self._reserve and use_reserve",
        "if self._reserve",
        "tests/drills/test_full_disk.py -k gets_none",
    ),
    Fault(
        "a watch forgets what it cannot write down",
        "intake/jobs/alerts.py",
        'max(state, _read(file), key=lambda each: each.checked_at or "")',
        "_read(file)",
        "tests/jobs/test_alerts.py -k keeps_nothing",
    ),
    Fault(
        "a connection that PostgreSQL has dropped is used again",
        "intake/db/engine.py",
        '"pool_pre_ping": True',
        '"pool_pre_ping": False',
        "tests/drills/test_postgres_restart.py -k notices_nothing",
    ),
    Fault(
        "the log quotes what a defect says",
        "intake/web/errors.py",
        "        error=type(error).__name__,\n        route=",
        "        error=str(error),\n        route=",
        "tests/drills/test_canaries.py -k anywhere",
    ),
    Fault(
        "the log quotes what a library says",
        "intake/core/logging.py",
        '"library_warning", name=record.name,',
        '"library_warning", name=record.getMessage(),',
        "tests/drills/test_canaries.py -k anywhere",
    ),
    Fault(
        "the reason that a mail server gives is kept",
        "intake/outbox/mailer.py",
        'return NotSent(f"{name} {number}", refused',
        'return NotSent(f"{name} {failure}", refused',
        "tests/drills/test_canaries.py -k anywhere",
    ),
    Fault(
        "who sends a page twice at once gets an error",
        "intake/leads/submission.py",
        ".values(token).on_conflict_do_nothing()",
        ".values(token)",
        "tests/drills/test_one_page.py -k twenty",
    ),
    Fault(
        "a click from another site is taken",
        "intake/web/auth/guards.py",
        "                csrf.require_same_origin()\n            try:",
        "                pass\n            try:",
        "tests/web/test_edge.py -k elsewhere",
    ),
    Fault(
        "the token of another session is taken",
        "intake/web/auth/csrf.py",
        "    if not any([crypto.constant_time_equal(submitted",
        "    if len(submitted) < 60 and not any([crypto.constant_time_equal(submitted",
        "tests/web/test_edge.py -k token_of_this_session",
    ),
    Fault(
        "a page for a failure goes out without its headers",
        "intake/web/headers.py",
        "    response.headers.update(headers_for(current_service().settings))",
        "    if response.status_code < 500:\n"
        "        response.headers.update(headers_for(current_service().settings))",
        "tests/web/test_edge.py -k helps",
    ),
    Fault(
        "a letter that is none is not expected",
        "intake/web/form_parsing.py",
        "    except UnicodeDecodeError:\n        intact = False",
        "    except ZeroDivisionError:\n        intact = False",
        "tests/drills/test_hostile_input.py -k any_bytes_at_all",
    ),
    Fault(
        "a torn line of the ledger is not expected",
        "intake/privacy/erasure_ledger.py",
        "    except ValueError:\n        return None",
        "    except ZeroDivisionError:\n        return None",
        "tests/drills/test_hostile_input.py -k ledger",
    ),
    Fault(
        "health is silent about tables that cannot be read",
        "intake/monitoring/__init__.py",
        "        return [*found, _database_down(failure)]",
        "        return found",
        "tests/drills/test_damage.py -k not_read",
    ),
)


@contextmanager
def copy() -> Iterator[Path]:
    """The code in a folder of its own, run by this very environment."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source = ROOT / name
            into = Path(folder) / name
            shutil.copytree(source, into) if source.is_dir() else shutil.copyfile(source, into)
        yield Path(folder)


def passes(folder: Path, test: str) -> bool:
    """Whether `test` is green on the code in `folder`, which comes before the installed one."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *_words(test)]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if run.returncode not in (0, 1):
        sys.exit(f"{test}: could not be run\n{run.stdout.decode()[-2000:]}")
    return run.returncode == 0


def _words(test: str) -> list[str]:
    paths, _, chosen = test.partition(" -k ")
    return [*paths.split(), *(["-k", chosen] if chosen else [])]


def plant(folder: Path, fault: Fault) -> str:
    """Put the fault in; returns the file as it was. Ends the run when the place is not found once."""
    path = folder / fault.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(fault.before) != 1:
        sys.exit(f"{fault.name}: its place is no longer in {fault.file}")
    path.write_text(whole.replace(fault.before, fault.after), encoding="utf-8")
    return whole


def main() -> int:
    """Plant every fault in turn; 1 when one went unnoticed."""
    unnoticed = 0
    print("| planted fault | test | with the fault |\n|---|---|---|")
    with copy() as folder:
        for fault in FAULTS:
            whole = plant(folder, fault)
            green = passes(folder, fault.test)
            (folder / fault.file).write_text(whole, encoding="utf-8")
            unnoticed += green
            print(f"| {fault.name} | `{fault.test}` | {'GREEN' if green else 'red'} |", flush=True)
    print(f"\n{len(FAULTS) - unnoticed} of {len(FAULTS)} were noticed.")
    return int(bool(unnoticed))


if __name__ == "__main__":
    sys.exit(main())
