"""The cluster's own controllers, written with controllerkit."""

from controllerkit.controller import Reconciler
from controllerkit.devcluster.controllers.binder import ClaimBinder, VolumePhases
from controllerkit.devcluster.controllers.endpoints import EndpointsReconciler
from controllerkit.devcluster.controllers.provisioner import Provisioner, Reclaimer, install_storage_class
from controllerkit.devcluster.controllers.scheduler import Scheduler
from controllerkit.objects import Object

__all__ = [
    "ClaimBinder",
    "EndpointsReconciler",
    "Provisioner",
    "Reclaimer",
    "Scheduler",
    "VolumePhases",
    "embedded_controllers",
    "install_storage_class",
]


def embedded_controllers() -> list[Reconciler[Object]]:
    """What kube-controller-manager and kube-scheduler do on the other clusters, as far as it is done here."""
    return [Scheduler(), ClaimBinder(), VolumePhases(), EndpointsReconciler()]
