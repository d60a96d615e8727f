"""Kubernetes Events."""

from controllerkit.events.recorder import EventRecorder

__all__ = ["EventRecorder"]
