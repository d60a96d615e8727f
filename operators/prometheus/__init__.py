"""The Prometheus operator: Prometheus, Alertmanager and Thanos Ruler made of custom resources.

Modules, higher imports lower: ``__main__`` > ``cases`` | ``changes`` > ``render`` > ``workload`` > ``config`` |
``alertmanager`` | ``rules`` > ``tables`` | ``api``.
"""

from operators.prometheus.cases import render_case
from operators.prometheus.tables import Rejected

__all__ = ["Rejected", "render_case"]
