"""A plan as a table: what a training would take, and what holds it up."""

import math
from typing import Any

from rich.table import Table

from cornet.terminal import Terminal

__all__ = ["duration", "print_plan"]

WORDS = {
    "compute": "the network itself",
    "gradients": "averaging gradients among devices",
    "decode": "decoding images: more cores, or a prepared copy (cornet prepare)",
    "storage": "reading images: faster storage, or a prepared copy (cornet prepare)",
}


def print_plan(plan: Any, console: Terminal | None = None) -> None:
    """Print a `cornet.training.plan.Plan`."""
    console = console or Terminal()
    measured, hardware = plan.measured, plan.hardware
    table = Table(title=f"Plan: {plan.name}", title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    machines = "" if hardware.machines == 1 else f" in {hardware.machines} machines"
    table.add_row("devices", f"{hardware.devices:,}{machines}, {hardware.cores} cores each")
    table.add_row("images, training / validation", f"{plan.train_images:,} / {plan.val_images:,}")
    table.add_row("batch, a device / in all", f"{measured.batch:,} / {measured.batch * hardware.devices:,}")
    table.add_row("images per second", f"{plan.images_per_second:,.0f}", style="bold")
    for name, seconds in plan.parts.items():
        if seconds:
            table.add_row(f"  a step's {name}", f"{1000 * seconds:,.0f} ms")
    if not math.isnan(measured.memory):
        table.add_row("memory, a device", f"{measured.memory / 1e9:,.1f} GB")
    table.add_row("training, an epoch", duration(plan.training))
    table.add_row("validation", duration(plan.validation))
    if plan.brain:
        table.add_row(
            f"brain scores ({plan.evaluations:.3g} an epoch)",
            f"{duration(plan.brain)}, {plan.brain_share:.1%}",
        )
    table.add_row("an epoch", duration(plan.epoch))
    table.add_row(f"in all, {plan.epochs} epochs", duration(plan.total), style="bold")
    console.print(table)
    console.print(f"What holds it up: {WORDS[plan.bottleneck]}.")
    if plan.given:
        console.print(f"Given, not measured: {', '.join(plan.given)}.", style="dim")
    console.print(
        "Measured here for some seconds; left out are start-up, compilation, checkpoints and stragglers.",
        style="dim",
    )


def duration(seconds: float) -> str:
    """45 s, 12:05 min, 3:20 h, 4.2 days."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours}:{minutes:02} h"
    return f"{seconds / 86400:,.1f} days"
