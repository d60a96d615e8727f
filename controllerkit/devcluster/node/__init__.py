"""The node of a development cluster: Pods as sandboxed processes, unprivileged."""

from controllerkit.devcluster.node.node import Node

__all__ = ["Node"]
