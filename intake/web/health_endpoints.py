"""Health endpoints for monitoring: /healthz, /readyz and /metrics.

None of them has personal data. /healthz asks nothing, /readyz asks the database, /metrics
asks for a token. The figures come from the database, so they are the same from every process.
"""

from collections.abc import Iterator, Mapping

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from intake import monitoring
from intake.core.errors import NotFound, NotSignedIn
from intake.monitoring import Check, Metrics, State
from intake.security import crypto
from intake.web.context import current_service

status = Blueprint("status", __name__)


@status.get("/healthz")
def healthz() -> Response:
    """200 while the process answers at all."""
    return _text_response("ok")


@status.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when the database answers and is of this version, else 503; names and states only."""
    checks = monitoring.ready(current_service())
    body = jsonify(
        {"ready": monitoring.is_well(checks), "checks": {each.name: each.state.value for each in checks}}
    )
    body.headers["Cache-Control"] = "no-store"
    return body, 200 if monitoring.is_well(checks) else 503


@status.get("/metrics")
def metrics() -> Response:
    """The metrics in Prometheus format. Needs the metrics token (401); 404 where none is configured."""
    service = current_service()
    token = service.settings.metrics_token
    if not token:
        raise NotFound
    sent = request.headers.get("Authorization", "")
    if not crypto.constant_time_equal(sent.encode(), f"Bearer {token}".encode()):
        raise NotSignedIn
    with service.database.reading() as session:
        numbers = monitoring.metrics(session, at=service.clock())
    registry = CollectorRegistry()
    registry.register(_Collector(numbers, monitoring.run_checks(service)))
    return _text_response(generate_latest(registry).decode(), CONTENT_TYPE_PLAIN_0_0_4)


def _text_response(text: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(text, content_type=content_type, headers={"Cache-Control": "no-store"})


class _Collector:
    """One scrape's figures as gauges; no label names or counts a person."""

    def __init__(self, numbers: Metrics, checks: list[Check]) -> None:
        self._numbers = numbers
        self._found = checks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge."""
        numbers = self._numbers
        yield GaugeMetricFamily("intake_outbox_waiting", "Messages on their way.", numbers.waiting)
        yield GaugeMetricFamily("intake_outbox_dead", "Messages that were refused for good.", numbers.dead)
        yield GaugeMetricFamily(
            "intake_outbox_oldest_waiting_seconds",
            "Age of the oldest message on its way.",
            numbers.oldest_waiting_seconds,
        )
        yield _labelled("intake_leads", "Leads by status.", "status", numbers.leads)
        yield _labelled("intake_round_age_seconds", "Since a round last ended.", "round", numbers.job_ages)
        states = {check.name: list(State).index(check.state) for check in self._found}
        yield _labelled("intake_check_state", "Checks: 0 green, 1 amber, 2 red.", "check", states)


def _labelled(name: str, doc: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, doc, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
