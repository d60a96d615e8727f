"""The Pods' network: Debian's ``ptp`` plugin, one veth pair per Pod, and routes on the node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from controllerkit.devcluster.full.layout import Addresses

__all__ = ["PLUGINS", "PLUGIN_FOLDERS", "network_config"]

PLUGIN_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where Debian puts them, and where everybody else does."""

PLUGINS: Final = ("ptp", "portmap", "host-local", "loopback")


def network_config(addresses: Addresses) -> str:
    """The network list that containerd hands to the plugins, as JSON.

    Point-to-point links and not a bridge: packets between two Pods then always pass the node's routing, where
    kube-proxy's rules rewrite Service addresses in both directions. On a bridge the answer would go straight back,
    from an address the asker never spoke to.
    """
    lease = {"type": "host-local", "ranges": [[{"subnet": addresses.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {"type": "ptp", "mtu": 1500, "ipam": lease},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )
