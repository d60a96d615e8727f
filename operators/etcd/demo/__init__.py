"""The demonstration: a real cluster is created, wounded, resized and healed while a writer writes."""
