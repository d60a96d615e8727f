"""The one error of the pure core."""

from __future__ import annotations

from dataclasses import dataclass

from controllerkit.errors import ControllerkitError

__all__ = ["Rejected"]


@dataclass(eq=False)
class Rejected(ControllerkitError):
    """An object cannot become configuration; what else is selected can.

    Attributes:
        subject: the object, as ``ServiceMonitor shop/web``; "" where the caller fills it in.
        field: its path, as ``spec.endpoints[0].tlsConfig.ca``; "" for the object as a whole.
        rule: what is wrong and what would be right. Holds names and keys of Secrets, never what is in them.
    """

    rule: str
    field: str = ""
    subject: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.subject, self.field) if part)
        return f"{where}: {self.rule}" if where else self.rule

    def at(self, field: str) -> Rejected:
        """The same, seen from further out: ``Rejected("r", "ca").at("tlsConfig")`` is of ``tlsConfig.ca``."""
        joined = self.field if not field else field + ("" if self.field[:1] in ("", "[") else ".") + self.field
        return Rejected(self.rule, joined, self.subject)

    def of(self, subject: str) -> Rejected:
        """The same, of that object unless it has one."""
        return Rejected(self.rule, self.field, self.subject or subject)
