"""The rows that reach a server, and the transforms below them."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.prometheus.config import http
from operators.prometheus.config.options import Options
from operators.prometheus.tables import OMIT, Assets, Scope, Table, Version
from operators.prometheus.tables.makes import naturally

ROWS = Table(
    http.BASIC_AUTH,
    http.AUTHORIZATION,
    http.OAUTH2,
    http.TLS,
    http.PROXY,
    http.SIGV4,
    http.FOLLOW_REDIRECTS,
    http.ENABLE_HTTP2,
)
SECRET = {
    "metadata": {"namespace": "shop", "name": "s"},
    "data": {key: base64.b64encode(key.encode()).decode() for key in ("user", "password", "id", "key")},
}
ASSETS = Assets.of([SECRET], [{"metadata": {"namespace": "shop", "name": "c"}, "data": {"ca": "PEM"}}])
NEWEST = Scope(Version.parse("3.13.2"), "shop", ASSETS)


def ref(key: str, name: str = "s") -> dict[str, str]:
    return {"name": name, "key": key}


def of(section: dict[str, Any], version: str = "3.13.2", **options: Any) -> dict[str, Any]:
    return ROWS.of(section, Scope(Version.parse(version), "shop", ASSETS, Options(**options)))


def test_credentials_are_written_and_what_cannot_be_read_is_empty_or_left_out() -> None:
    assert of({"basicAuth": {"username": ref("user"), "password": ref("nothing")}}) == {
        "basic_auth": {"username": "user", "password": ""}
    }
    assert of({"authorization": {"type": " Token ", "credentials": ref("key")}}) == {
        "authorization": {"type": "Token", "credentials": "key"}
    }
    assert of({"authorization": {"credentials": ref("nothing"), "credentialsFile": "/t"}}) == {
        "authorization": {"type": "Bearer", "credentials_file": "/t"}
    }
    assert of({"authorization": {}}, "2.25.2") == {}
    assert of({"oauth2": {"clientId": {"secret": ref("id")}, "clientSecret": ref("nothing"), "tokenUrl": "u"}}) == {}
    assert of({"sigv4": {"accessKey": ref("id"), "secretKey": ref("nothing"), "region": "r"}}) == {
        "sigv4": {"region": "r"}
    }


def test_oauth2_goes_through_a_proxy_where_the_version_knows_how() -> None:
    section = {
        "oauth2": {
            "clientId": {"configMap": ref("ca", "c")},
            "clientSecret": ref("key"),
            "tokenUrl": "http://t",
            "scopes": ["b", "a"],
            "endpointParams": {"p10": "x", "p9": "y"},
            "proxyUrl": "http://p",
            "noProxy": "n",
            "tlsConfig": {"serverName": "t"},
        }
    }
    old = {"client_id": "PEM", "client_secret": "key", "token_url": "http://t", "scopes": ["b", "a"]}
    assert of(section, "2.42.0") == {"oauth2": {**old, "endpoint_params": {"p9": "y", "p10": "x"}}}
    assert of(section)["oauth2"] == {
        **old,
        "endpoint_params": {"p9": "y", "p10": "x"},
        "proxy_url": "http://p",
        "no_proxy": "n",
        "tls_config": {"server_name": "t"},
    }
    assert list(of(section)["oauth2"]["endpoint_params"]) == ["p9", "p10"]


def test_certificates_are_files_or_stand_inline() -> None:
    section = {
        "tlsConfig": {
            "ca": {"configMap": ref("ca", "c")},
            "cert": {"secret": ref("nothing")},
            "keySecret": ref("key"),
            "maxVersion": "TLS13",
        }
    }
    certs = http.CERTIFICATES
    assert of(section, "2.40.0") == {
        "tls_config": {
            "ca_file": f"{certs}/1_shop_c_ca",
            "cert_file": f"{certs}/0_shop_s_nothing",
            "key_file": f"{certs}/0_shop_s_key",
        }
    }
    assert of(section, inline_tls=True) == {"tls_config": {"ca": "PEM", "key": "key", "max_version": "TLS13"}}
    assert of({"tlsConfig": {"ca": {}, "cert": {}}}) == {"tls_config": {}}


def test_headers_for_a_proxy_are_sorted_and_each_has_its_values() -> None:
    headers = {"proxyConnectHeader": {"b": [ref("id"), ref("nothing")], "a": []}, "proxyUrl": ""}
    assert list(of(headers)["proxy_connect_header"].items()) == [("a", []), ("b", ["id", ""])]
    assert of(headers, "2.42.0") == {"proxy_url": ""}


@pytest.mark.parametrize(
    ("own", "of_class", "merged"),
    [
        (None, None, None),
        (None, {"caFile": "/c"}, {"caFile": "/c"}),
        ({"serverName": "s"}, None, {"serverName": "s"}),
        (
            {"ca": {}, "certFile": "/mine"},
            {"caFile": "/c", "certFile": "/c"},
            {"ca": {}, "certFile": "/mine", "caFile": "/c"},
        ),
        ({"ca": {"secret": {"name": "s"}}, "keySecret": {"name": "s"}}, {"caFile": "/c", "keyFile": "/k"}, None),
    ],
)
def test_the_files_of_a_scrape_class_fill_what_is_missing(own: Any, of_class: Any, merged: Any) -> None:
    scrape_class = {} if of_class is None else {"tlsConfig": of_class}
    assert http.merged_tls(own, scrape_class) == (merged if merged is not None else own)


@pytest.mark.parametrize(
    ("own", "of_class", "merged"),
    [
        (None, {"type": "T"}, {"type": "T"}),
        ({"type": "T"}, {"credentialsFile": "/c"}, {"type": "T", "credentialsFile": "/c"}),
        ({"credentialsFile": "/mine"}, {"credentialsFile": "/c"}, {"credentialsFile": "/mine"}),
        ({"credentials": {"name": "s"}}, {"credentials": {"name": "c"}}, {"credentials": {"name": "s"}}),
    ],
)
def test_the_credentials_of_a_scrape_class_fill_what_is_missing(own: Any, of_class: Any, merged: Any) -> None:
    assert http.merged_authorization(own, {"authorization": of_class}) == merged


def test_keys_are_sorted_as_the_original_sorts_a_map() -> None:
    keys = ["", "-", "01", "1", "a", "a-b", "a.b", "a0", "a1b", "a1", "a2", "a02", "a10", "a10b", "aa", "b"]
    for seed in range(20):
        shuffled = random.Random(seed).sample(keys, len(keys))
        ordered = list(naturally(dict.fromkeys(shuffled, 1), NEWEST))
        assert ordered == [
            *("", "-", "1", "01", "a", "a-b", "a.b", "a0", "a1", "a1b", "a2", "a02", "a10", "a10b", "aa", "b")
        ]
    assert naturally({}, NEWEST) is OMIT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "key", "secret", "configMap", "ca", "clientId", "credentials"]), inner
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([row.source or row.key for row in ROWS.rows]), JSON))
def test_whatever_stands_in_a_section_makes_rows_and_no_failure(section: dict[str, Any]) -> None:
    of(section)
    of(section, "2.20.0", inline_tls=True)
