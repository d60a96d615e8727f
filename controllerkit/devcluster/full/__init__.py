"""The full real cluster: containers under a real kubelet, for root on Linux."""

from controllerkit.devcluster.full.cluster import Addon, FullCluster, preflight
from controllerkit.devcluster.full.leftovers import sweep
from controllerkit.devcluster.full.oci import Image, build_image, write_archive

__all__ = ["Addon", "FullCluster", "Image", "build_image", "preflight", "sweep", "write_archive"]
