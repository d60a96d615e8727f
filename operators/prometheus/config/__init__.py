"""The configuration of Prometheus, section by section: tables of fields, and the checks of what they are given."""
