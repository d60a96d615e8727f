"""Installs the system packages the development clusters need, where that is possible and needed.

Run by ``make``: bubblewrap for Pods as processes, with ``--cluster`` containerd, runc, the CNI plugins and iptables
for the full cluster, and with ``--prometheus`` the programs that judge configurations of Prometheus 2. It installs as
root on a Debian-like system; elsewhere it only says what is missing. Without root the options ask for nothing more:
the full cluster needs root anyway, and the tests with programs that are not there are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SANDBOX = {"bwrap": "bubblewrap"}
CLUSTER = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "mount": "mount",
    "ip": "iproute2",
    "nsenter": "util-linux",
}

PROMETHEUS = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian asks whether a service may be started by its installation (invoke-rc.d(8))."""


def missing(programs: dict[str, str]) -> list[str]:
    """The packages of those programs that are not there."""
    return sorted({package for program, package in programs.items() if not present(program)})


def present(program: str) -> bool:
    """Whether a program is on PATH, in an administrator's folder, or at its absolute path."""
    if program.startswith("/"):
        return Path(program).exists()
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def main() -> int:
    """Installs or tells; fails only where Pods could not run at all."""
    root = os.geteuid() == 0
    asked = {"--cluster": CLUSTER, "--prometheus": PROMETHEUS}
    more = [
        package for flag, programs in asked.items() if root and flag in sys.argv[1:] for package in missing(programs)
    ]
    wanted = missing(SANDBOX) + more
    if not wanted:
        return 0
    if not root or shutil.which("apt-get") is None:
        print(f"missing: {' '.join(wanted)}; install them with the system's package manager", file=sys.stderr)
        return 2
    print(f"installing {' '.join(wanted)}", file=sys.stderr)
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        return install(wanted)
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def install(wanted: list[str]) -> int:
    """By apt-get; no service is started while `POLICY` forbids it."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted],
    ):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{' '.join(command)} failed with status {done.returncode}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
