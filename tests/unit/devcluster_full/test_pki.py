"""Certificates: that what the authority issues is accepted by a real TLS handshake, and files are private."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from controllerkit.devcluster import pki
from controllerkit.devcluster.pki import Authority, Identity


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Both ends in memory; returns the server's."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = client.wrap_bio(to_client, to_server, server_hostname=name)
    right = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for end in (left, right):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return right


def contexts(
    folder: Path, authority: Authority, served: Identity, shown: Identity
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ca = authority.save(folder)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(*served.write(folder, "server"))
    client = ssl.create_default_context(cafile=str(ca))
    client.load_cert_chain(*shown.write(folder, "client"))
    return server, client


def test_both_sides_of_a_handshake_accept_what_one_authority_issued(tmp_path: Path) -> None:
    authority = Authority.create("test")
    served = authority.issue("api", names=["kubernetes.default.svc"], addresses=["10.0.0.1"], client=False)
    shown = authority.issue("system:node:node-a", organizations=["system:nodes"])
    for name in ("kubernetes.default.svc", "10.0.0.1"):
        end = handshake(*contexts(tmp_path, authority, served, shown), name)
        subject = {key: value for ((key, value),) in end.getpeercert()["subject"]}  # type: ignore[index, misc]
        assert subject == {"organizationName": "system:nodes", "commonName": "system:node:node-a"}


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    authority, other = Authority.create("test"), Authority.create("test")
    served = authority.issue("api", names=["api"], client=False)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(*contexts(tmp_path, authority, served, authority.issue("a")), "other")
    with pytest.raises(ssl.SSLError):
        handshake(*contexts(tmp_path, authority, served, other.issue("a")), "api")


def test_a_client_certificate_serves_nobody_and_the_reverse() -> None:
    authority = Authority.create("test")
    for identity, expected in (
        (authority.issue("a"), ["clientAuth"]),
        (authority.issue("a", names=["a"], client=False), ["serverAuth"]),
        (authority.issue("a", names=["a"]), ["clientAuth", "serverAuth"]),
    ):
        certificate = x509.load_pem_x509_certificate(identity.certificate)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [use._name for use in usage] == expected


def test_an_authority_is_kept_unless_its_end_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Authority.load(tmp_path) is None
    authority = Authority.create("test")
    authority.save(tmp_path)
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    loaded = Authority.load(tmp_path)
    assert loaded is not None
    assert loaded.certificate == authority.certificate
    monkeypatch.setattr(pki, "LIFETIME", timedelta(days=3))
    Authority.create("test").save(tmp_path)
    assert Authority.load(tmp_path) is None


def test_the_token_keys_are_made_once(tmp_path: Path) -> None:
    private, public = pki.service_account_keys(tmp_path)
    before = private.read_bytes(), public.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    pki.service_account_keys(tmp_path)
    assert (private.read_bytes(), public.read_bytes()) == before


def test_a_kubeconfig_is_private_and_holds_everything_itself(tmp_path: Path) -> None:
    authority = Authority.create("test")
    identity = authority.issue("admin")
    path = pki.kubeconfig(
        tmp_path / "deep" / "kubeconfig",
        server="https://10.98.0.1:6443",
        authority=authority.certificate,
        identity=identity,
        cluster="c",
        user="admin",
    )
    assert path.stat().st_mode & 0o777 == 0o600
    content = json.loads(path.read_text())
    assert base64.b64decode(content["users"][0]["user"]["client-key-data"]) == identity.key
    assert base64.b64decode(content["clusters"][0]["cluster"]["certificate-authority-data"]) == authority.certificate


def test_a_private_file_replaces_one_that_was_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    pki.write_private(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"new"
