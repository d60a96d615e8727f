"""``controllerkit``: the command line.

Exit status: 0 done, 1 it failed, 2 it cannot run here or was called wrongly (one sentence says what to do),
130 interrupted.
"""

from __future__ import annotations

import asyncio
import sys

import typer

from controllerkit.cli import dev
from controllerkit.cli.crds import CRDS_HELP, crds
from controllerkit.cli.rbac import RBAC_HELP, rbac
from controllerkit.cli.record import RECORD_HELP, REPLAY_HELP, record, replay
from controllerkit.cli.run import RUN_HELP, run
from controllerkit.cli.simulate import SIMULATE_HELP, simulate
from controllerkit.cli.top import TOP_HELP, top
from controllerkit.errors import ConfigError, ControllerkitError, DevClusterError

app = typer.Typer(
    name="controllerkit",
    help="Kubernetes controllers in Python: run a development cluster, and the operators on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dev.app, name="dev")
app.command("run", help=RUN_HELP)(run)
app.command("crds", help=CRDS_HELP)(crds)
app.command("rbac", help=RBAC_HELP)(rbac)
app.command("record", help=RECORD_HELP)(record)
app.command("replay", help=REPLAY_HELP)(replay)
app.command("simulate", help=SIMULATE_HELP)(simulate)
app.command("top", help=TOP_HELP)(top)


def main() -> None:
    """The entry point: runs a command and turns errors into a sentence and a status."""
    try:
        app()
    except (DevClusterError, ConfigError) as error:
        print(f"controllerkit: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ControllerkitError as error:
        print(f"controllerkit: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
