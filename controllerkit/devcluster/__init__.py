"""A Kubernetes cluster on one machine: embedded, with the real control plane, or whole."""

from controllerkit.devcluster.beds import Bed, BedKind, open_bed
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.images import ImageTable

__all__ = ["Bed", "BedKind", "BinaryCache", "ImageTable", "open_bed"]
