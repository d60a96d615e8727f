"""PrometheusRules: rule files, checks, namespaces, packing, lint."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from operators.prometheus.rules import (
    Finding,
    Format,
    RuleFiles,
    check_rule,
    enforced,
    enforced_expression,
    file_name,
    lint,
    packed,
    rule_file,
    rule_files,
)
from operators.prometheus.rules.format import FILE_SIZE_MAX
from operators.prometheus.rules.templates import check_template
from operators.prometheus.tables import Rejected, Version
from tests.unit.prometheus.goldens import agrees, names

MANIFESTS = Path(__file__).resolve().parents[4] / "shared" / "manifests"
NEWEST = Format("prometheus", Version.parse("3.13.2"))


def shipped() -> list[dict[str, Any]]:
    """The rules of kube-prometheus."""
    files = sorted((MANIFESTS / "kube-prometheus").rglob("*prometheusRule.yaml"))
    return [yaml.safe_load(path.read_text()) for path in files]


def expressions() -> list[str]:
    return [str(rule["expr"]) for each in shipped() for group in each["spec"]["groups"] for rule in group["rules"]]


def spec(**rule: Any) -> dict[str, Any]:
    return {"groups": [{"name": "g", "rules": [{"alert": "a", "expr": "up == 0", **rule}]}]}


def recording(**rule: Any) -> dict[str, Any]:
    return {"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": "up", **rule}]}]}


@pytest.mark.parametrize("name", names("prometheusrule"))
def test_the_expected_rule_file_is_made_or_refused(name: str) -> None:
    agrees(name)


def test_the_rules_that_are_shipped_pass_and_read_as_they_were() -> None:
    assert len(shipped()) >= 8
    for each in shipped():
        assert yaml.safe_load(rule_file(each["spec"], NEWEST)) == each["spec"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"groups": [{"rules": []}]}, "spec.groups[0].name: has no name"),
        ({"groups": [{"name": "g"}, {"name": "g"}]}, "spec.groups[1].name: a group 'g' is there already"),
        ({"groups": [{"name": "g", "interval": "1 h"}]}, "spec.groups[0].interval: '1 h' is no duration"),
        ({"groups": [{"name": "g", "labels": {"a-b": "c"}}]}, "spec.groups[0].labels: 'a-b' is no name"),
        ({"groups": [{"name": "g", "partial_response_strategy": "no"}]}, "partial_response_strategy: 'no' is none of"),
        ({"groups": {}, "a": 1} | {"groups": "x"}, "spec.groups: is no list"),
        (spec(record="b"), "spec.groups[0].rules[0]: has both `record` and `alert`"),
        (spec(alert=""), "spec.groups[0].rules[0]: has no `record` and no `alert`"),
        (spec(expr=""), "rules[0].expr: is no expression"),
        (spec(expr="sum(up"), "rules[0].expr: is no PromQL: unclosed left parenthesis"),
        (spec(expr='up{a="b" or c="d"}'), "rules[0].expr: is no PromQL: `or`"),
        (spec(expr="(" * 70_000), "rules[0].expr: has 70000 characters, 65536 are allowed"),
        (spec(labels={"__name__": "x"}), "rules[0].labels: '__name__' is no name of a label"),
        (spec(labels={"a": 1}), "rules[0].labels[a]: is no text"),
        (spec(annotations={"a b": "x"}), "rules[0].annotations: 'a b' is no name of a label"),
        (spec(annotations={"a": "{{ $x }}"}), "rules[0].annotations[a]: is no template: the variable '$x'"),
        (spec(**{"for": "5"}), "rules[0].for: '5' is no duration"),
        (recording(record="a b"), "rules[0].record: 'a b' is no name of a metric"),
        (recording(record="a{b}"), "rules[0].record: 'a{b}' holds braces"),
        (recording(annotations={"a": "b"}), "rules[0].annotations: a recording rule has none"),
        (recording(keep_firing_for="1m"), "rules[0].keep_firing_for: a recording rule has none"),
    ],
)
def test_what_prometheus_refuses_is_told_with_its_path(value: dict[str, Any], told: str) -> None:
    with pytest.raises(Rejected) as refused:
        check_rule(value, utf8_names=False)
    assert told in str(refused.value)


def test_names_may_hold_any_character_where_the_version_reads_them() -> None:
    check_rule(recording(record="größe von", labels={"a b": "c"}), utf8_names=True)
    check_rule(spec(labels={"a": "b"}, annotations={"__name__": "x"}), utf8_names=False)


def test_a_file_that_no_config_map_holds_is_refused_with_its_size() -> None:
    with pytest.raises(Rejected, match=rf"has \d+ bytes, {FILE_SIZE_MAX} are allowed; split the object"):
        rule_file(spec(annotations={"a": "x" * FILE_SIZE_MAX}), NEWEST)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{{ $labels.instance }} of {{.Labels.job}} {{/* said */}} {{- .Value | humanize -}} {{ $value }}",
        "{{ with printf \"up{job='%s'}\" .Labels.job | query }}{{ . | first | value }}{{ else }}x{{ end }}",
        '{{ range $i, $e := query "up" }}{{ $e.Labels.a }}{{ $i }}{{ break }}{{ end }}',
        "{{ if and (eq $value 1.0) (gt $value 2) }}a{{ else if .Labels }}b{{ else }}c{{ end }}",
        '{{ define "t" }}{{ .Arg1 }}{{ end }}{{ template "t" (args $labels.a 2) }}{{ $x := 1 }}{{ $x = 2 }}',
        "{{ `raw }}` }} } {",
        "{{ $labels.a }}{{ (query `up` | first).Value }}",
    ],
)
def test_a_template_is_accepted(text: str) -> None:
    check_template(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ .Labels", "not closed"),
        ("{{}}", "empty"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ if }}x{{ end }}", "a value is missing"),
        ("{{ range .a }}", "{{range}} has no {{end}}"),
        ("{{ foo .x }}", "the function 'foo' is not defined"),
        ("{{ $nope }}", "the variable '$nope' is not defined"),
        ("{{ if .a }}{{ $x := 1 }}{{ end }}{{ $x }}", "the variable '$x' is not defined"),
        ("{{ .a | }}", "a value is missing"),
        ("{{ (query `up` }}", "a left parenthesis is not closed"),
        ("{{ .a ) }}", "unexpected ')'"),
        ('{{ "a" "b }}', "not closed"),
        ("{{ template t }}", "has no name in quotes"),
        ("{{ .a & .b }}", "unexpected '&'"),
        ("{{ break }}", "'break' is not defined"),
        ("{{ end x }}", "unexpected {{end}}"),
    ],
)
def test_a_template_is_refused_for_a_reason(text: str, told: str) -> None:
    with pytest.raises(Rejected) as refused:
        check_template(text)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "bound"),
    [
        ("up", 'up{ns="a"}'),
        ('{__name__="up"}', '{__name__="up",ns="a"}'),
        ('up{ns=~"b|c", x="y"}', 'up{x="y",ns="a"}'),
        ("rate(x[5m] offset 1m) # said", 'rate(x{ns="a"}[5m] offset 1m) # said'),
        (
            "sum by (job, up) (x) / on(up) group_left(job) y",
            'sum by (job, up) (x{ns="a"}) / on(up) group_left(job) y{ns="a"}',
        ),
        ("sum(x) without (up)", 'sum(x{ns="a"}) without (up)'),
        ("x @ end() > bool 1e-3 and inf", None),
        ("max_over_time(x[1h:5m])", 'max_over_time(x{ns="a"}[1h:5m])'),
        ('label_replace(x, "up", "$1", "job", "(.*)")', 'label_replace(x{ns="a"}, "up", "$1", "job", "(.*)")'),
        ('{"a metric", "b.c"="d"}', '{"a metric","b.c"="d",ns="a"}'),
        ("time() - 5", "time() - 5"),
        ("a:b:sum unless up{}", 'a:b:sum{ns="a"} unless up{ns="a"}'),
    ],
)
def test_every_selector_gets_the_matcher_and_the_rest_stays(expression: str, bound: str | None) -> None:
    if bound is None:
        with pytest.raises(Rejected, match="is no PromQL"):
            enforced_expression(expression, "ns", "a")
    else:
        assert enforced_expression(expression, "ns", "a") == bound


def test_every_expression_that_is_shipped_can_be_bound() -> None:
    assert len(expressions()) > 100
    for each in expressions():
        bound = enforced_expression(each, "namespace", 'a"b\\')
        assert promql_parser.parse(bound)
        assert enforced_expression(bound, "namespace", 'a"b\\') == bound


def test_a_rule_is_bound_in_what_it_reads_and_in_what_it_makes() -> None:
    value = spec(labels={"ns": "other", "x": "y"})
    bound = enforced(value, "ns", "shop")
    assert bound["groups"][0]["rules"][0] == {
        "alert": "a",
        "expr": 'up{ns="shop"} == 0',
        "labels": {"ns": "shop", "x": "y"},
    }
    assert value == spec(labels={"ns": "other", "x": "y"}), "what was given stays"
    with pytest.raises(Rejected, match=r"^spec\.groups\[0\]\.rules\[0\]\.expr: is no PromQL"):
        enforced(spec(expr="up ="), "ns", "a")


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, FILE_SIZE_MAX), max_size=12))
def test_all_files_are_packed_once_and_no_map_is_too_large(sizes: dict[str, int]) -> None:
    files = {name: "x" * size for name, size in sizes.items()}
    maps = packed(files)
    assert {name: text for each in maps for name, text in each.items()} == files
    assert sum(len(each) for each in maps) == len(files)
    assert all(sum(map(len, each.values())) <= FILE_SIZE_MAX for each in maps)
    assert packed(dict(reversed(files.items()))) == maps


def test_the_file_of_a_rule_is_named_by_its_object() -> None:
    assert file_name({"metadata": {"namespace": "a", "name": "b", "uid": "c-d"}}) == "a-b-c-d.yaml"


def rule(name: str, namespace: str = "here", labels: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": "u", "labels": labels or {}}
    return {"kind": "PrometheusRule", "metadata": metadata, "spec": given or recording()}


def test_rules_are_selected_and_a_bad_one_spoils_no_other() -> None:
    rules = [
        rule("b"),
        rule("a", labels={"team": "x"}),
        rule("far", "there"),
        rule("bad", "there", **spec(expr="(")),
        rule("new", groups=[{"name": "g", "labels": {"a": "b"}}]),
    ]
    namespaces = {"here": {"env": "prod"}, "there": {"env": "prod"}}

    def chosen(kind: str = "Prometheus", **given: Any) -> RuleFiles:
        return rule_files({"kind": kind, "metadata": {"namespace": "here"}, "spec": given}, rules, namespaces)

    assert chosen().files == {}, "no selector selects nothing"
    assert list(chosen(ruleSelector={}).files) == ["here-a-u.yaml", "here-b-u.yaml", "here-new-u.yaml"]
    assert list(chosen(ruleSelector={"matchLabels": {"team": "x"}}).files) == ["here-a-u.yaml"]
    everywhere = chosen(ruleSelector={}, ruleNamespaceSelector={"matchLabels": {"env": "prod"}}, version="v2.55.0")
    assert "there-far-u.yaml" in everywhere.files
    assert list(everywhere.rejected) == ["PrometheusRule there/bad"]
    assert str(everywhere.rejected["PrometheusRule there/bad"]).startswith(
        "PrometheusRule there/bad spec.groups[0].rules[0].expr: is no PromQL"
    )
    assert everywhere.dropped == {"PrometheusRule here/new": ["labels is left out: it needs 3.0.0, this is 2.55.0"]}
    with pytest.raises(Rejected, match=r"^spec\.ruleSelector\.matchExpressions: 'Like' is no operator"):
        chosen(ruleSelector={"matchExpressions": [{"key": "a", "operator": "Like"}]})


def test_rules_are_bound_to_their_namespace_but_for_those_that_are_excluded() -> None:
    rules = [rule("a"), rule("free"), rule("old"), rule("any", "there")]
    enforcing = {
        "ruleSelector": {},
        "ruleNamespaceSelector": {},
        "enforcedNamespaceLabel": "ns",
        "excludedFromEnforcement": [
            {"resource": "prometheusrules", "namespace": "here", "name": "free"},
            {"group": "monitoring.coreos.com", "resource": "prometheusrules", "namespace": "there"},
        ],
        "prometheusRulesExcludedFromEnforce": [{"ruleNamespace": "here", "ruleName": "old"}],
    }
    files = rule_files({"kind": "Prometheus", "metadata": {"namespace": "here"}, "spec": enforcing}, rules, {}).files
    assert {name for name, text in files.items() if 'up{ns="here"}' in text} == {"here-a-u.yaml"}
    assert len(files) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "alert": st.text(max_size=3) | JSON,
        "record": st.text(max_size=3) | JSON,
        "expr": st.sampled_from(expressions()[:20]) | st.text(max_size=12) | JSON,
        "for": st.sampled_from(["", "5m", "1"]) | JSON,
        "labels": JSON,
        "annotations": st.dictionaries(st.text(max_size=3), st.text(alphabet="{}. $a|()\"'", max_size=12)) | JSON,
    },
)
GROUPS = st.fixed_dictionaries(
    {}, optional={"name": st.text(max_size=2) | JSON, "rules": st.lists(RULES) | JSON, "limit": JSON}
)


@given(st.fixed_dictionaries({}, optional={"groups": st.lists(GROUPS, max_size=3) | JSON}))
def test_whatever_is_given_is_written_or_refused(value: dict[str, Any]) -> None:
    with suppress(Rejected):
        assert isinstance(yaml.safe_load(rule_file(value, NEWEST)), dict)
        enforced(value, "ns", "a")


def test_what_is_seldom_meant_is_found() -> None:
    found = lint(
        {
            "groups": [
                {
                    "name": "g",
                    "rules": [
                        {"alert": "a", "expr": 'rate(temperature[30s]) > 0 and absent(sum(up{job=~"x"}))'},
                        {
                            "alert": "b",
                            "expr": "1",
                            "for": "1m",
                            "labels": {"severity": "x"},
                            "annotations": {"summary": "s"},
                        },
                        {"record": "c", "expr": "rate(http_requests_total[5m])"},
                        {"record": "d", "expr": "("},
                    ],
                }
            ]
        },
        interval=timedelta(seconds=30),
    )
    assert [(each.field.removeprefix("spec.groups[0]."), each.check) for each in found] == [
        ("rules[0].for", "no-for"),
        ("rules[0].labels", "no-severity"),
        ("rules[0].annotations", "no-summary"),
        ("rules[0].expr", "rate-of-gauge"),
        ("rules[0].expr", "absent-of-aggregate"),
        ("rules[0].expr", "plain-regex"),
        ("rules[0].expr", "short-range"),
        ("rules[1].expr", "constant"),
    ]
    assert all(isinstance(each, Finding) and each.text for each in found)
