"""The cluster's own controllers, written with controllerkit."""

from controllerkit.devcluster.controllers.provisioner import Provisioner, Reclaimer, install_storage_class

__all__ = ["Provisioner", "Reclaimer", "install_storage_class"]
