"""Run one training: find its folder, train, and write its summary."""

import contextlib
import logging
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.errors import CornetError
from cornet.models.safe_load import read_checkpoint
from cornet.names import encodable
from cornet.old_names import with_current_names
from cornet.runs.folder import RunFolder
from cornet.runs.labels import label_loggers
from cornet.runs.lock import locked
from cornet.runs.path import find_run_path, identity_of, variant_name
from cornet.runs.provenance import Provenance, versions
from cornet.sizes import is_seed
from cornet.stimuli.fingerprint import fingerprint
from cornet.stimuli.samples import ImageSource
from cornet.training.build import Training, build
from cornet.training.config_errors import check_missing
from cornet.training.content import Content, content_of
from cornet.training.ranks.processes import Ranks, connect_ranks, lost_rank
from cornet.training.resume import check_continuation, record_start
from cornet.training.run_summary import summarise
from cornet.training.secrets import without_secrets

__all__ = ["Outcome", "run"]

log = logging.getLogger("cornet")

UNFIT = (KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError, OverflowError)
"""Errors that a state of another format can raise while it is restored."""


class Outcome(NamedTuple):
    """A finished run. already: it was finished before. loggers: still open, for pictures and tables."""

    folder: Path
    summary: dict[str, Any]
    already: bool = False
    loggers: Sequence[Logger] = ()


def run(
    config: DictConfig, overrides: Sequence[str] = (), folder: Path | None = None, sweep: bool = False
) -> Outcome | None:
    """Train a composed configuration, or resume it.

    overrides: from the command line, for the name of a variant's folder. folder: the run's folder; None: found by its
    name. sweep: the run belongs to a sweep. Returns None on ranks other than 0. A finished run is not repeated. Raises
    CornetError on all ranks for a mistake of the user, if it is found before the first step.
    """
    quieten()
    ranks = connect_ranks()
    with contextlib.ExitStack() as held:  # holds the folder's lock
        kept, finished, identity, source = open_folder(config, overrides, folder, sweep, ranks, held)
        if finished is not None:
            return Outcome(kept.path, finished, already=True) if ranks.first else None
        pl.seed_everything(config.seed, workers=True, verbose=False)
        try:
            training = ranks.run_on_all(lambda: build(config, source))
            start = ranks.run_on_first(lambda: starting_point(config, kept, training.source))
        except CornetError:
            leave_nothing(kept.path, Path(config.root))
            raise
        set_precision(training)
        if ranks.first:  # it writes checkpoints and scores
            training.module.provenance = provenance_of(config, identity, training, kept, ranks)
        described = encodable({**resolved(config), "versions": versions(ranks.info.world)})
        for logger in training.trainer.loggers:
            logger.log_hyperparams(described)
        if start is not None:
            log.info("resuming from %s", start)
            if Path(start).parent != kept.checkpoints:
                training.module.begins_with_seed = config.seed
        fit(training, start)
        if not ranks.first:
            return None
        summary = summarise(training, config, kept.path)
        kept.finish(summary)
        return Outcome(kept.path, summary, loggers=training.trainer.loggers)


def fit(training: Training, start: str | None) -> None:
    """Train, starting from the checkpoint `start` unless it is None."""
    begun = threading.Event()  # set once the checkpoint's state is restored
    callback = pl.callbacks.LambdaCallback(
        on_train_batch_start=lambda *_: begun.set(), on_train_end=lambda *_: begun.set()
    )
    training.trainer.callbacks.append(callback)  # type: ignore[attr-defined]
    try:
        training.trainer.fit(training.module, datamodule=training.data, ckpt_path=start, weights_only=True)
    except SIGTERMException:
        raise KeyboardInterrupt from None
    except SystemExit as stop:
        if stop.code == 1:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from None
        raise  # a scheduler's handler, which has requeued the job
    except (RuntimeError, *UNFIT) as error:
        if training.trainer.world_size > 1 and isinstance(error, RuntimeError) and lost_rank(error):
            raise CornetError(
                "another rank was lost, and training stopped; repeat the command to resume from the last checkpoint."
            ) from error
        if "more than 1 value per channel" in str(error):  # PyTorch's message; CORnets were checked before
            raise CornetError(
                "a batch norm of the network sees only one value per channel, so it has no variance; set "
                "recipe.batch_size to at least 2 times recipe.accumulate (and the ranks), or a larger data.size."
            ) from error
        if start is not None and not begun.is_set():
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise CornetError(
                f"the training cannot resume from {start}, because its content differs from what cornet writes "
                f"({reason}); give another ckpt_path, or start again with fresh=true."
            ) from error
        raise


def open_folder(
    config: DictConfig,
    overrides: Sequence[str],
    place: Path | None,
    sweep: bool,
    ranks: Ranks,
    held: contextlib.ExitStack,
) -> tuple[RunFolder, dict[str, Any] | None, dict[str, Any], ImageSource | None]:
    """Return the run's folder, summary (None unless finished), identity, and images if they are in a folder.

    Sets config.run_folder and config.run_id. Rank 0 creates and locks the folder after all ranks have agreed on the
    configuration and the path.
    """
    error, path, recorded, content = "", Path(), {}, Content()
    identity: dict[str, Any] = {}
    try:
        check_missing(config)
        if not is_seed(config.seed):
            raise CornetError(f"seed={config.seed!r} must be a whole number from 0 to 4,294,967,295.")
        content = content_of(config)
        path, shown, identity = place_of(config, overrides, content, sweep)
        path = path if place is None else place
        recorded = resolved(config)
        with open_dict(config):
            config.run_folder = str(path)
        label_loggers(config.logger, path, config.name, shown)
    except CornetError as raised:
        error = str(raised)
    common = {key: recorded.get(key) for key in ("seed", "fresh", "ckpt_path", "monitor")}
    ranks.check_same({**identity, **common, "folder": str(path), "torch": torch.__version__}, error)

    def made() -> list[Any]:
        if path.is_dir():
            with locked(path):  # raises before anything is renamed or written
                pass
        folder = RunFolder.open(path, resolved(config), identity, config.fresh, ranks.info.world)
        held.enter_context(locked(path))
        return [folder.run_id, folder.finished]

    config.run_id, finished = ranks.run_on_first(made)
    return RunFolder(path), finished, identity, content.source


def provenance_of(
    config: DictConfig, identity: dict[str, Any], training: Training, folder: RunFolder, ranks: Ranks
) -> Provenance:
    """Return what the run was made with; warn if its images differ from those at its start."""
    images = fingerprint(training.source)
    if (earlier := folder.record_images(images)) is not None:
        log.warning(
            "The images differ from those at the start of this run (fingerprint %s; then %s); start again with "
            "fresh=true if this is not intended.",
            images,
            earlier,
        )
    return Provenance(config.seed, images, versions(ranks.info.world), resolved(config), identity)


def place_of(
    config: DictConfig, overrides: Sequence[str], content: Content, sweep: bool = False
) -> tuple[Path, list[str], dict[str, Any]]:
    """Return the run's folder, the overrides for its variant's name, and its identity; set config.name.

    content: replacements for paths. sweep: the run belongs to a sweep.
    """
    name = config.name or f"{config.data.get('name', 'objects')}-{config.model.name}"
    implied = (f"experiment={name}", f"experiment=sweeps/{name}")  # the name says it
    shown = without_secrets([given for given in overrides if given not in implied]) + content.overrides()
    with open_dict(config):
        config.name = name
        config.run_folder = "."  # so that a run keeps its identity when its folder is moved
    identity = identity_of(resolved(content.in_place(config)))
    path = find_run_path(config.root, name, config.seed, variant_name(shown), identity, sweep)
    return path, shown, identity


@rank_zero_only
def leave_nothing(folder: Path, root: Path) -> None:
    """Remove the files of a run that could not start, and empty parent folders."""
    if any((folder / kept).exists() for kept in ("metrics.csv", "checkpoints", "finished.json")):
        return
    written = ("config.yaml", "identity.json", "versions.json", "images.json", "run_id", "train.log", ".lock")
    for name in written:
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    for parent in list(folder.parents)[:2]:
        if parent != root and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return the configuration to record: plain Python, references resolved, current names, without secrets."""
    content = with_current_names(without_secrets(OmegaConf.to_container(config, resolve=True)))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def starting_point(config: DictConfig, folder: RunFolder, source: ImageSource) -> str | None:
    """Return the checkpoint to start from, after checking that it can be read; None for a fresh start.

    This is the run's own last checkpoint (if it is damaged, the previous one, with a warning), or else `ckpt_path`,
    which is recorded in the folder.
    """
    own = folder.last_checkpoint() if config.ckpt_path else None
    if own is None and config.ckpt_path in (None, "auto"):
        return None
    last = own or Path(config.ckpt_path)
    try:
        content = read_checkpoint(last)
    except CornetError as error:
        previous = folder.checkpoint("previous")
        if own is None or not previous.is_file():
            raise
        content = read_checkpoint(previous)
        aside = last.with_name("damaged.ckpt")
        last.replace(aside)
        log.warning(
            "%s It was renamed to %s; the run resumes from the previous checkpoint, %s.",
            error,
            aside,
            previous,
        )
        last = previous
    if "loops" not in content or "optimizer_states" not in content:
        raise CornetError(
            f"ckpt_path={last} contains weights but no optimiser state; start from its weights with "
            f"model.pretrained={last}."
        )
    if own is None:
        position = check_continuation(last, content, resolved(config), lambda: fingerprint(source))
        record_start(folder.path, last, position)
    return str(last)


def set_precision(training: Training) -> None:
    """Set whether float32 matrix products may use TF32, as the recipe says."""
    tf32 = training.module.recipe.tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32


def quieten() -> None:
    """Hide Lightning's messages for developers."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists.*",
        ".*isinstance.*LeafSpec.*",
        ".*no `val_dataloader`.*",
        ".*module.s. in eval mode at the start of training.*",  # frozen areas
        ".*sync_dist=True.*",  # torchmetrics has already reduced the values
    ):
        warnings.filterwarnings("ignore", message=message)
