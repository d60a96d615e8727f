"""Certificates and keys, read before Prometheus does. Errors never hold what was read."""

from __future__ import annotations

from operators.prometheus.tables.rejected import Rejected

__all__ = ["check_authority", "check_pair"]


def check_authority(pem: str) -> None:
    """Raises `Rejected` unless the text begins with a certificate in PEM."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise Rejected("what is there is no certificate in PEM") from None


def check_pair(certificate: str, key: str) -> None:
    """Raises `Rejected` unless both are in PEM, the key is not encrypted, and they belong together."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    encoding = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key().public_bytes(*encoding)
    except (ValueError, UnsupportedAlgorithm):
        raise Rejected("what is there is no certificate in PEM", "cert") from None
    try:
        own = load_pem_private_key(key.encode(), password=None).public_key().public_bytes(*encoding)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Rejected("what is there is no private key in PEM, or an encrypted one", "keySecret") from None
    if public != own:
        raise Rejected("the key is not that of the certificate", "keySecret")
