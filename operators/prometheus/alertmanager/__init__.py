"""Alertmanager's configuration: a base, and the AlertmanagerConfigs that are selected for it."""
