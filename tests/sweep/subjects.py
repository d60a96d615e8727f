"""All that is swept."""

from __future__ import annotations

from typing import Final

from tests.sweep.bucket import BUCKET
from tests.sweep.etcd import ETCD, EtcdSubject
from tests.sweep.fleet import FLEET, FLEET_ROLLED
from tests.sweep.subject import Subject
from tests.sweep.website import WEBSITE

SUBJECTS: Final[tuple[Subject | EtcdSubject, ...]] = (WEBSITE, BUCKET, FLEET, FLEET_ROLLED, ETCD)
