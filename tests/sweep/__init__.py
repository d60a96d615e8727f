"""Reconcilers swept by seeds, and mistakes planted in them that the seeds must find: ``python -m tests.sweep``."""
