"""What Prometheus reads: taken from the record at each scrape, so that all processes agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from unghost.adapters.exchange.failures import FailureKind
from unghost.adapters.postgres.figures import Figure, Numbers, Starter, buckets
from unghost.adapters.postgres.queue import queue_beat
from unghost.model import GateVerdict
from unghost.web.operations import Operations
from unghost.web.views import ZERO


def metrics_text(service: Operations) -> tuple[bytes, str]:
    """The exposition, and its media type."""
    registry = CollectorRegistry()
    registry.register(_Collected(tuple(_families(service))))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collected(Collector):
    """What was read already: Prometheus's own collecting cannot fail half-way then."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        return iter(self._families)


def _families(service: Operations) -> Iterator[Metric]:
    yield from _ghosts(service)
    yield from _record(service)
    yield from _loop(service)
    counted = service.house.figures.of(service.profile_ids())
    yield from _exchanges(service, counted)
    yield _cycles(counted)


def _ghosts(service: Operations) -> Iterator[Metric]:
    labels = ["profile", "symbol"]
    count = GaugeMetricFamily("unghost_open_lifecycles", "Open by the ledger", labels=labels)
    money = GaugeMetricFamily(
        "unghost_open_notional",
        "Open quantity at the entry price, in the quote currency",
        labels=labels,
    )
    paused = GaugeMetricFamily("unghost_paused", "1 while trading is paused", labels=["profile"])
    for name in service.profile_ids():
        counts: Counter[str] = Counter()
        values: dict[str, Decimal] = defaultdict(Decimal)
        for one in service.lifecycles(name):
            counts[one.symbol] += 1
            values[one.symbol] += one.notional or 0
        for symbol, number in counts.items():
            count.add_metric([name, symbol], number)
            money.add_metric([name, symbol], _plain(values[symbol]))
        paused.add_metric([name], int(service.pause_state(name).state == "PAUSED"))
    yield from (count, money, paused)


def _record(service: Operations) -> Iterator[Metric]:
    names = service.profile_ids()
    rows = CounterMetricFamily(
        "unghost_audit_rows", "Rows of the record", labels=["profile", "decision", "reason"]
    )
    for row in service.books.decisions(names):
        rows.add_metric([row["profile_id"], row["decision"], row["reason"]], row["rows"])
    yield rows
    batches = CounterMetricFamily(
        "unghost_batches", "Batches", labels=["profile", "mode", "status"]
    )
    for row in service.books.batch_figures(names):
        batches.add_metric([row["profile_id"], row["mode"], row["status"]], row["batches"])
    yield batches


def _loop(service: Operations) -> Iterator[Metric]:
    by_profile = ["profile"]
    cycles = CounterMetricFamily("unghost_loop_cycles", "Cycles of the loop", labels=by_profile)
    failures = CounterMetricFamily("unghost_loop_failures", "That failed", labels=by_profile)
    seconds = CounterMetricFamily("unghost_loop_seconds", "That they took", labels=by_profile)
    last = GaugeMetricFamily("unghost_cycle_seconds", "The latest one", labels=by_profile)
    lag = GaugeMetricFamily(
        "unghost_loop_lag_seconds", "Since the latest one began", labels=by_profile
    )
    gates = GaugeMetricFamily(
        "unghost_gate",
        "Lifecycles by the verdict of a gate, in the latest cycle",
        labels=["profile", "gate", "verdict"],
    )
    for state in service.loop_states():
        name = state.profile_id
        cycles.add_metric([name], state.cycles)
        failures.add_metric([name], state.failures)
        seconds.add_metric([name], _plain(state.total_seconds))
        if state.last_seconds is not None:
            last.add_metric([name], _plain(state.last_seconds))
        lag.add_metric([name], (state.as_of - state.started_at).total_seconds())
        for gate in state.gates:
            for verdict in GateVerdict:
                gates.add_metric([name, gate["name"], verdict], gate[verdict])
    beat = GaugeMetricFamily("unghost_loop_beat_seconds", "Since any process of the loop lived")
    age = queue_beat(service.house.database)
    if age is not None:
        beat.add_metric([], _plain(age))
    yield from (cycles, failures, seconds, last, lag, gates, beat)


def _exchanges(service: Operations, counted: Mapping[str, Numbers]) -> Iterator[Metric]:
    """Whoever the calls were made for: the loop, or people, in any process of the service."""
    calls = CounterMetricFamily(
        "unghost_exchange_calls",
        "Calls to the exchange, repeats included",
        labels=["exchange", "profile", "endpoint"],
    )
    errors = CounterMetricFamily(
        "unghost_exchange_errors",
        "Those that had no usable answer",
        labels=["exchange", "profile", "kind"],
    )
    for name, numbers in counted.items():
        exchange = service.house.profiles.by_name[name].exchange
        for (figure, label, _), number in numbers.items():
            if figure is Figure.EXCHANGE_CALLS:
                calls.add_metric([exchange, name, label], _plain(number))
        for kind in FailureKind:  # a counter that begins above 0 is never seen to rise
            failed = numbers.get((Figure.EXCHANGE_ERRORS, kind.value, ""), ZERO)
            errors.add_metric([exchange, name, kind], _plain(failed))
    yield from (calls, errors)


def _cycles(counted: Mapping[str, Numbers]) -> Metric:
    histogram = HistogramMetricFamily(
        "unghost_cycle_duration_seconds",
        "Length of cycles, however they ended",
        labels=["profile", "starter"],
    )
    for name, numbers in counted.items():
        for starter in Starter:
            counts, seconds = buckets(starter, numbers)
            shown = [(bound, _plain(count)) for bound, count in counts]
            histogram.add_metric([name, starter], shown, sum_value=_plain(seconds))
    return histogram


def _plain(number: Decimal) -> float:
    """Prometheus knows binary numbers only; nothing is reckoned with them here."""
    return number.__float__()
