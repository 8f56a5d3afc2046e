"""Repeat a finished run from its recorded configuration, and compare the results."""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError
from cornet.instantiate import find_own_modules
from cornet.runs.comparison import Rerun, compare_results, compare_versions
from cornet.runs.config import check_recorded, entries, moved_to_new_folder
from cornet.runs.folder import RunFolder
from cornet.training.ranks.processes import find_ranks
from cornet.training.resume import RECORD, check_start
from cornet.training.run import UNFIT, run
from cornet.training.secrets import MASK

__all__ = ["rerun"]

MOST_THREADS = 1024


def rerun(folder: Path, target: Path | None = None, trust: bool = False) -> Rerun | None:
    """Train a finished run again from its recorded configuration, and compare the two.

    target: the new folder; None: next to the run, seed0.rerun for seed0. A stopped rerun is resumed. The rerun uses the
    same number of threads and logs to files only. Paths of data are used as recorded, so relative paths need the same
    working directory. Under torchrun it runs on all ranks and returns None on ranks other than 0. trust: build
    everything that the configuration names; otherwise only what `cornet.runs.config` allows.

    Raises CornetError for a folder without a finished run, a run that halving stopped early, an incomplete or refused
    configuration, a start checkpoint that has changed, a target with symbolic links, and as `cornet.training.run.run`.
    """
    first = RunFolder(folder)
    if first.finished is None:
        raise CornetError(f"{folder} has no finished run; finish it first, with the command that started it.")
    if first.finished.get("stopped_early"):
        raise CornetError(
            f"{folder} was stopped early by halving, which cannot be repeated; choose another run."
        )
    check_no_masks(first)
    if trust:
        find_own_modules()
    check_recorded(first.config, str(folder / "config.yaml"), trust)
    config = moved_to_new_folder(first.config)
    check_start(folder, config.get("ckpt_path"), first.read(RECORD))
    second = folder.with_name(f"{folder.name}.rerun") if target is None else target
    check_no_links(second)
    threads = (first.read("versions.json") or {}).get("threads")
    if type(threads) is int and 0 < threads <= MOST_THREADS:
        torch.set_num_threads(threads)
    if find_ranks().world > 1 and "strategy" not in config["trainer"]:
        raise CornetError(f"{folder} was trained by one process; repeat it without torchrun.")
    try:
        outcome = run(OmegaConf.create(config), folder=second)
    except (OmegaConfBaseException, *UNFIT) as error:
        if trust:  # may come from the user's own class
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CornetError(f"{folder / 'config.yaml'} cannot be run ({reason}); restore it.") from error
    if outcome is None:
        return None
    return Rerun(folder, second, compare_results(folder, second), compare_versions(folder, second))


def check_no_masks(run: RunFolder) -> None:
    """Raise CornetError if a secret was masked in the recorded configuration."""
    used = {key: value for key, value in run.config.items() if key != "logger"}
    if masked := [key for key, value in entries(used) if isinstance(value, str) and MASK in value]:
        raise CornetError(
            f"{run.path} did not record {masked[0]}, which holds a secret; repeat the run by its own command, with "
            "another name=."
        )


def check_no_links(folder: Path) -> None:
    """Raise CornetError if a folder is or contains a symbolic link: a run would write outside it."""
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise CornetError(f"{path} is a symbolic link; remove it, or choose another folder with --to.")
