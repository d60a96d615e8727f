"""What the generated configurations are made with: versions, tables of fields, assets, and the YAML they end as."""

from operators.prometheus.tables.assets import Assets
from operators.prometheus.tables.emit import Flow, Text, to_yaml
from operators.prometheus.tables.rejected import Rejected
from operators.prometheus.tables.table import OMIT, Field, Inline, Scope, Table
from operators.prometheus.tables.versions import Version

__all__ = ["OMIT", "Assets", "Field", "Flow", "Inline", "Rejected", "Scope", "Table", "Text", "Version", "to_yaml"]
