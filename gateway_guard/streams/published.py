"""What is counted of the streams, for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway_guard.streams.following import Follower
from gateway_guard.streams.heart import Heart
from gateway_guard.streams.leading import Leader
from gateway_guard.streams.learning import Pupil
from gateway_guard.streams.mint import SharedMint
from gateway_guard.streams.sending import Sender

if TYPE_CHECKING:
    from gateway_guard.record.metrics import Metrics


def publish_guard(
    metrics: Metrics, sender: Sender, follower: Follower, heart: Heart, mint: SharedMint
) -> None:
    """Have what goes out of a guard and comes in read whenever somebody asks."""
    metrics.counter("sightings_sent", "Exchanges sent to the campaign linker.", lambda: sender.sent)
    metrics.gauge(
        "sightings_waiting", "Exchanges still to be sent to the linker.", lambda: sender.waiting
    )
    metrics.counter(
        "sightings_dropped",
        "Exchanges the campaign linker never saw: the queue was full.",
        lambda: sender.dropped,
    )
    metrics.gauge("verdicts", "Accounts the guard was told of.", lambda: len(follower.told.facts))
    metrics.counter("verdicts_applied", "Changes of verdicts taken in.", lambda: follower.applied)
    metrics.gauge(
        "verdicts_current",
        "Whether verdicts are followed; 0 while the server cannot be reached.",
        lambda: float(follower.current),
    )
    metrics.counter(
        "verdicts_loaded", "Times the whole table of verdicts was read.", lambda: follower.loaded
    )
    metrics.counters(
        "verdicts_skipped",
        "Messages to this guard that were not taken, by cause.",
        "cause",
        lambda: follower.skipped,
    )
    metrics.counter(
        "client_secrets_untold",
        "Client secrets no other guard was told of: to those each is an account of its own.",
        lambda: mint.untold,
    )
    publish_heart(metrics, heart)


def publish_heart(metrics: Metrics, heart: Heart) -> None:
    """Have the guards that are there read whenever somebody asks."""
    metrics.gauge("guards", "Guards that share the store.", lambda: len(heart.peers))
    metrics.gauge(
        "guards_other_policy",
        "Those of them with another policy than this one.",
        lambda: heart.other_policy,
    )
    metrics.gauge(
        "guards_other_secret",
        "Those of them with another secret: what they learn is not shared.",
        lambda: heart.other_secret,
    )


def publish_leader(metrics: Metrics, leader: Leader) -> None:
    """Have the linker's own counts read whenever somebody asks."""

    counts = leader.counts

    def held(read: Callable[[Pupil], float]) -> Callable[[], float]:
        return lambda: read(leader.pupil) if leader.pupil is not None and leader.lease.held else 0.0

    metrics.gauge(
        "linker_active", "Whether this process is the linker.", lambda: float(leader.lease.held)
    )
    metrics.gauge(
        "linker_lag_seconds",
        "How far the linker is behind the newest sighting; 0 where it does not run.",
        lambda: leader.lag / 1000.0 if leader.lease.held else 0.0,
    )
    metrics.gauge("campaigns", "Campaigns held here.", held(lambda p: len(p.linker.held)))
    metrics.gauge(
        "campaign_members",
        "Accounts held here to be in a campaign.",
        held(lambda p: len(p.linker.cases.member_of)),
    )
    metrics.gauge(
        "campaign_accounts",
        "Accounts remembered here to find campaigns among.",
        held(lambda p: len(p.linker.memory.traces)),
    )
    metrics.counters(
        "campaigns_let_go",
        "Campaigns held here no longer, by cause.",
        "cause",
        lambda: counts.let_go,
    )
    for name, text, read in (
        ("learnt", "Sightings the linker took in here.", lambda: counts.learnt),
        ("repeated", "Sightings that came twice and were taken once.", lambda: counts.repeated),
        ("lost", "Sightings gone from the stream before the linker came to them.",
         lambda: counts.lost),
        ("failed", "Sightings the linker could not take in.", lambda: counts.failed),
        ("published", "Changes of verdicts published from here.", lambda: leader.published),
        ("unsaved", "Snapshots that could not be written.",
         lambda: leader.unsaved + leader.archive.unsaved),
    ):  # fmt: skip
        metrics.counter(f"linker_{name}", text, read)
    metrics.counters(
        "linker_skipped",
        "Batches of sightings that were not taken, by cause.",
        "cause",
        lambda: counts.skipped,
    )
