"""Admission reviews: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.errors import BadRequest, ConfigError, Conflict, Denied
from controllerkit.objects import GVK, GVR, Key
from controllerkit.schema import ApiModel, Resource
from controllerkit.webhook import (
    AdmissionRequest,
    AdmissionResponse,
    Handler,
    current_request,
    defaulting,
    json_patch,
    mutating,
    review,
    validating,
    validation,
)
from controllerkit.webhook.patches import carried_over


class Port(ApiModel):
    number: int
    name: str = ""


class SiteSpec(ApiModel):
    size: int | None = None
    ports: list[Port] | None = None


class Site(Resource, group="example.dev", version="v1"):
    spec: SiteSpec = SiteSpec()

    def default(self) -> Site:
        if self.spec.size is not None:
            return self
        return self.model_copy(update={"spec": self.spec.model_copy(update={"size": 1})})

    def validate_create(self) -> list[str]:
        if self.spec.size == 0:
            raise Denied("size 0 serves nobody", warnings=["look at size"])
        return ["small"] if self.spec.size == 1 else []

    async def validate_update(self, old: Site) -> str | None:
        if self.spec.size != old.spec.size:
            raise Conflict(f"size is {old.spec.size} for ever")
        return None

    def validate_delete(self) -> None:
        if self.spec.size == 9:
            raise Denied("this one stays")


def site(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.dev/v1", "kind": "Site", "metadata": {"name": "a", "namespace": "n"}, "spec": spec}


def asked(new: Any = None, old: Any = None, *, operation: str = "CREATE", version: str = "v1", **more: Any) -> bytes:
    request = {
        "uid": "uid-1",
        "operation": operation,
        "kind": {"group": "example.dev", "version": "v1", "kind": "Site"},
        "resource": {"group": "example.dev", "version": "v1", "resource": "sites"},
        "name": "a",
        "namespace": "n",
        "object": new,
        "oldObject": old,
        **more,
    }
    review = {"apiVersion": f"admission.k8s.io/{version}", "kind": "AdmissionReview", "request": request}
    return json.dumps(review).encode()


async def answer(handler: Handler, body: bytes, content_type: str = "application/json", **options: Any) -> Any:
    """The response, out of its review."""
    found = json.loads(await review(body, content_type, handler, **options))
    assert found["kind"] == "AdmissionReview"
    return found["response"]


def patched(value: Any, response: Any) -> Any:
    assert response["patchType"] == "JSONPatch"
    return jsonpatch.apply_patch(value, json.loads(base64.b64decode(response["patch"])))


async def allow(request: AdmissionRequest) -> AdmissionResponse:
    return AdmissionResponse.allow()


def labelling(name: str, *warnings: str) -> Handler:
    async def handle(request: AdmissionRequest) -> AdmissionResponse:
        value = request.object.to_dict()
        value["metadata"].setdefault("labels", {})[name] = str(len(value["metadata"].get("labels", {})))
        return AdmissionResponse.allow(*warnings, object=value)

    return handle


def saying(*warnings: str, **audit: str) -> Handler:
    async def handle(request: AdmissionRequest) -> AdmissionResponse:
        return AdmissionResponse(allowed=True, warnings=warnings, audit=audit)

    return handle


async def refuse(request: AdmissionRequest) -> AdmissionResponse:
    return AdmissionResponse.deny("not today", "tomorrow perhaps")


async def fail(request: AdmissionRequest) -> AdmissionResponse:
    raise RuntimeError("a bug")


@pytest.mark.parity("2.8/webhook-empty-body", "2.8/webhook-no-body", "2.8/webhook-content-type")
@pytest.mark.parity("2.8/webhook-undecodable", "2.8/webhook-infinite-body")
@pytest.mark.parametrize(
    ("body", "content_type", "code", "message"),
    [
        (b"", "application/json", 400, "the body is empty"),
        (asked(site()), "application/foo", 400, "the content type is 'application/foo', not application/json"),
        (b"{", "application/json", 400, "the body is no AdmissionReview: Input data was truncated"),
        (b'{"kind":"Pod","apiVersion":"v1"}', "application/json", 400, "the body is Pod of v1, not AdmissionReview"),
        (b"{}", "application/json", 400, "the AdmissionReview has no request"),
        (b" " * (7 * 2**20 + 1), "application/json", 413, "the body is larger than 7 MiB"),
    ],
)
async def test_what_cannot_be_decoded_is_refused_with_the_reason(
    body: bytes, content_type: str, code: int, message: str
) -> None:
    response = await answer(allow, body, content_type)
    assert (response["allowed"], response["status"]["code"]) == (False, code)
    assert response["status"]["message"].startswith(message)


@pytest.mark.parity("2.8/webhook-v1-echo", "2.8/webhook-v1beta1-echo", "2.8/webhook-uid-echo")
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_the_answer_has_the_uid_and_version_of_the_question(version: str) -> None:
    body = asked(site(), version=version)
    found = json.loads(await review(body, "application/json; charset=utf-8", allow))
    assert found == {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "response": {"uid": "uid-1", "allowed": True, "status": {"code": 200}},
    }
    assert (await answer(fail, body))["uid"] == "uid-1"


@pytest.mark.parity("2.8/webhook-decode")
async def test_a_request_tells_who_wants_what() -> None:
    seen: list[AdmissionRequest] = []

    async def look(request: AdmissionRequest) -> AdmissionResponse:
        seen.append(request)
        return AdmissionResponse.allow()

    more = {
        "userInfo": {"username": "ann", "groups": ["devs"], "extra": {"a": ["b"]}},
        "dryRun": True,
        "subResource": "status",
        "requestKind": {"group": "example.dev", "version": "v2", "kind": "Site"},
        "requestResource": {"group": "example.dev", "version": "v2", "resource": "sites"},
        "options": {"kind": "UpdateOptions"},
    }
    await answer(look, asked(site(size=2), site(size=1), operation="UPDATE", **more))
    await answer(look, asked(None, site(size=1), operation="DELETE"))
    update, delete = seen
    assert (update.kind, update.resource) == (GVK("example.dev", "v1", "Site"), GVR("example.dev", "v1", "sites"))
    assert (update.request_kind.version, update.request_resource.version) == ("v2", "v2")
    assert (update.key, update.subresource, update.dry_run) == (Key("n", "a"), "status", True)
    assert (update.user.username, update.user.groups, update.user.extra) == ("ann", ("devs",), {"a": ["b"]})
    assert (update.object.spec, update.old_object.spec) == ({"size": 2}, {"size": 1})
    assert update.raw_options == b'{"kind": "UpdateOptions"}'
    assert (delete.raw_object, delete.request_kind, delete.dry_run) == (None, delete.kind, False)
    with pytest.raises(BadRequest, match=r"the DELETE of Site n/a came without object"):
        _ = delete.object


@pytest.mark.parity("2.8/webhook-decode-mismatch")
async def test_an_object_of_another_kind_or_shape_is_refused_with_400() -> None:
    other = await answer(defaulting(Site), asked({**site(), "apiVersion": "example.dev/v2"}))
    assert other["status"]["code"] == 400
    assert "this webhook is for Site of example.dev/v1" in other["status"]["message"]
    misfit = await answer(validation(Site), asked(site(size="large")))
    assert misfit["status"]["code"] == 400
    assert "spec.size" in misfit["status"]["message"]
    without = await answer(validation(Site), asked({"kind": "Site"}))
    assert without["status"]["code"] == 400


@pytest.mark.parity("2.8/webhook-context")
async def test_what_is_given_objects_only_can_ask_for_the_request() -> None:
    class Asking:
        def default(self, value: Site) -> Site:
            metadata = value.metadata.model_copy(update={"labels": {"by": current_request().user.username}})
            return value.model_copy(update={"metadata": metadata})

    response = await answer(defaulting(Site, Asking()), asked(site(), userInfo={"username": "ann"}))
    assert patched(site(), response)["metadata"]["labels"] == {"by": "ann"}
    with pytest.raises(LookupError):
        current_request()


@pytest.mark.parity("2.8/webhook-patches-one-blob", "2.8/webhook-multi-warnings")
async def test_mutators_see_what_those_before_made_and_their_patches_are_one() -> None:
    handler = mutating(labelling("x", "one"), allow, labelling("y", "two"), saying("three"))
    response = await answer(handler, asked(site(size=1)))
    assert patched(site(size=1), response)["metadata"]["labels"] == {"x": "0", "y": "1"}
    assert response["warnings"] == ["one", "two", "three"]


@pytest.mark.parity("2.8/webhook-mutating-deny-short-circuits")
async def test_a_mutator_that_refuses_ends_the_chain_and_nothing_is_patched() -> None:
    response = await answer(mutating(labelling("x", "one"), refuse, fail), asked(site()))
    assert (response["allowed"], response["status"]["message"]) == (False, "not today")
    assert response["warnings"] == ["one", "tomorrow perhaps"]
    assert "patch" not in response


@pytest.mark.parity("2.8/webhook-validating-all-allow", "2.8/webhook-validating-deny-short-circuits")
async def test_validators_are_asked_until_one_refuses() -> None:
    agreed = await answer(validating(saying("a", first="1"), allow, saying("b", second="2")), asked(site()))
    assert (agreed["allowed"], agreed["warnings"]) == (True, ["a", "b"])
    assert agreed["auditAnnotations"] == {"first": "1", "second": "2"}
    denied = await answer(validating(saying("a"), refuse, fail), asked(site()))
    assert denied == {
        "uid": "uid-1",
        "allowed": False,
        "status": {"code": 403, "reason": "Forbidden", "message": "not today", "status": "Failure"},
        "warnings": ["a", "tomorrow perhaps"],
    }


@pytest.mark.parity("2.8/webhook-response-helpers")
def test_responses_are_made_by_name() -> None:
    assert AdmissionResponse.allow("w") == AdmissionResponse(allowed=True, warnings=("w",))
    assert (AdmissionResponse.deny("no").code, AdmissionResponse.deny("no").reason) == (403, "Forbidden")
    assert AdmissionResponse.errored("broken").code == 500
    refused = AdmissionResponse.refused(Denied("no", warnings=["w"]), "v")
    assert (refused.code, refused.message, refused.warnings) == (403, "no", ("v", "w"))


@pytest.mark.parity("2.8/webhook-panic-recovered")
async def test_an_exception_is_answered_with_500_and_told() -> None:
    told: list[str] = []
    response = await answer(fail, asked(site()), on_panic=lambda request, error: told.append(f"{request.uid}: {error}"))
    assert response["allowed"] is False
    assert response["status"]["code"] == 500
    assert response["status"]["message"] == "the webhook failed: RuntimeError: a bug"
    assert told == ["uid-1: a bug"]


async def test_a_handler_that_takes_too_long_is_answered_for() -> None:
    async def forever(request: AdmissionRequest) -> AdmissionResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def gives_up(request: AdmissionRequest) -> AdmissionResponse:
        raise TimeoutError("of something that it asked")

    response = await answer(forever, asked(site()), timeout_s=0.01)
    assert (response["allowed"], response["status"]["code"]) == (False, 504)
    of_its_own = await answer(gives_up, asked(site()), timeout_s=60.0)
    assert of_its_own["status"]["message"] == "the webhook failed: TimeoutError: of something that it asked"


@pytest.mark.parity("2.8/webhook-defaulter", "2.8/webhook-defaulter-keeps-unknown")
async def test_a_defaulter_changes_what_it_sets_and_no_field_that_it_does_not_know() -> None:
    value = site(unknown={"deep": [1]}, ports=[{"number": 80, "nodePort": 1}])
    value["metadata"]["generateName"] = "a-"
    response = await answer(defaulting(Site), asked(value))
    assert json.loads(base64.b64decode(response["patch"])) == [{"op": "add", "path": "/spec/size", "value": 1}]
    unchanged = await answer(defaulting(Site), asked(site(size=3, unknown=1)))
    assert (unchanged["allowed"], "patch" in unchanged) == (True, False)


@pytest.mark.parity("2.8/webhook-defaulter-removes-unknown")
async def test_a_defaulter_removes_unknown_fields_where_it_is_told_to_but_none_of_metadata() -> None:
    value = site(unknown=1, ports=[{"number": 80, "nodePort": 1}])
    value["metadata"]["generateName"] = "a-"
    response = await answer(defaulting(Site, remove_unknown=True), asked(value))
    made = patched(value, response)
    assert made["spec"] == {"size": 1, "ports": [{"number": 80}]}
    assert made["metadata"] == value["metadata"]


@pytest.mark.parity("2.8/webhook-defaulter-delete")
async def test_a_defaulter_is_not_asked_of_a_deletion() -> None:
    assert (await answer(defaulting(Site), asked(None, site(), operation="DELETE")))["allowed"] is True


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def default(self, value: Site) -> Site:
        raise self.error

    def validate_create(self, value: Site) -> None:
        raise self.error


@pytest.mark.parity("2.8/webhook-defaulter-403", "2.8/webhook-defaulter-status", "2.8/webhook-validator-status")
@pytest.mark.parity("2.8/webhook-validator-403")
@pytest.mark.parametrize("make", [defaulting, validation])
@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [(Denied("no"), 403, "Forbidden"), (Conflict("no"), 409, "Conflict"), (BadRequest("no"), 400, "BadRequest")],
)
async def test_an_error_of_the_api_is_the_answer(make: Any, error: Exception, code: int, reason: str) -> None:
    response = await answer(make(Site, Refusing(error)), asked(site(size=1)))
    assert response["status"] == {"code": code, "reason": reason, "message": "no", "status": "Failure"}


@pytest.mark.parity("2.8/webhook-validator-create", "2.8/webhook-validator-update", "2.8/webhook-validator-delete")
@pytest.mark.parity("2.8/webhook-validator-warnings")
@pytest.mark.parametrize(
    ("operation", "new", "old", "outcome", "warnings"),
    [
        ("CREATE", site(size=2), None, 200, []),
        ("CREATE", site(size=1), None, 200, ["small"]),
        ("CREATE", site(size=0), None, 403, ["look at size"]),
        ("UPDATE", site(size=1), site(size=1), 200, []),
        ("UPDATE", site(size=2), site(size=1), 409, []),
        ("DELETE", None, site(size=1), 200, []),
        ("DELETE", None, site(size=9), 403, []),
        ("CONNECT", {"kind": "PodExecOptions"}, None, 200, []),
    ],
)
async def test_each_operation_has_its_method(
    operation: str, new: Any, old: Any, outcome: int, warnings: list[str]
) -> None:
    response = await answer(validation(Site), asked(new, old, operation=operation))
    assert (response["allowed"], response["status"]["code"]) == (outcome == 200, outcome)
    assert response.get("warnings", []) == warnings


async def test_an_operation_without_a_method_is_let_through_and_none_at_all_is_a_mistake() -> None:
    assert (await answer(validation(Site, Refusing(Denied("no"))), asked(None, site(), operation="DELETE")))["allowed"]
    with pytest.raises(ConfigError, match="has none of validate_create"):
        validation(Site, object())
    with pytest.raises(ConfigError, match="has no method default"):
        defaulting(Site, object())


@pytest.mark.parity("2.8/webhook-unknown-operation")
async def test_an_operation_that_the_api_does_not_have_is_refused() -> None:
    response = await answer(validation(Site), asked(site(), operation="EAT"))
    assert response["status"]["code"] == 400


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "~/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c/d", "~"]), inner),
    max_leaves=12,
)


@given(documents, documents)
def test_a_change_to_what_is_known_whole_is_carried_over_whole(before: Any, after: Any) -> None:
    made = carried_over(before, before, after)
    assert json.dumps(made, sort_keys=True) == json.dumps(after, sort_keys=True)


known = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2))


@given(known, known, st.dictionaries(st.sampled_from("xy"), documents))
def test_what_is_not_known_is_carried_over_as_it_is(before: Any, after: Any, unknown: Any) -> None:
    made = carried_over({**before, **unknown}, before, after)
    assert {name: value for name, value in made.items() if name in unknown} == unknown
    assert {name: value for name, value in made.items() if name not in unknown} == after


@given(documents, documents)
def test_a_patch_makes_the_one_of_the_other(old: Any, new: Any) -> None:
    made = jsonpatch.apply_patch({"root": old}, json_patch({"root": old}, {"root": new}))
    assert json.dumps(made, sort_keys=True) == json.dumps({"root": new}, sort_keys=True)
