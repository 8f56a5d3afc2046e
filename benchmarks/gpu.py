"""Every figure that needs a GPU, in one command and at most nine minutes.

    python benchmarks/gpu.py                                     # all parts that have no result yet
    python benchmarks/gpu.py --photographs originals.zip         # a zip with train/<class>/*.jpg; else made-up ones
    python benchmarks/gpu.py --only training kernels --again     # these, also where they have one
    python benchmarks/gpu.py --small                             # a CPU: the same program on tiny sizes, no figures

Each part runs in its own process, so that a failure or a hang does not stop the others, and its result is written to
OUT/PART.json at once. The same command continues where the last one stopped: a part that has a result for this device,
this version of the code and these sizes is not measured again. OUT/gpu.json and OUT/gpu.md hold all results so far;
--table writes only these. The parts and their targets are in gpu_parts.py.

A process of low priority makes the files of the battery while the first parts run; the part `battery` waits for it.
The parts share compiled graphs; start_up begins with an empty cache of them.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from cornet.files import atomic_write
from cornet.hashing import digest

HERE = Path(__file__).parent
PARTS = {
    "make_battery": 400,
    "start_up": 180,
    "training": 400,
    "pls": 90,
    "comparisons": 240,
    "toward_brains": 180,
    "solution_times": 120,
    "battery": 180,
    "equivalence": 180,
    "kernels": 120,
    "deterministic": 150,
    "memory_budget": 180,
    "cuda_graphs": 150,
}
"""The functions of gpu_parts.py, and the most seconds that each may take."""
BACKGROUND = "make_battery"
ALONE = {"TORCHINDUCTOR_FX_GRAPH_CACHE": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def version(arguments: argparse.Namespace, device: torch.device) -> str:
    """A hash of what results depend on: the code, PyTorch, the device, the sizes."""
    files = [*sorted(HERE.parent.glob("cornet/**/*.py")), *sorted(HERE.glob("*.py"))]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return digest([path.read_text() for path in files], torch.__version__, name, arguments.small)


class Process:
    """A part in a process of its own, whose output goes to OUT/PART.log."""

    def __init__(self, name: str, arguments: argparse.Namespace, work: Path) -> None:
        self.name, self.out, self.limit = name, arguments.out, PARTS[name]
        self.log = (arguments.out / f"{name}.log").open("wb")
        self.started = time.time()
        command = [sys.executable, __file__, "--part", name, "--work", work, "--out", arguments.out]
        command += ["--device", arguments.device, "--started", self.started]
        command += ["--small"] if arguments.small else []
        command += ["--photographs", arguments.photographs] if arguments.photographs else []
        cache = work / "inductor"
        if name == "start_up":
            shutil.rmtree(cache, ignore_errors=True)
        background = name == BACKGROUND
        self.process = subprocess.Popen(
            ["nice", "-n", "19", *map(str, command)] if background else [*map(str, command)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ALONE, "TORCHINDUCTOR_CACHE_DIR": str(cache)},
            start_new_session=True,
        )

    def wait(self, until: float) -> dict[str, Any]:
        """What it found, failed with, or where it was stopped. until: in seconds as of time.time."""
        limit = min(until, self.started + self.limit)
        try:
            code = self.process.wait(max(0.0, limit - time.time()))
        except subprocess.TimeoutExpired:
            self.kill()
            return {"failed": f"stopped after {time.time() - self.started:.0f} s"}
        finally:
            self.log.close()
        found = self.out / f"{self.name}.found.json"
        if code or not found.exists():
            lines = (self.out / f"{self.name}.log").read_text(errors="replace").strip().splitlines()
            return {"failed": f"{lines[-1] if lines else 'no output'} (exit code {code}; {self.name}.log)"}
        result: dict[str, Any] = json.loads(found.read_text())
        found.unlink()
        return result

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()


def known(out: Path, key: str) -> dict[str, dict[str, Any]]:
    """Results of earlier calls by part, where they are of the same code, device and sizes."""
    found = {}
    for name in PARTS:
        path = out / f"{name}.json"
        if path.exists() and (result := json.loads(path.read_text())).get("version") == key:
            found[name] = result
    return found


def measure(arguments: argparse.Namespace, work: Path, key: str, console: Console) -> None:
    """Run the parts that have no result, until the time is over."""
    from record import device_named, write_record

    end = time.time() + 60 * arguments.minutes
    done = {} if arguments.again else known(arguments.out, key)
    wanted = [name for name in arguments.only or PARTS if name not in done]
    if (work / "battery").exists() and BACKGROUND in wanted:
        wanted.remove(BACKGROUND)
    running = {}
    try:
        if BACKGROUND in wanted:
            running[BACKGROUND] = Process(BACKGROUND, arguments, work)
            wanted.remove(BACKGROUND)
            wanted.insert(wanted.index("battery") if "battery" in wanted else len(wanted), BACKGROUND)
        for number, name in enumerate(wanted, 1):
            left = end - time.time()
            if left < 5:
                console.print(
                    f"the time is over before {', '.join(wanted[number - 1 :])}; the same command goes on"
                )
                return
            console.print(f"{number}/{len(wanted)} {name} ({left:.0f} s left)")
            process = running.pop(name, None) or Process(name, arguments, work)
            running[name] = process
            result = process.wait(end)
            del running[name]
            told = result.get("failed") or result.get("skipped")
            if told:
                console.print(f"  {'failed' if 'failed' in result else 'skipped'}: {told}", markup=False)
            for one in result.get("rows", ()):
                console.print(f"  {one['what']}: {one['value']:.4g} {one['unit']}", markup=False)
            write_record(
                arguments.out / f"{name}.json",
                device_named(arguments.device),
                arguments.beside,
                small=arguments.small,
                version="" if "failed" in result else key,  # what failed is tried again
                **result,
            )
    finally:
        for process in running.values():
            process.kill()


def summarise(out: Path, console: Console) -> None:
    """Show all results so far, and write them to gpu.json and gpu.md."""
    parts = {name: json.loads(p.read_text()) for name in PARTS if (p := out / f"{name}.json").exists()}
    table = Table("part", "what", "measured", "target", "met")
    lines = ["| part | what | measured | target | met |", "|---|---|---|---|---|"]

    def add(*cells: str) -> None:
        table.add_row(*cells)
        lines.append(f"| {' | '.join(cell.replace('|', ' ') for cell in cells)} |")

    for name in PARTS:
        result = parts.get(name, {"skipped": "not measured yet"})
        for one in result.get("rows", ()):
            sign, least = one.get("target", ("", 0.0))
            met = one["value"] >= least if sign == ">=" else one["value"] < least
            target = f"{sign} {least:g} {one['unit']}" if sign else ""
            add(
                name,
                one["what"],
                f"{one['value']:.4g} {one['unit']}",
                target,
                ("yes" if met else "no") if sign else "",
            )
        for kind in ("skipped", "failed"):
            if kind in result:
                add(name, f"{kind}: {result[kind]}", "", "", "")
    console.print(table)
    atomic_write(out / "gpu.json", json.dumps(parts, indent=1) + "\n")
    about = next(iter(parts.values()), {})
    head = f"{about.get('device', '')}, {about.get('date', '')}, {about.get('made_with', '')}"
    if any(result.get("small") for result in parts.values()):
        head = f"Tiny sizes, to try the program: these are no figures. {head}"
        console.print("tiny sizes, to try the program: these are no figures")
    atomic_write(out / "gpu.md", "\n".join([head, "", *lines]) + "\n")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=f"parts: {', '.join(PARTS)}")
    add = parser.add_argument
    add("--only", nargs="+", choices=[*PARTS], metavar="PART", help="measure these parts alone")
    add("--again", action="store_true", help="measure also what has a result")
    add("--table", action="store_true", help="measure nothing; show what there is")
    add("--small", action="store_true", help="tiny sizes, to try the program on a CPU")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--minutes", type=float, default=9.0, help="stop then; the same command goes on")
    add("--photographs", type=Path, help="a zip with train/<class>/; default: made-up ones")
    add("--out", type=Path, default=HERE / "results" / "gpu")
    add("--work", type=Path, help="where large files are made; default: below the temporary folder")
    add("--beside", default="", help="what else ran on the machine, for the record")
    add("--part", choices=[*PARTS], help=argparse.SUPPRESS)
    add("--started", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments, console = parsed(), Console(highlight=False, width=140)
    if arguments.device == "auto":
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(arguments.device)
    if device.type == "cpu" and not arguments.small and not arguments.table:
        sys.exit("no GPU is here; give --small to try the program on the CPU, with tiny sizes.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = (
        arguments.work or Path(tempfile.gettempdir()) / f"cornet-gpu-{'small' if arguments.small else 'full'}"
    )
    work.mkdir(parents=True, exist_ok=True)
    if arguments.part:
        from gpu_parts import Setting, run_part

        setting = Setting(
            device, arguments.small, work, arguments.photographs, arguments.started or time.time()
        )
        found = run_part(arguments.part, setting)
        if (kernels := work / "kernels.txt").exists():
            atomic_write(arguments.out / "kernels.txt", kernels.read_text())
        atomic_write(arguments.out / f"{arguments.part}.found.json", json.dumps(found))
        return
    if not arguments.table:
        measure(arguments, work, version(arguments, device), console)
    summarise(arguments.out, console)


if __name__ == "__main__":
    main()
