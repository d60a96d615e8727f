"""Certificates and their keys: read, and signed. ECDSA P-256; the time is given."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise ImportError("webhooks need the extra: pip install 'controllerkit[webhook]'") from error

__all__ = ["Pair", "issue_authority", "issue_serving"]

CLOCK_SKEW: Final = timedelta(minutes=5)
"""Machines' clocks differ: a certificate that begins exactly now is refused by one that lags."""

_BLOCK: Final = re.compile(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def several(cls, certificates: bytes, keys: bytes) -> list[Pair]:
        """The pairs of two files that hold as many blocks each, in order.

        Raises:
            ValueError: they do not belong together, or are no certificates and keys.
        """
        pairs = [cls(*both) for both in zip(_BLOCK.findall(certificates), _BLOCK.findall(keys), strict=True)]
        for pair in pairs:
            if pair.private_key.public_key() != pair.parsed.public_key():
                raise ValueError("a certificate and a key do not belong together")
        return pairs

    @cached_property
    def parsed(self) -> x509.Certificate:
        """Parsed."""
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """Parsed. Raises ValueError where it is of another type."""
        key = serialization.load_pem_private_key(self.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not one of ECDSA")
        return key

    @property
    def begins(self) -> datetime:
        """When it was made: its validity begins a little earlier."""
        return self.parsed.not_valid_before_utc + CLOCK_SKEW

    @property
    def ends(self) -> datetime:
        """When it is valid no more."""
        return self.parsed.not_valid_after_utc

    def is_valid(self, now: datetime) -> bool:
        """Whether a peer accepts it; by a clock that lags CLOCK_SKEW behind its maker's too."""
        return self.parsed.not_valid_before_utc <= now < self.ends

    def is_for(self, names: Sequence[str]) -> bool:
        """Whether it names each of them."""
        return set(self.names).issuperset(names)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names and IP addresses that it is for."""
        try:
            found = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ()
        return (*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress)))

    def is_by(self, authority: Pair) -> bool:
        """Whether ``authority`` signed it."""
        try:
            self.parsed.verify_directly_issued_by(authority.parsed)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def issue_authority(now: datetime, life: timedelta) -> Pair:
    """A new authority, of a name of its own, that trusts itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    # verifiers look an issuer up by its name: two authorities of one name in a bundle would be taken for each other
    subject = _name(f"controllerkit webhooks {x509.random_serial_number():x}"[:64])
    builder = (
        _builder(subject, subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue_serving(authority: Pair, names: Sequence[str], now: datetime, life: timedelta) -> Pair:
    """A certificate for a server that is called by ``names``, DNS names or IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = authority.parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        _builder(_name(names[0][:64]), authority.parsed.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issued_by, critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
    )
    return _pair(builder.sign(authority.private_key, hashes.SHA256()), key)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(encoding), private)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, authority: bool) -> x509.KeyUsage:
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


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
