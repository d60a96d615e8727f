"""The configuration of Prometheus, section by section: tables of fields, and the checks of what they are given.

A file is put together by `server` or `agent`, of the sections that are the same for all jobs (`globals`, `alerting`,
`remote`, `otlp`, `tracing`) and of jobs (`monitors`, `probes`, `scrapeconfig`), whose rows they share (`jobs`, `http`,
`relabel`, `limits`, `sharding`, `kubernetes_sd`, `discovery`). `configuration` goes the whole way: it selects objects
(`selection`), checks them (`checks`, `references`) and keeps the jobs of those that have not changed (`fragments`).
"""

from operators.prometheus.config.configuration import Configuration, configuration
from operators.prometheus.config.fragments import Fragments
from operators.prometheus.config.options import Options
from operators.prometheus.config.selection import is_unmanaged
from operators.prometheus.config.server import Additional

__all__ = ["Additional", "Configuration", "Fragments", "Options", "configuration", "is_unmanaged"]
