"""Every situation and what follows from it; test names are the specification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controllerkit.objects import Object
from operators.etcd.cluster.model import CreatePod, Membership, Refused, VolumeView
from operators.etcd.versions import VersionMap
from tests.unit.etcd.made import (
    CLUSTER_ID,
    NOW,
    analyze,
    answer,
    condition,
    empty,
    events,
    running,
    status_of,
    steps,
    unconfirmed,
    without,
)

SPEC = {"size": 3, "version": "3.7.3"}


# -- what is asked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"size": 0, "version": "3.7.3"}, "SizeOutOfRange"),
        ({"size": -3, "version": "3.7.3"}, "SizeOutOfRange"),
        ({"size": 8, "version": "3.7.3"}, "SizeOutOfRange"),
        ({"size": 10**9, "version": "3.7.3"}, "SizeOutOfRange"),
        ({"clusterSize": 9, "version": "3.7.3"}, "SizeOutOfRange"),
        ({"size": 3, "clusterSize": 5, "version": "3.7.3"}, "SizeConflict"),
        ({"version": "3.7.3"}, "SizeMissing"),
        ({"size": 3, "version": "newest"}, "VersionUnknown"),
        ({"size": 3, "version": "4.0.0"}, "VersionUnknown"),
        ({"size": 3, "version": "3.5.1"}, "VersionDenied"),
    ],
)
def test_a_spec_that_cannot_be_met_makes_nothing_and_says_why(spec: dict[str, Any], reason: str) -> None:
    observed = empty(spec)
    assert steps(observed) == []
    assert condition(observed, "SpecInvalid")[:2] == ("True", reason)
    assert events(observed) == [reason]
    assert status_of(observed)["phase"] == "Failed"


@pytest.mark.parametrize(
    ("spec", "reason", "kept"),
    [
        ({"size": 0}, "SizeOutOfRange", "3 members are kept"),
        ({"size": -1}, "SizeOutOfRange", "3 members are kept"),
        ({"size": 99}, "SizeOutOfRange", "3 members are kept"),
        ({"version": "3.6.16"}, "DowngradeRefused", "3.7.3 is kept"),
        ({"version": "3.9.0"}, "VersionUnknown", "3.7.3 is kept"),
        ({"version": "3.5.1"}, "VersionDenied", "3.7.3 is kept"),
    ],
)
def test_a_running_cluster_is_not_touched_by_a_spec_that_cannot_be_met(
    spec: dict[str, Any], reason: str, kept: str
) -> None:
    observed = running(spec=spec)
    assert steps(observed) == []
    status, told, message = condition(observed, "SpecInvalid")
    assert (status, told) == ("True", reason)
    assert kept in message
    assert events(observed) == [reason]


def test_a_cluster_with_a_spec_that_cannot_be_met_is_still_healed() -> None:
    observed = without(running(spec={"size": 0, "version": "nonsense"}), pod="db-1")
    assert steps(observed) == ["start Pod db-1, etcd 3.7.3: on its own volume"]


def test_a_lost_member_is_replaced_at_the_accepted_size_while_the_spec_cannot_be_met() -> None:
    observed = running(3, spec={"size": 0})
    fewer = without(observed, pod="db-2", volume="db-2", member="db-2")
    assert steps(fewer) == ["add member db-3 as a learner: 2 of 3 members"]


def test_skipping_a_minor_is_refused() -> None:
    observed = running(spec={"version": "3.7.3"}, version="3.5.26")
    spec = replace(observed, cluster=running(spec={"version": "3.7.3"}, version="3.5.26").cluster)
    assert condition(spec, "SpecInvalid")[1] == "UpgradeSkipsMinor"
    assert steps(spec) == []


def test_cluster_size_is_another_word_for_size() -> None:
    assert steps(empty({"clusterSize": 3, "version": "3.7.3"})) == ["create Service db", "create volume db-0"]
    assert steps(empty({"size": 3, "clusterSize": 3, "version": "3.7.3"})) != []


def test_an_even_size_runs_with_a_note() -> None:
    observed = running(4)
    assert steps(observed) == []
    assert "tolerate no more failures than 3" in condition(observed, "Scaling")[2]


def test_read_replicas_are_answered_honestly_and_the_voters_are_made() -> None:
    observed = empty({**SPEC, "readReplicas": 2})
    assert condition(observed, "ReadReplicasNotSupported")[0] == "True"
    assert steps(observed) != []


@pytest.mark.parametrize(
    "observed", [empty({**SPEC, "TLS": {"static": {}}}), running(spec={"TLS": {"static": {"operatorSecret": "x"}}})]
)
def test_tls_is_not_replaced_by_plaintext(observed: Any) -> None:
    assert steps(observed) == []
    assert condition(observed, "TLSNotSupported")[0] == "True"


def test_a_name_that_leaves_no_room_for_members_is_refused() -> None:
    assert condition(empty(SPEC, name="a" * 53), "SpecInvalid")[1] == "NameTooLong"
    assert steps(empty(SPEC, name="a" * 53)) == []
    assert steps(empty(SPEC, name="a" * 52)) != []


def test_a_name_that_is_no_services_name_is_refused() -> None:
    assert condition(empty(SPEC, name="a.b"), "SpecInvalid")[1] == "NameInvalid"
    assert condition(empty(SPEC, name="1a"), "SpecInvalid")[1] == "NameInvalid"


def test_a_mapped_version_runs_and_says_so() -> None:
    observed = replace(empty({"size": 3, "version": "3.2.13"}), mapping=VersionMap.parse(["3.2.*=3.7.3"]))
    assert condition(observed, "VersionMapped") == (
        "True",
        "Mapped",
        "version 3.2.13 was asked for, 3.7.3 runs (--map-version 3.2.*=3.7.3)",
    )


def test_a_paused_cluster_is_left_alone() -> None:
    observed = without(running(spec={"paused": True}), pod="db-1")
    assert steps(observed) == []
    assert status_of(observed)["controlPaused"] is True


# -- the first member ------------------------------------------------------------------------------------------


def founded(**status: Any) -> dict[str, Any]:
    entry = {"name": "db-0", "role": "joining", "ordinal": 0, "runVersion": "3.7.3", **status}
    return {"phase": "Creating", "highestOrdinal": 0, "memberStatuses": [entry]}


def test_the_founders_name_is_in_the_status_before_its_volume_is_made() -> None:
    status = status_of(empty(SPEC))
    assert [entry["name"] for entry in status["memberStatuses"]] == ["db-0"]
    assert status["plan"] == ["create Service db", "create volume db-0"]
    assert status["phase"] == "Creating"


def test_the_founders_volume_is_in_the_status_before_its_pod_is_made() -> None:
    observed = replace(empty(SPEC, founded()), volumes={"db-0": VolumeView(name="db-0", uid="u1")})
    assert status_of(observed)["memberStatuses"][0]["pvcUID"] == "u1"
    created = [action for action in analyze(observed, NOW).actions if isinstance(action, CreatePod)]
    assert [(action.order.member, action.order.founds) for action in created] == [("db-0", True)]


def test_the_identity_is_latched_before_anything_joins_and_before_clients_are_told() -> None:
    made = running(1)
    unmarked = {"db-0": replace(made.volumes["db-0"], cluster_id="")}
    cluster = empty(SPEC, founded(pvcUID="uid-db-0")).cluster
    observed = replace(made, cluster=cluster, services={}, volumes=unmarked)
    assert status_of(observed)["clusterID"] == f"{CLUSTER_ID:x}"
    assert steps(observed) == ["create Service db"]


def test_a_founders_volume_lost_before_the_identity_is_known_gives_way_to_another_name() -> None:
    observed = empty(SPEC, founded(pvcUID="u1"))
    assert steps(observed) == ["create Service db", "create volume db-1"]


def test_once_an_identity_is_latched_nothing_is_founded_even_if_all_is_gone() -> None:
    observed = replace(empty(SPEC, running(1).cluster.source.status), services=running(1).services)
    assert steps(observed) == []
    assert condition(observed, "QuorumLost")[1] == "VolumesLost"


def test_a_marked_volume_is_an_identity_even_if_the_status_was_wiped() -> None:
    observed = replace(empty(SPEC), volumes={"db-4": VolumeView(name="db-4", uid="u", cluster_id="c1")})
    assert status_of(observed)["clusterID"] == "c1"
    created = [action for action in analyze(observed, NOW).actions if isinstance(action, CreatePod)]
    assert [(action.order.member, action.order.founds) for action in created] == [("db-4", False)]


def test_unmarked_volumes_without_a_status_are_not_written_over() -> None:
    observed = replace(empty(SPEC), volumes={"db-0": VolumeView(name="db-0", uid="u")})
    assert steps(observed) == []
    assert condition(observed, "Blocked")[1] == "IdentityUnknown"


def test_what_a_deleted_cluster_of_the_same_name_left_is_waited_for() -> None:
    observed = replace(empty(SPEC), foreign=("PersistentVolumeClaim db-0",))
    assert steps(observed) == []
    assert condition(observed, "Blocked")[1] == "NameTaken"


def test_a_member_that_answers_as_another_cluster_stops_everything() -> None:
    observed = running()
    stranger = replace(observed, probes={**observed.probes, "db-2": answer(2, cluster_id=0xBAD)})
    assert steps(stranger) == []
    assert condition(stranger, "ClusterIDMismatch")[:2] == ("True", "ForeignMember")


# -- growing ---------------------------------------------------------------------------------------------------


def test_a_member_is_added_as_a_learner_with_a_name_nobody_had() -> None:
    observed = running(1, spec={"size": 3})
    assert steps(observed) == ["add member db-1 as a learner: 1 of 3 members"]
    assert status_of(observed)["highestOrdinal"] == 1


def test_a_name_that_etcd_would_not_add_is_used_again() -> None:
    observed = running(1, spec={"size": 3})
    status = {**observed.cluster.source.status, "highestOrdinal": 1}
    again = replace(
        observed,
        cluster=empty({"size": 3, "version": "3.7.3"}, status).cluster,
        refused=Refused("etcdserver: unhealthy cluster", unused="db-1"),
    )
    assert steps(again) == ["add member db-1 as a learner: 1 of 3 members"]


def test_a_member_that_etcd_has_and_kubernetes_has_not_is_given_its_volume() -> None:
    observed = without(running(2, spec={"size": 3}, joining=[1]), pod="db-1", volume="db-1")
    entries = [entry for entry in observed.cluster.source.status["memberStatuses"] if entry["name"] != "db-1"]
    status = {**observed.cluster.source.status, "memberStatuses": entries}
    observed = replace(observed, cluster=empty({"size": 3, "version": "3.7.3"}, status).cluster)
    assert steps(observed) == ["create volume db-1"]


def test_then_its_pod_with_every_member_in_the_initial_cluster() -> None:
    observed = without(running(2, spec={"size": 3}, joining=[1]), pod="db-1")
    (action,) = analyze(observed, NOW).actions
    assert isinstance(action, CreatePod)
    assert [name for name, _ in action.order.initial_cluster] == ["db-0", "db-1"]
    assert (action.order.founds, action.order.learner) == (False, True)


def test_nothing_else_joins_while_a_member_starts() -> None:
    observed = running(2, spec={"size": 5}, joining=[1])
    assert steps(observed) == []


def test_a_second_member_joins_beside_a_started_learner() -> None:
    assert steps(running(2, spec={"size": 3}, learners=[1])) == ["add member db-2 as a learner: 2 of 3 members"]


def test_before_3_6_a_learner_is_promoted_before_the_next_joins() -> None:
    observed = running(2, spec={"size": 3}, learners=[1], version="3.5.26")
    assert steps(observed) == ["promote db-1 to a voter once it has caught up"]


def test_a_version_without_learners_adds_a_voter() -> None:
    assert steps(running(1, spec={"size": 3}, version="3.2.13")) == ["add member db-1: 1 of 3 members"]


def test_a_learner_is_promoted() -> None:
    assert steps(running(3, learners=[2])) == ["promote db-2 to a voter once it has caught up"]


def test_a_learner_that_does_not_answer_yet_is_promoted_where_the_majority_needs_it_not() -> None:
    assert steps(without(running(3, learners=[2]), probe="db-2")) == ["promote db-2 to a voter once it has caught up"]
    assert steps(without(running(2, spec={"size": 2}, learners=[1]), probe="db-1")) == []


def test_a_promoted_member_is_put_behind_the_client_service() -> None:
    observed = running(3)
    pods = {**observed.pods, "db-2": replace(observed.pods["db-2"], role="learner")}
    assert steps(replace(observed, pods=pods)) == ["label Pod db-2 as voter"]


def test_no_member_joins_while_a_voter_does_not_answer() -> None:
    assert steps(without(running(3, spec={"size": 5}), probe="db-1")) == []


# -- healing ---------------------------------------------------------------------------------------------------


def test_a_lost_pod_comes_back_on_its_volume() -> None:
    assert steps(without(running(), pod="db-1")) == ["start Pod db-1, etcd 3.7.3: on its own volume"]


def test_all_pods_lost_at_once_come_back_at_once() -> None:
    observed = running()
    gone = unconfirmed(replace(observed, pods={}, probes={}, membership=None))
    assert steps(gone) == [f"start Pod db-{n}, etcd 3.7.3: on its own volume" for n in range(3)]
    assert condition(gone, "QuorumLost")[:2] == ("True", "MembersDown")
    assert "MembersDown" in events(gone)


def test_an_election_is_not_a_lost_quorum() -> None:
    observed = unconfirmed(without(running(), pod="db-0"))
    assert condition(observed, "Available")[:2] == ("False", "NoLeader")
    assert condition(observed, "QuorumLost") == ("", "", "")
    assert events(observed) == ["MembersUnhealthy"]


def test_a_pod_that_is_being_deleted_is_waited_for() -> None:
    observed = running()
    pods = {**observed.pods, "db-1": replace(observed.pods["db-1"], terminating=True)}
    assert steps(replace(observed, pods=pods)) == []


def test_an_evicted_pod_makes_room_for_its_successor() -> None:
    observed = without(running(), probe="db-1")
    pods = {**observed.pods, "db-1": replace(observed.pods["db-1"], finished=True)}
    assert steps(replace(observed, pods=pods)) == ["delete Pod db-1: it has ended"]


@pytest.mark.parametrize(
    "volume",
    [
        None,
        VolumeView(name="db-1", uid="another", cluster_id=""),
        VolumeView(name="db-1", uid="uid-db-1", terminating=True, cluster_id="c1"),
    ],
    ids=["gone", "another took its name", "going"],
)
def test_a_member_whose_volume_is_lost_is_removed(volume: VolumeView | None) -> None:
    observed = without(running(), pod="db-1", volume="db-1")
    if volume is not None:
        observed = replace(observed, volumes={**observed.volumes, "db-1": volume})
    assert steps(observed) == ["remove member db-1: its volume is lost"]
    assert "ReplacingDeadMember" in events(observed)


def test_then_what_it_left_is_cleared_and_another_joins() -> None:
    observed = without(running(), member="db-1", probe="db-1")
    assert steps(observed) == [
        "delete Pod db-1: it is no member any more",
        "add member db-3 as a learner: 2 of 3 members",
    ]
    assert steps(without(observed, pod="db-1")) == [
        "delete volume db-1: it is no member any more",
        "add member db-3 as a learner: 2 of 3 members",
    ]


def test_a_pod_that_cannot_go_does_not_hold_up_its_replacement() -> None:
    observed = without(running(), member="db-1", probe="db-1")
    pods = {**observed.pods, "db-1": replace(observed.pods["db-1"], terminating=True)}
    assert steps(replace(observed, pods=pods)) == ["add member db-3 as a learner: 2 of 3 members"]


def test_no_voter_is_removed_where_the_others_are_no_majority() -> None:
    observed = without(without(running(3), pod="db-1", volume="db-1"), probe="db-2")
    assert steps(observed) == []
    assert condition(observed, "QuorumLost")[0] == "True"


def test_of_five_two_lost_members_are_removed_one_at_a_time() -> None:
    observed = without(without(running(5), pod="db-1", volume="db-1"), pod="db-3", volume="db-3")
    assert steps(observed) == ["remove member db-1: its volume is lost"]


def test_a_leader_whose_volume_is_going_hands_over_first() -> None:
    observed = running(leader=1)
    volumes = {**observed.volumes, "db-1": replace(observed.volumes["db-1"], terminating=True)}
    assert steps(replace(observed, volumes=volumes)) == [
        "hand leadership from db-1 to db-0: db-1 is to leave",
    ]


def test_the_only_member_on_a_going_volume_gets_a_companion_before_it_leaves() -> None:
    observed = running(1)
    volumes = {"db-0": replace(observed.volumes["db-0"], terminating=True)}
    assert steps(replace(observed, volumes=volumes)) == ["add member db-1 as a learner: 1 of 2 members"]


def test_nothing_is_taken_away_on_a_list_that_no_majority_stands_behind() -> None:
    observed = unconfirmed(without(running(3), member="db-2"))
    assert steps(observed) == []
    lost = unconfirmed(without(running(3), pod="db-1", volume="db-1"))
    assert steps(lost) == []


def test_a_member_missing_from_an_old_list_keeps_its_volume_in_the_status() -> None:
    observed = unconfirmed(without(running(3), member="db-2"))
    assert [entry["pvcUID"] for entry in status_of(observed)["memberStatuses"]] == ["uid-db-0", "uid-db-1", "uid-db-2"]


def test_a_member_of_somebody_elses_is_counted_and_not_touched() -> None:
    observed = running(3)
    assert observed.membership is not None
    stranger = replace(observed.membership.members[2], name="laptop", peer_urls=("http://10.0.0.9:2380",))
    membership = Membership(cluster_id="c1", members=(*observed.membership.members[:2], stranger), confirmed=True)
    seen = without(replace(observed, membership=membership), pod="db-2", volume="db-2")
    assert steps(seen) == []
    assert condition(seen, "Degraded")[1] == "UnknownMembers"


# -- shrinking -------------------------------------------------------------------------------------------------


def test_the_newest_member_leaves_first() -> None:
    assert steps(running(5, spec={"size": 3})) == ["remove member db-4: 5 members, 3 wanted"]


def test_the_leader_stays() -> None:
    assert steps(running(5, spec={"size": 3}, leader=4)) == ["remove member db-3: 5 members, 3 wanted"]


def test_an_unhealthy_member_leaves_before_a_healthy_one() -> None:
    assert steps(without(running(5, spec={"size": 3}), probe="db-1")) == ["remove member db-1: 5 members, 3 wanted"]


# -- upgrading -------------------------------------------------------------------------------------------------


def test_followers_are_made_anew_first_and_one_at_a_time() -> None:
    observed = running(spec={"version": "3.7.3"}, version="3.6.16")
    assert steps(observed) == ["delete Pod db-1: to run etcd 3.7.3"]
    assert status_of(observed)["targetVersion"] == "3.7.3"
    assert status_of(observed)["memberStatuses"][1]["runVersion"] == "3.7.3", "said before it is done"
    assert condition(observed, "Upgrading")[0] == "True"


def half_upgraded(leader: int = 0) -> Any:
    """db-1 and db-2 run the new version."""
    old, new = running(spec={"version": "3.7.3"}, version="3.6.16", leader=leader), running(leader=leader)
    done = ("db-1", "db-2")
    return replace(
        old,
        pods={name: (new if name in done else old).pods[name] for name in old.pods},
        probes={name: (new if name in done else old).probes[name] for name in old.probes},
    )


def test_the_leader_hands_over_to_one_that_is_done_and_comes_last() -> None:
    assert steps(half_upgraded(leader=0)) == ["hand leadership from db-0 to db-1: db-0 is to be made anew"]
    assert steps(half_upgraded(leader=1)) == ["delete Pod db-0: to run etcd 3.7.3"]


def test_no_pod_is_made_anew_while_another_member_does_not_answer() -> None:
    observed = running(spec={"version": "3.7.3"}, version="3.6.16")
    assert steps(without(observed, probe="db-2")) == ["delete Pod db-2: to run etcd 3.7.3"], "but the sick one may be"
    assert steps(without(half_upgraded(), probe="db-2")) == []


def test_a_member_that_dies_during_an_upgrade_comes_back_as_it_was() -> None:
    observed = without(running(spec={"version": "3.7.3"}, version="3.6.16"), pod="db-2")
    assert steps(observed) == ["start Pod db-2, etcd 3.6.16: on its own volume"]


def test_an_upgrade_under_way_can_be_turned_back() -> None:
    observed = half_upgraded(leader=0)
    spec = {"size": 3, "version": "3.6.16"}
    back = replace(observed, cluster=empty(spec, observed.cluster.source.status).cluster)
    assert condition(back, "SpecInvalid") == ("", "", "")
    assert steps(back) == ["delete Pod db-1: to run etcd 3.6.16"]


def test_a_changed_template_takes_the_same_way() -> None:
    observed = running()
    changed = empty({**SPEC, "pod": {"resources": {"limits": {"cpu": "1"}}}}, observed.cluster.source.status).cluster
    assert steps(replace(observed, cluster=changed)) == ["delete Pod db-1: its template has changed"]
    assert condition(replace(observed, cluster=changed), "Upgrading")[:2] == ("True", "TemplateChanged")


# -- what else -------------------------------------------------------------------------------------------------


def test_a_settled_cluster_is_left_alone_and_looked_at_now_and_then() -> None:
    plan = analyze(running(), NOW)
    assert (plan.actions, plan.requeue_after_s) == ((), 10.0)
    assert status_of(running())["members"] == {"ready": ["db-0", "db-1", "db-2"], "unready": []}
    assert condition(running(), "Available")[:2] == ("True", "Quorum")


def test_a_service_that_was_changed_is_repaired_and_one_that_is_gone_is_made() -> None:
    observed = running()
    client = observed.services["db-client"].to_dict()
    client["spec"]["selector"] = {"app": "other"}
    changed = replace(observed, services={"db-client": Object.from_dict(client)})
    assert steps(changed) == ["create Service db", "repair Service db-client (spec.selector changed)"]


def test_figures_that_change_with_every_write_do_not_change_the_status_each_time() -> None:
    observed = running()
    first = status_of(observed)
    settled = replace(observed, cluster=empty(SPEC, first).cluster)
    probe = settled.probes["db-0"]
    assert probe.status is not None
    busy = replace(probe, status=replace(probe.status, db_size=10**9, raft_index=10**6, raft_applied_index=10**6))
    assert status_of(replace(settled, probes={**settled.probes, "db-0": busy})) == first


def test_the_same_observation_tells_the_same_thing_once() -> None:
    observed = without(running(), pod="db-1", volume="db-1")
    again = replace(observed, cluster=empty(SPEC, status_of(observed)).cluster)
    assert events(observed) != []
    assert events(again) == []
