"""``make smoke``: the same stack without a dashboard, checked from outside."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from provisioning.local import servers
from provisioning.local.checks import Checks, Outcome, expected, wait_for
from provisioning.local.run import Run, default_folder, find_or_install, guarded


def outcomes_table(outcomes: list[Outcome]) -> Table:
    """Checks with ticks and crosses."""
    table = Table(title="Smoke", title_justify="left")
    table.add_column("")
    table.add_column("check")
    table.add_column("found", overflow="fold")
    for outcome in outcomes:
        table.add_row("[green]✓[/]" if outcome.good else "[red]✗[/]", outcome.check, outcome.found)
    return table


def smoke(console: Console, *, scenario: str) -> int:
    """Run the stack, check it, stop it; returns the exit status."""
    folder = default_folder().with_name("smoke")
    run = Run(folder, console)

    def action() -> int:
        run.refuse_a_second()
        found = find_or_install(console)
        absent = [s.name for s in servers.SERVERS if s.name not in found and not s.optional]
        if absent:
            console.print(f"[red]✗[/] Cannot check without {', '.join(absent)}.")
            return 1
        with run.stack(found, scenario=scenario, usual_ports=False) as stack:
            checks = Checks(stack, expected(stack))
            outcomes = []
            for check, limit in checks.everything():
                outcome = wait_for(check, limit, run.pause)
                stack.supervisor.check()
                mark = "[green]✓[/]" if outcome.good else "[red]✗[/]"
                console.print(
                    f"{mark} {outcome.check}: {outcome.found}", highlight=False, soft_wrap=True
                )
                outcomes.append(outcome)
        console.print(outcomes_table(outcomes))
        return 0 if all(outcome.good for outcome in outcomes) else 1

    with run.signals():
        status = guarded(console, folder, action)
        if run.stop_asked.is_set():
            console.print("Interrupted before all was checked.")
            return 130
        return status
