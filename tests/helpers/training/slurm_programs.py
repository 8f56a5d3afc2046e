"""A tiny stand-in for SLURM's programs on one machine: sbatch, srun, scontrol, sacct, scancel.

`install(folder)` puts programs of these names into folder/bin. sbatch starts the jobs of an array one after the other,
in the background; srun starts a job's tasks; `scontrol requeue` has the job start again. What is known of a job is in
files of folder/jobs/<array job>_<index>, or <job>: state, the tasks' processes, how often it was started.
It knows what this test needs, and nothing else of SLURM.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("sbatch", "srun", "scontrol", "sacct", "scancel")


def install(folder: Path) -> Path:
    """Make the programs; returns the folder to put on PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in NAMES:
        script = f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder}" {name} "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return programs


def sbatch(folder: Path, script: str) -> None:
    text = Path(script).read_text()
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)", text, re.MULTILINE))
    names = ["100"]  # one job alone is no array
    if "array" in asked:
        first, last = (int(k) for k in re.findall(r"\d+", asked["array"])[:2])
        names = [f"100_{k}" for k in range(first, last + 1)]
    jobs = [folder / "jobs" / name for name in names]
    for job in jobs:
        job.mkdir(parents=True)
        (job / "state").write_text("PENDING")
    arguments = [sys.executable, __file__, str(folder), "run", script, *(job.name for job in jobs)]
    arguments += [asked.get("ntasks-per-node", "1")]
    subprocess.Popen(arguments, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("Submitted batch job 100")


def run(folder: Path, script: str, *rest: str) -> None:
    """The scheduler: every job in its turn, again as long as it is requeued."""
    *jobs, tasks = rest
    for name in jobs:
        job, starts = folder / "jobs" / name, 0
        while True:
            starts += 1
            (job / "starts").write_text(str(starts))
            (job / "state").write_text("RUNNING")
            array, _, index = name.partition("_")
            own = {"SLURM_JOB_ID": str(int(array) + int(index or 0))}
            own |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": index} if index else {}
            own |= {"SLURM_NTASKS": tasks, "SLURM_JOB_NUM_NODES": "1"}
            own |= {"SLURM_JOB_NODELIST": "localhost", "STAND_IN_JOB": name}
            code = subprocess.run(["bash", script], env={**os.environ, **own}, check=False).returncode
            if not (job / "requeue").exists():
                break
            (job / "requeue").unlink()
        (job / "state").write_text("COMPLETED" if code == 0 else "FAILED")


def srun(folder: Path, *arguments: str) -> None:
    """The job's tasks, each with its rank; when a requeue is asked for, those that are left are ended."""
    rest, files = list(arguments), {}
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option in ("--output", "--error"):
            files[option] = rest.pop(0)
    world = int(os.environ["SLURM_NTASKS"])
    job = folder / "jobs" / os.environ["STAND_IN_JOB"]
    step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(world), "SLURM_STEP_NUM_NODES": "1"}
    step |= {"SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": str(world), "SLURM_NODEID": "0"}
    tasks = []
    for rank in range(world):
        out, err = (open(filled(files[name], rank), "a") for name in ("--output", "--error"))  # noqa: SIM115
        own = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        tasks.append(subprocess.Popen(rest, env={**os.environ, **step, **own}, stdout=out, stderr=err))
    (job / "tasks").write_text(" ".join(str(task.pid) for task in tasks))
    while any(task.poll() is None for task in tasks):
        if (job / "requeue").exists():
            time.sleep(1)  # who asked for it has the time to say so
            for task in tasks[::-1]:
                task.kill()
        time.sleep(0.1)
    sys.exit(max(abs(task.returncode) for task in tasks))


def filled(pattern: str, rank: int) -> str:
    """The name of a task's file of output, from SLURM's pattern."""
    array, _, index = os.environ["STAND_IN_JOB"].partition("_")
    places = {"%A": array, "%a": index, "%j": os.environ["SLURM_JOB_ID"], "%t": str(rank), "%%": "%"}
    return re.sub("%.", lambda found: places[found[0]], pattern)


def scontrol(folder: Path, what: str, job: str) -> None:
    assert what == "requeue"
    (folder / "jobs" / job / "requeue").touch()


def sacct(folder: Path, *_: str) -> None:
    print("JobID|State|NodeList")
    for job in sorted((folder / "jobs").iterdir()):
        print(f"{job.name}|{(job / 'state').read_text()}|localhost")


def scancel(folder: Path, job: str, option: str, name: str) -> None:
    """scancel JOB --signal NAME: to every task."""
    for task in (folder / "jobs" / job / "tasks").read_text().split():
        os.kill(int(task), getattr(signal, f"SIG{name}"))


if __name__ == "__main__":
    globals()[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])
