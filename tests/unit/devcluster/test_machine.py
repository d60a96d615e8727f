"""A Pod's life in made-up time."""

from __future__ import annotations

from typing import Any

import pytest

from controllerkit.devcluster.node import machine
from controllerkit.devcluster.node import state as s
from controllerkit.devcluster.node.podspec import PodSpec, ProbeKind
from tests.unit.devcluster.pods import Life, pod

TWO = [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]
INITS = [{"name": "first", "image": "i:1"}, {"name": "second", "image": "i:1"}]


def probe(**numbers: int) -> dict[str, Any]:
    return {"tcpSocket": {"port": 1}, **numbers}


def with_probes(**probes: dict[str, Any]) -> Life:
    life = Life(pod(containers=[{"name": "app", "image": "app:1", **probes}]))
    life.run()
    return life


def test_the_back_off_is_the_kubelets() -> None:
    source = (machine.BACKOFF_INITIAL_S, machine.BACKOFF_MAX_S, machine.BACKOFF_RESET_S)
    assert source == (10.0, 300.0, 600.0)


def test_volumes_come_before_containers_and_all_containers_start_together() -> None:
    life = Life(pod(containers=TWO))
    assert life.step(s.Tick()) == ["prepare"]
    assert life.step(s.Tick()) == []
    assert life.step(s.Prepared()) == ["start a#0", "start b#0"]
    assert machine.wake_at(life.state) is None


def test_a_volume_that_is_not_there_is_tried_again_and_a_change_hurries_it() -> None:
    life = Life(pod())
    life.step(s.Tick())
    assert life.step(s.PrepareFailed("no")) == []
    assert life.until(1.9) == []
    assert life.until(2.0) == [(2.0, "prepare")]
    life.step(s.PrepareFailed("no"))
    assert life.step(s.Poked()) == ["prepare"]
    assert [r.reason for r in life.reports] == ["FailedMount"], "the same failure is told once"


def test_a_crash_is_followed_by_a_start_at_once_then_by_doubling_waits() -> None:
    life = Life(pod())
    life.run()
    assert life.exited(1) == ["start app#1"]
    waits = []
    for attempt in range(2, 9):
        life.started()
        assert life.exited(1) == []
        crashed = life.at
        [(at, word)] = life.until(life.at + 1000)[:1]
        assert word == f"start app#{attempt}"
        waits.append(at - crashed)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_ten_quiet_minutes_forgive_every_crash() -> None:
    life = Life(pod())
    life.run()
    life.exited(1)
    life.started()
    life.exited(1)
    life.until(10.0)
    life.started()
    life.at += 600.0
    assert life.exited(1) == [], "exactly ten minutes are not more than ten minutes"
    life.until(life.at + 20)
    life.started()
    life.at += 600.1
    assert life.exited(1) == ["start app#4"]


@pytest.mark.parametrize(
    ("policy", "code", "restarts", "phase"),
    [
        ("Always", 0, True, "Running"),
        ("Always", 1, True, "Running"),
        ("OnFailure", 0, False, "Succeeded"),
        ("OnFailure", 1, True, "Running"),
        ("Never", 0, False, "Succeeded"),
        ("Never", 1, False, "Failed"),
    ],
)
def test_the_restart_policy_decides(policy: str, code: int, restarts: bool, phase: str) -> None:
    life = Life(pod(restartPolicy=policy))
    life.run()
    assert (life.exited(code) == ["start app#1"]) is restarts
    assert life.status()["phase"] == phase
    assert (machine.verdict(life.state) is None) is restarts


def test_a_pod_runs_on_while_one_of_its_containers_does() -> None:
    life = Life(pod(containers=TWO, restartPolicy="Never"))
    life.prepared()
    life.started("a")
    life.started("b")
    life.exited(0, "a")
    assert life.status()["phase"] == "Running"
    life.exited(3, "b")
    assert life.status()["phase"] == "Failed"


def test_init_containers_run_one_after_the_other_before_the_rest() -> None:
    life = Life(pod(initContainers=INITS))
    assert life.prepared() == ["start first#0"]
    life.started("first")
    assert life.status()["phase"] == "Pending"
    assert life.condition("Initialized")["message"] == "containers with incomplete status: [first second]"
    assert life.exited(0, "first") == ["start second#0"]
    life.started("second")
    assert life.exited(0, "second") == ["start app#0"]
    life.started()
    assert life.status()["phase"] == "Running"
    assert life.condition("Initialized")["status"] == "True"


@pytest.mark.parametrize(
    ("policy", "follows", "phase"), [("Always", ["start first#1"], "Pending"), ("Never", [], "Failed")]
)
def test_an_init_container_that_fails_holds_everything_up(policy: str, follows: list[str], phase: str) -> None:
    life = Life(pod(initContainers=INITS, restartPolicy=policy))
    life.prepared()
    life.started("first")
    assert life.exited(1, "first") == follows
    assert life.status()["phase"] == phase
    assert life.status()["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_sidecar_starts_first_stays_and_goes_last() -> None:
    sidecar = {"name": "side", "image": "s:1", "restartPolicy": "Always"}
    life = Life(pod(initContainers=[sidecar]))
    assert life.prepared() == ["start side#0"]
    assert life.started("side") == ["start app#0"]
    life.started()
    assert life.exited(0, "side") == ["start side#1"], "whatever its exit code"
    life.started("side")
    assert life.step(s.Deleting(30)) == ["stop app in 30"]
    life.at = 5.0
    assert life.exited(0) == ["stop side in 25"]
    assert life.exited(0, "side") == ["delete"]


def test_a_pod_whose_work_is_done_stops_its_sidecars() -> None:
    sidecar = {"name": "side", "image": "s:1", "restartPolicy": "Always"}
    life = Life(pod(initContainers=[sidecar], restartPolicy="Never", terminationGracePeriodSeconds=7))
    life.prepared()
    life.started("side")
    life.started()
    assert life.exited(0) == ["stop side in 7"]
    assert life.exited(143, "side", 15) == []
    assert life.status()["phase"] == "Succeeded"


def test_a_deleted_pod_gets_its_grace_and_is_deleted_once_all_have_ended() -> None:
    life = Life(pod(containers=TWO))
    life.prepared()
    life.started("a")
    life.started("b")
    assert life.step(s.Deleting(30)) == ["stop a in 30", "stop b in 30"]
    assert life.exited(0, "a") == []
    assert life.exited(137, "b", 9) == ["delete"]
    assert life.status()["phase"] == "Failed"
    assert life.step(s.Tick()) == []


def test_a_second_deletion_shortens_the_grace_and_never_lengthens_it() -> None:
    life = Life(pod())
    life.run()
    life.step(s.Deleting(30))
    life.at = 3.0
    assert life.step(s.Deleting(2)) == ["stop app in 2"]
    assert life.step(s.Deleting(60)) == []


def test_a_pod_that_vanished_is_killed_and_nothing_is_written() -> None:
    life = Life(pod())
    life.run()
    assert life.step(s.Vanished()) == ["stop app in 0"]
    assert life.exited(137, signal=9) == ["forget"]


def test_a_deletion_while_a_container_starts_waits_for_it_to_have_started() -> None:
    life = Life(pod())
    life.prepared()
    assert life.step(s.Deleting(30)) == []
    assert life.started() == ["stop app in 30"]


def test_a_pod_that_never_started_is_deleted_at_once() -> None:
    life = Life(pod())
    assert life.step(s.Deleting(30)) == ["delete"]


def test_a_missing_image_is_said_and_tried_again_ever_more_seldom() -> None:
    life = Life(pod())
    life.prepared()
    life.step(s.StartFailed("app", 0, "ErrImagePull", "no image 'app:1'; known images: pause"))
    waiting = life.status()["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ErrImagePull", "message": "no image 'app:1'; known images: pause"}
    life.until(1.0)
    waiting = life.status()["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert "known images: pause" in waiting["message"]
    assert life.until(10.0) == [(10.0, "start app#0")]
    life.step(s.StartFailed("app", 0, "ErrImagePull", "still"))
    assert life.until(40.0) == [(30.0, "start app#0")]


def test_missing_configuration_is_tried_again_when_something_changes() -> None:
    life = Life(pod())
    life.prepared()
    life.step(s.StartFailed("app", 0, "CreateContainerConfigError", 'secret "s" not found'))
    assert life.status()["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    assert life.step(s.Poked()) == ["start app#0"]
    life.started()
    assert life.status()["containerStatuses"][0]["restartCount"] == 0, "what never ran was not restarted"


def test_answers_of_an_older_run_change_nothing() -> None:
    life = Life(pod())
    life.run()
    life.exited(1)
    life.started()
    before = life.state
    assert life.step(s.Exited(name="app", attempt=0, exit_code=0)) == []
    assert life.step(s.Probed("app", 0, ProbeKind.LIVENESS, False)) == []
    assert life.state == before


def test_readiness_is_asked_soon_until_it_first_passes_and_then_once_a_period() -> None:
    life = with_probes(readinessProbe=probe(periodSeconds=10))
    asked = []
    for _ in range(4):
        asked.append(life.at)
        assert life.condition("Ready")["status"] == "False"
        life.probed(ProbeKind.READINESS, False)
        life.until(100)
    assert asked == pytest.approx([0.0, 0.1, 0.3, 0.7])
    life.probed(ProbeKind.READINESS, True)
    assert life.condition("Ready")["status"] == "True"
    passed_at = life.at
    assert life.until(100) == [(pytest.approx(passed_at + 10), "probe app readiness")]


def test_readiness_is_lost_after_the_threshold_and_comes_back() -> None:
    life = with_probes(readinessProbe=probe(periodSeconds=1, failureThreshold=3, successThreshold=2))
    life.probed(ProbeKind.READINESS, True)
    assert life.condition("Ready")["status"] == "False"
    life.until(100)
    life.probed(ProbeKind.READINESS, True)
    assert life.condition("Ready")["status"] == "True"
    for expected in ("True", "True", "False"):
        life.until(100)
        life.probed(ProbeKind.READINESS, False)
        assert life.condition("Ready")["status"] == expected
    assert life.condition("Ready")["message"] == "containers with unready status: [app]"


def test_liveness_restarts_after_the_threshold_with_the_probes_own_grace() -> None:
    life = with_probes(livenessProbe=probe(periodSeconds=5, failureThreshold=2, terminationGracePeriodSeconds=4))
    assert life.probed(ProbeKind.LIVENESS, False) == []
    assert life.until(100) == [(5.0, "probe app liveness")]
    assert life.probed(ProbeKind.LIVENESS, False) == ["stop app in 4"]
    assert life.until(100) == [], "a container that is being stopped is not asked any more"
    assert life.exited(143, signal=15) == ["start app#1"]
    assert [r.reason for r in life.reports if r.reason != "Started"] == ["Unhealthy", "Unhealthy", "Killing"]


def test_tries_between_two_periods_do_not_count_as_failures() -> None:
    life = with_probes(startupProbe=probe(periodSeconds=10, failureThreshold=2))
    stopped = []
    while not stopped and life.at < 100:
        stopped = life.probed(ProbeKind.STARTUP, False)
        life.until(100)
    assert stopped == ["stop app in 30"]
    unhealthy = [r for r in life.reports if r.reason == "Unhealthy"]
    assert len(unhealthy) == 2


def test_the_others_wait_for_the_startup_probe_and_their_own_delay() -> None:
    life = with_probes(
        startupProbe=probe(periodSeconds=1), livenessProbe=probe(initialDelaySeconds=5), readinessProbe=probe()
    )
    assert life.status()["containerStatuses"][0]["started"] is False
    assert life.probed(ProbeKind.STARTUP, True) == ["probe app readiness"]
    assert life.status()["containerStatuses"][0]["started"] is True
    life.probed(ProbeKind.READINESS, True)
    assert life.until(100) == [(5.0, "probe app liveness")]


def test_transition_times_move_only_with_the_status() -> None:
    life = with_probes(readinessProbe=probe())
    first = life.condition("Ready")["lastTransitionTime"]
    life.at = 7.0
    assert life.condition("Ready")["lastTransitionTime"] == first
    life.probed(ProbeKind.READINESS, True)
    assert life.condition("Ready")["lastTransitionTime"] == "2026-01-01T00:00:07Z"


def test_a_crash_loop_is_reported_as_the_kubelet_reports_it() -> None:
    life = Life(pod())
    life.run()
    life.exited(1)
    life.started()
    life.at = 2.0
    life.exited(137, signal=9)
    [status] = life.status()["containerStatuses"]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=app pod=web-0_default(uid-web-0)",
    }
    assert status["lastState"]["terminated"] == {
        "exitCode": 137,
        "signal": 9,
        "reason": "Error",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:02Z",
        "containerID": "sandbox://app-1",
    }
    assert status["restartCount"] == 1
    assert status["ready"] is False
    assert life.status()["phase"] == "Running"


def test_readiness_gates_hold_ready_back_but_not_the_containers() -> None:
    life = Life(pod(readinessGates=[{"conditionType": "example.dev/Gate"}]))
    life.run()
    assert life.condition("ContainersReady")["status"] == "True"
    assert life.condition("Ready")["reason"] == "ReadinessGatesNotReady"
    life.conditions.append({"type": "example.dev/Gate", "status": "True"})
    assert life.condition("Ready")["status"] == "True"
    assert life.condition("example.dev/Gate")["status"] == "True", "others' conditions are kept"


def resumed(life: Life, **spec: Any) -> Life:
    """The same Pod on a node that was started anew."""
    return Life(pod(status=life.status(), **spec))


def test_a_node_that_comes_back_starts_what_was_running_once_more() -> None:
    life = Life(pod())
    life.run()
    again = resumed(life)
    assert again.prepared() == ["start app#1"]
    again.started()
    [status] = again.status()["containerStatuses"]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert again.status()["startTime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("code", [0, 1])
def test_a_node_that_comes_back_leaves_what_was_over(code: int) -> None:
    life = Life(pod(restartPolicy="Never"))
    life.run()
    life.exited(code)
    phase = life.status()["phase"]
    again = resumed(life, restartPolicy="Never")
    assert again.step(s.Tick()) == []
    assert again.status()["phase"] == phase
    assert again.step(s.Deleting(30)) == ["delete"]


def test_init_containers_run_again_on_a_node_that_comes_back() -> None:
    life = Life(pod(initContainers=INITS[:1]))
    life.prepared()
    life.started("first")
    life.exited(0, "first")
    life.started()
    again = resumed(life, initContainers=INITS[:1])
    assert again.prepared() == ["start first#1"]


def test_defaults_are_those_of_the_api() -> None:
    spec = PodSpec.of(pod(containers=[{"name": "app", "livenessProbe": {"exec": {}}}]))
    [found] = spec.containers[0].probes
    assert (found.period_s, found.timeout_s, found.failure_threshold, found.success_threshold) == (10, 1, 3, 1)
    assert (spec.grace_s, spec.restart_policy.value) == (30, "Always")
