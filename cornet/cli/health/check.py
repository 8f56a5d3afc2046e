"""The outcome of one check."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cornet.errors import printable

__all__ = ["NOTE", "OK", "PROBLEM", "Check", "gibibytes", "run_checks"]

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Check:
    """One line of `cornet doctor`.

    state: OK; NOTE: works, but slower or with less; PROBLEM: it stops training, or leaves a GPU unused. text: what was
    found. remedy: what to do, "" if nothing. values: the same as plain data.
    """

    name: str
    state: str
    text: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_checks(checks: Iterable[Callable[[], list[Check]]]) -> list[Check]:
    """Run all checks. One that raises becomes a note, so that the others are still shown."""
    found: list[Check] = []
    for check in checks:
        try:
            found += check()
        except Exception as error:  # this machine is not as the check expects, which is what doctor is for
            name = getattr(check, "__name__", "check").replace("_", " ")
            found.append(Check(name, NOTE, printable(f"cannot be checked ({type(error).__name__}: {error})")))
    return found


def gibibytes(count: float) -> str:
    """Format bytes: 512 MiB, 15.5 GiB, 1.8 TiB."""
    for size, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB")):
        if count >= size or unit == "MiB":
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    raise AssertionError("the last unit returns")
