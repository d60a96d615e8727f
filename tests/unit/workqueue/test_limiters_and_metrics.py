"""The limiters as tables, and the seven metrics over a clock that a test moves."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controllerkit.errors import ConfigError
from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import (
    BucketLimiter,
    FastSlowLimiter,
    ItemExponentialLimiter,
    MaxOfLimiter,
    MaxWaitLimiter,
    QueueShutDown,
    WorkQueue,
    WorkQueueMetrics,
    default_controller_limiter,
)


@pytest.mark.parity("2.3/limiter-exponential", "1c/limiters")
def test_exponential_by_key_until_forgotten() -> None:
    limiter = ItemExponentialLimiter[str](base_s=0.001, max_s=1000.0)
    assert [limiter.when_s("one") for _ in range(5)] == [0.001, 0.002, 0.004, 0.008, 0.016]
    assert [limiter.when_s("two") for _ in range(2)] == [0.001, 0.002]
    assert (limiter.failures("one"), limiter.failures("two"), limiter.failures("none")) == (5, 2, 0)
    limiter.forget("one")
    limiter.forget("never seen")
    assert (limiter.failures("one"), limiter.when_s("one")) == (0, 0.001)


@pytest.mark.parity("2.3/limiter-overflow")
@pytest.mark.parametrize("failures", [10, 60, 61, 1000, 5000])
def test_exponential_never_passes_its_bound(failures: int) -> None:
    limiter = ItemExponentialLimiter[str](base_s=0.001, max_s=1.0)
    for _ in range(failures):
        limiter.when_s("a")
    assert limiter.when_s("a") == 1.0


@pytest.mark.parity("1c/retry-jitter")
def test_jitter_spreads_what_failed_together() -> None:
    limiter = ItemExponentialLimiter[int](jitter=0.5)
    delays = {limiter.when_s(key) for key in range(100)}
    assert len(delays) > 90
    assert all(0.005 <= delay < 0.0075 for delay in delays)


@pytest.mark.parity("2.3/limiter-fast-slow")
def test_fast_then_slow() -> None:
    limiter = FastSlowLimiter[str](fast_s=0.005, slow_s=10.0, fast_tries=3)
    assert [limiter.when_s("a") for _ in range(5)] == [0.005, 0.005, 0.005, 10.0, 10.0]
    assert (limiter.failures("a"), limiter.when_s("b")) == (5, 0.005)
    limiter.forget("a")
    assert limiter.when_s("a") == 0.005


@pytest.mark.parity("2.3/limiter-max-of")
def test_the_longest_of_several_and_the_highest_count() -> None:
    fast_slow = FastSlowLimiter[str](fast_s=0.005, slow_s=3.0, fast_tries=3)
    limiter = MaxOfLimiter[str]([fast_slow, ItemExponentialLimiter[str](base_s=0.001)])
    assert [limiter.when_s("a") for _ in range(5)] == [0.005, 0.005, 0.005, 3.0, 3.0]
    assert limiter.failures("a") == 5
    limiter.forget("a")
    assert limiter.failures("a") == 0
    with pytest.raises(ConfigError, match="at least one"):
        MaxOfLimiter[str]([])


@pytest.mark.parity("2.3/limiter-max-wait")
def test_never_more_than_the_longest_wait() -> None:
    limiter = MaxWaitLimiter[str](FastSlowLimiter[str](fast_s=0.005, slow_s=100.0, fast_tries=1), max_s=1.0)
    assert [limiter.when_s("a"), limiter.when_s("a"), limiter.failures("a")] == [0.005, 1.0, 2]
    limiter.forget("a")
    assert limiter.failures("a") == 0


async def test_a_bucket_lends_tokens_of_the_future() -> None:
    clock = VirtualClock()
    limiter = BucketLimiter[str](qps=10.0, burst=2, now=clock.monotonic)
    assert [round(limiter.when_s(key), 3) for key in "abcd"] == [0.0, 0.0, 0.1, 0.2]
    await clock.advance(10.0)
    assert [round(limiter.when_s(key), 3) for key in "abc"] == [0.0, 0.0, 0.1]
    limiter.forget("a")
    assert limiter.failures("a") == 0
    with pytest.raises(ConfigError, match="qps above 0"):
        BucketLimiter[str](qps=0.0, burst=1, now=clock.monotonic)


async def test_the_default_of_controllers_slows_a_storm_over_all_keys() -> None:
    clock = VirtualClock()
    limiter = default_controller_limiter(clock.monotonic)
    delays = [limiter.when_s(key) for key in range(120)]
    assert delays[:100] == [0.005] * 100
    assert [round(each, 3) for each in delays[100:103]] == [0.1, 0.2, 0.3]


@pytest.mark.parity("2.4/rate-limited-items-are-independent")
async def test_rate_limited_keys_wait_each_for_its_own_failures() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.forget("a")
    for _ in range(3):
        queue.add_rate_limited("bad")
    queue.add_rate_limited("good", priority=5)
    await clock.advance(0.005)
    item = queue.get_nowait()
    assert item is not None
    assert (item.key, item.priority) == ("good", 5)
    assert queue.get_nowait() is not None, "of three delays the shortest counts"


# -- metrics -------------------------------------------------------------------------------------------------------


def told(registry: CollectorRegistry) -> dict[str, float]:
    """Every sample but the buckets, by its name and its priority."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples if not sample.name.endswith("_bucket")]
    return {f"{each.name} {each.labels.get('priority', '')}".strip(): each.value for each in samples}


@pytest.mark.parity("2.3/metrics", "2.4/metrics", "2.4/metrics-depth-per-priority", "1c/queue-metrics")
async def test_all_seven_metrics_follow_a_key_through_the_queue() -> None:
    clock, registry = VirtualClock(), CollectorRegistry()
    await clock.advance(1.0)
    queue: WorkQueue[str] = WorkQueue(name="q", clock=clock, metrics=WorkQueueMetrics(registry).of("q"))
    assert told(registry) == {
        "workqueue_depth 0": 0.0,
        "workqueue_adds_total": 0.0,
        "workqueue_retries_total": 0.0,
        "workqueue_queue_duration_seconds_count": 0.0,
        "workqueue_queue_duration_seconds_sum": 0.0,
        "workqueue_work_duration_seconds_count": 0.0,
        "workqueue_work_duration_seconds_sum": 0.0,
        "workqueue_unfinished_work_seconds": 0.0,
        "workqueue_longest_running_processor_seconds": 0.0,
    }
    queue.add("a")
    queue.add("a")
    queue.add("b", priority=7)
    queue.add_after("c", 99.0)
    queue.add_rate_limited("d")
    now = told(registry)
    assert (now["workqueue_depth 0"], now["workqueue_depth 7"]) == (1.0, 1.0)
    assert (now["workqueue_adds_total"], now["workqueue_retries_total"]) == (2.0, 2.0)
    await clock.advance(2.0)
    assert (await queue.get()).key == "b"
    assert (await queue.get()).key == "a"
    await clock.advance(3.0)
    queue.done("b")
    queue.add("a")
    await clock.advance(1.0)
    now = told(registry)
    assert now["workqueue_depth 7"] == 0.0
    assert (now["workqueue_queue_duration_seconds_count"], now["workqueue_queue_duration_seconds_sum"]) == (2.0, 4.0)
    assert (now["workqueue_work_duration_seconds_count"], now["workqueue_work_duration_seconds_sum"]) == (1.0, 3.0)
    assert now["workqueue_unfinished_work_seconds"] == now["workqueue_longest_running_processor_seconds"] == 4.0
    assert now["workqueue_adds_total"] == 4.0, "a, b, d once its delay was over, and a again"
    buckets = generate_latest(registry).decode()
    assert 'workqueue_work_duration_seconds_bucket{controller="q",le="10.0",name="q"} 1.0' in buckets.replace(
        'le="10"', 'le="10.0"'
    )


@pytest.mark.parity("2.4/metrics-cardinality")
def test_more_than_twenty_five_priorities_share_a_label() -> None:
    registry = CollectorRegistry()
    queue: WorkQueue[int] = WorkQueue(name="q", clock=VirtualClock(), metrics=WorkQueueMetrics(registry).of("q"))
    for number in range(40):
        queue.add(number, priority=number)
    depths = {name: value for name, value in told(registry).items() if name.startswith("workqueue_depth")}
    assert len(depths) == 26
    assert depths["workqueue_depth exceeded_cardinality_limit"] == 15.0


def test_two_queues_of_one_name_are_refused() -> None:
    metrics = WorkQueueMetrics(None)
    metrics.of("q")
    with pytest.raises(ConfigError, match="two queues are named 'q'"):
        metrics.of("q")


# -- shutting down -------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.3/force-shut-down-breaks-drain")
async def test_another_shut_down_ends_the_wait_of_a_drain() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    queue.add("a")
    await queue.get()
    drain = asyncio.create_task(queue.shut_down_with_drain())
    await settle()
    assert not drain.done()
    queue.shut_down()
    await drain


@pytest.mark.parity("2.4/no-deadlock-at-shut-down", "2.4/shut-down-drops")
async def test_a_shut_down_that_drops_frees_workers_at_once_and_again_and_again() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.add("a")
    queue.add("b", priority=3)
    queue.shut_down(drop=True)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [QueueShutDown] * 3
    with pytest.raises(QueueShutDown):
        await queue.get()


async def test_what_waits_is_dropped_at_shut_down_and_what_was_added_to_work_is_not() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add("a")
    queue.add_after("later", 1.0)
    await queue.get()
    queue.add_after("a", 1.0)
    queue.shut_down()
    queue.add_after("never", 1.0)
    queue.done("a")
    await clock.advance(5.0)
    with pytest.raises(QueueShutDown):
        await queue.get()
