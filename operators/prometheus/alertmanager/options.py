"""What the generator of Alertmanager's configuration is told beside the objects."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How the file is made.

    Attributes:
        certificates: where certificates and keys are mounted.
        templates: where the templates that the Alertmanager names are mounted.
        compat: what prometheus-operator does is done also where it is a mistake, and one bad object fails the whole.
    """

    certificates: str = "/etc/alertmanager/certs"
    templates: str = "/etc/alertmanager/templates"
    compat: bool = False
