"""A certificate authority for one cluster, and the files that carry what it issues.

Keys are ECDSA P-256: made in a millisecond, accepted by every component, for ServiceAccount tokens too.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Identity", "kubeconfig", "service_account_keys", "write_private"]

LIFETIME: Final = timedelta(days=365)
# Machines' clocks differ a little; a certificate that begins exactly now is refused by one that lags.
CLOCK_SKEW: Final = timedelta(minutes=5)


def write_private(path: Path, data: bytes) -> Path:
    """Writes a file of mode 0600 that at no moment anyone else can read; replaces what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    partial.rename(path)
    return path


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """``name.crt`` and ``name.key`` (0600) in ``folder``."""
        certificate = folder / f"{name}.crt"
        key = write_private(folder / f"{name}.key", self.key)
        certificate.write_bytes(self.certificate)
        return certificate, key


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


class Authority:
    """A certificate authority.

    Attributes:
        certificate: its own certificate, PEM; what the other side needs to verify what it issued.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key
        self.certificate: bytes = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new one that trusts itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    def issue(
        self,
        common_name: str,
        *,
        organizations: Sequence[str] = (),
        names: Sequence[str] = (),
        addresses: Sequence[str] = (),
        client: bool = True,
    ) -> Identity:
        """A certificate for a client, a server (``names`` or ``addresses`` given), or both.

        To Kubernetes the common name is the user and the organizations are the groups.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        identifier = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        server = bool(names or addresses)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] * client + [ExtendedKeyUsageOID.SERVER_AUTH] * server
        builder = (
            _builder(subject, self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )
        if server:
            alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
            alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Identity(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=_pem_of_key(key))

    def save(self, folder: Path, name: str = "ca") -> Path:
        """Writes ``name.crt`` and ``name.key`` (0600); returns the path of the certificate."""
        return Identity(certificate=self.certificate, key=_pem_of_key(self._key)).write(folder, name)[0]

    @classmethod
    def load(cls, folder: Path, name: str = "ca") -> Authority | None:
        """The one that ``save`` wrote; None where there is none whole, or less than a week is left of it."""
        certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
        if not (certificate_file.is_file() and key_file.is_file()):
            return None
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or left < timedelta(days=7):
            return None
        return cls(certificate, key)


def service_account_keys(folder: Path) -> tuple[Path, Path]:
    """The pair that signs and checks ServiceAccount tokens, made at the first call; tokens outlive a restart."""
    private, public = folder / "sa.key", folder / "sa.pub"
    if not (private.is_file() and public.is_file()):
        key = ec.generate_private_key(ec.SECP256R1())
        public.parent.mkdir(parents=True, exist_ok=True)
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        write_private(private, _pem_of_key(key))
    return private, public


def kubeconfig(path: Path, *, server: str, authority: bytes, identity: Identity, cluster: str, user: str) -> Path:
    """A kubeconfig of mode 0600 that holds everything itself, so that it can be copied."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": inline(authority)}}],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": inline(identity.certificate),
                    "client-key-data": inline(identity.key),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
    }
    # JSON is YAML too, and needs no quoting rules.
    return write_private(path, json.dumps(content, indent=2).encode())
