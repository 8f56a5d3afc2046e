"""Training a finished run once more, from the configuration that it recorded."""

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
    """Train a finished run again from the configuration that it recorded, and compare the two.

    target: where; None: beside it, seed0.rerun for seed0. One that was stopped there goes on. It computes with as many
    threads as the first did, and is logged to files only. Paths of data are as recorded, so relative ones hold from
    the same folder. Started by torchrun, it is repeated on as many ranks. Returns None on ranks other than 0.
    trust: build whatever the configuration names; without, only what `cornet.runs.config` lists.

    Raises CornetError for a folder without a finished run, for one that halving stopped early, for a configuration
    that is not whole or not allowed, for a run that began from a checkpoint that has changed since, for a target with
    symbolic links, and as `cornet.training.run.run` does.
    """
    first = RunFolder(folder)
    if first.finished is None:
        raise CornetError(f"{folder} holds no finished run; finish it first, with the command that began it.")
    if first.finished.get("stopped_early"):
        raise CornetError(
            f"{folder} was stopped early by halving, which cannot be repeated; name another run."
        )
    check_whole(first)
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
        if trust:  # an error of the user's own class
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CornetError(f"{folder / 'config.yaml'} cannot be run ({reason}); restore it.") from error
    if outcome is None:
        return None
    return Rerun(folder, second, compare_results(folder, second), compare_versions(folder, second))


def check_whole(run: RunFolder) -> None:
    """Raise CornetError where something was left out when the configuration was written down."""
    used = {key: value for key, value in run.config.items() if key != "logger"}
    if lacking := [key for key, value in entries(used) if isinstance(value, str) and MASK in value]:
        raise CornetError(
            f"{run.path} did not record {lacking[0]}, which holds a secret; begin the run again by its own command, "
            "with another name=."
        )


def check_no_links(folder: Path) -> None:
    """Raise CornetError where a folder is or holds a symbolic link, through which a run would write elsewhere."""
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise CornetError(f"{path} is a symbolic link; remove it, or name another folder with --to.")
