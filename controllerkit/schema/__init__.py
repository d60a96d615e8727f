"""Types: what a user declares, and what the API calls it."""

from controllerkit.schema.resource import ApiModel, Metadata, Resource

__all__ = ["ApiModel", "Metadata", "Resource"]
