"""Kubernetes Events."""

from controllerkit.events.machine import Event, EventMachine, Reference, Series, SpamFilter, Verdict, Write, verdict
from controllerkit.events.recorder import EventRecorder, EventSink

__all__ = [
    "Event",
    "EventMachine",
    "EventRecorder",
    "EventSink",
    "Reference",
    "Series",
    "SpamFilter",
    "Verdict",
    "Write",
    "verdict",
]
