"""Read and write the folder of one run: configuration, versions, checkpoints, and summary."""

import contextlib
import itertools
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import OmegaConf

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.old_names import with_current_names
from cornet.opening import read_bytes
from cornet.runs.config import differences, read_config
from cornet.runs.metrics import read_metrics
from cornet.runs.path import without_defaults
from cornet.runs.provenance import versions
from cornet.runs.score_tables import SCORES, read_scores

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RunFolder", "load_run"]


class RunFolder:
    """The folder of a run. `RunFolder(path)` only reads it; `RunFolder.open` creates or resumes a run.

    config.yaml     resolved configuration of the latest session
    identity.json   the part of the configuration that identifies the run; a folder never holds two identities
    versions.json   versions of the first session; `continued_with` lists those of later sessions where they differ
    images.json     fingerprint of the first session's images; `continued_with` lists later ones that differ
    run_id          random token, created once, by which loggers resume their curves
    checkpoints/    last.ckpt, best.ckpt, and until the run is finished previous.ckpt, the one before last.ckpt
    finished.json   summary, written when the run is finished
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def open(
        cls,
        path: Path | str,
        config: dict[str, Any],
        identity: dict[str, Any],
        fresh: bool = False,
        ranks: int = 1,
    ) -> "RunFolder":
        """Create the folder, or open the existing one to resume its run. Call this on rank 0 only.

        identity: from `identity_of(config)`. fresh: first rename an existing folder to `<folder>.old1` (or 2, 3, ...).
        ranks: number of processes that train, for versions.json. Raises CornetError if the folder contains a run of
        another configuration or cannot be written.
        """
        folder = cls(path)
        if fresh:
            folder._rename_old()
        old = folder.identity
        if old is not None and old != identity:
            raise CornetError(
                f"{folder.path} contains a run of another configuration ({differences(old, identity)}); give this run "
                "another name=..., or fresh=true, which renames the old run."
            )
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            unexpected = [] if old is not None else _unexpected_files(folder.path)
        except OSError as error:
            raise CornetError(
                f"The run's folder {folder.path} cannot be created: {error.strerror}; choose another folder for runs."
            ) from error
        if unexpected:
            raise CornetError(
                f"{folder.path} contains {unexpected[0]} but no identity.json, so it may not be a run; give this "
                "run another name=..., or fresh=true, which renames that folder."
            )
        if old is None:
            folder._write("identity.json", identity)
        atomic_write(folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
        folder._record_versions(ranks)
        folder._make_run_id()
        return folder

    @property
    def run_id(self) -> str:
        """The token of this run. Raises CornetError if the folder is not a run's."""
        try:
            token = read_bytes(self.path / "run_id").decode(errors="replace").strip()
        except OSError as error:
            raise CornetError(
                f"{self.path} is not a run: it has no file run_id; train a run first."
            ) from error
        if not token:
            raise CornetError(
                f"{self.path / 'run_id'} is empty; remove it, and the next start creates a new one."
            )
        return token

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration. Raises CornetError if the folder is not a run's."""
        try:
            return read_config(self.path / "config.yaml")
        except FileNotFoundError as error:
            raise CornetError(
                f"{self.path} is not a run: it has no config.yaml; train a run first."
            ) from error

    @property
    def identity(self) -> dict[str, Any] | None:
        """The content of identity.json with current names, or None if it is missing."""
        return without_defaults(with_current_names(self.read("identity.json")))

    @property
    def finished(self) -> dict[str, Any] | None:
        """The content of finished.json, or None while the run is not finished."""
        return self.read("finished.json")

    @property
    def summary(self) -> dict[str, Any]:
        """The content of finished.json: network, parameters, epochs, best value, ...; {} if the run is not finished."""
        return self.finished or {}

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: one row per logged step, NaN where a column was not logged. Raises CornetError if missing."""
        return read_metrics(self.path)

    @property
    def scores(self) -> pd.DataFrame:
        """scores.csv with one row per benchmark and evaluation; empty if nothing was scored."""
        path = self.path / "scores.csv"
        return read_scores(path) if path.exists() else pd.DataFrame(columns=list(SCORES))

    def model(self, checkpoint: str | None = None, trust: bool = False) -> "nn.Module":
        """Load the network with the weights of a checkpoint, in evaluation mode.

        checkpoint: "best" (by the monitored metric), "last" or "best_brain"; None: the first of "best", "last" and
        "best_brain" that exists. trust: import and build a custom network that the run names. Raises CornetError if
        the checkpoint is missing or cannot be read.
        """
        from cornet.runs.checkpoints import KINDS, network_of_run

        if checkpoint is not None and checkpoint not in KINDS:
            raise CornetError(f"checkpoint={checkpoint!r} is unknown; choose one of {', '.join(KINDS)}.")
        return network_of_run(self.path, checkpoint, trust=trust).net.eval()

    def record_images(self, fingerprint: str) -> str | None:
        """Record the fingerprint of the training images. Return the first session's if it differs, else None.

        Raises CornetError if images.json cannot be read or written.
        """
        record = self.read("images.json") or {"fingerprint": fingerprint}
        known = [record["fingerprint"], *record.get("continued_with", [])]
        if fingerprint not in known:
            record["continued_with"] = [*known[1:], fingerprint]
        if fingerprint not in known or not (self.path / "images.json").exists():
            self._write("images.json", record)
        return None if fingerprint == known[0] else known[0]

    def finish(self, summary: dict[str, Any]) -> None:
        """Write finished.json. Raises CornetError if it cannot be written."""
        self.checkpoint("previous").unlink(missing_ok=True)  # first, because a finished run is not resumed
        atomic_write(self.path / "finished.json", json.dumps(summary, indent=1, default=str) + "\n")

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, which: str) -> Path:
        """Return the path of the checkpoint "last", "best", "best_brain" or "previous", which need not exist."""
        return self.checkpoints / f"{which}.ckpt"

    def last_checkpoint(self) -> Path | None:
        """Return the checkpoint to resume from: last.ckpt, else previous.ckpt, else None."""
        paths = (self.checkpoint("last"), self.checkpoint("previous"))
        return next((path for path in paths if path.is_file()), None)

    def _rename_old(self) -> None:
        if not self.path.exists():
            return
        names = (self.path.with_name(f"{self.path.name}.old{number}") for number in itertools.count(1))
        try:
            self.path.rename(next(name for name in names if not name.exists()))
        except OSError as error:
            raise CornetError(
                f"fresh=true cannot rename {self.path}: {error.strerror}; rename or remove it yourself."
            ) from error

    def read(self, name: str) -> dict[str, Any] | None:
        """Read one of the JSON files. Return None if it is missing. Raises CornetError if it is damaged."""
        try:
            content = json.loads(read_bytes(self.path / name))
            if not isinstance(content, dict):
                raise ValueError(f"it contains a {type(content).__name__} instead of an object")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CornetError(
                f"{self.path / name} cannot be read ({error}); use fresh=true to start again."
            ) from error
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        atomic_write(self.path / name, json.dumps(content, indent=1) + "\n")

    def _record_versions(self, ranks: int) -> None:
        now, first = versions(ranks), self.read("versions.json")
        later = [] if first is None else first.pop("continued_with", [])
        if first is None:
            self._write("versions.json", now)
        elif now != (later[-1] if later else first):
            self._write("versions.json", {**first, "continued_with": [*later, now]})

    def _make_run_id(self) -> None:
        """Write run_id unless it exists, from the system's randomness: seeded generators belong to the training.

        If two processes write at the same time, the first wins.
        """
        temporary, path = self.path / ".run_id", self.path / "run_id"
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # another process was faster
            if not path.exists():
                atomic_write(temporary, secrets.token_hex(4) + "\n")
                try:
                    os.link(temporary, path)
                except (FileExistsError, FileNotFoundError):
                    raise
                except OSError:  # the file system does not support hard links
                    os.replace(temporary, path)
        temporary.unlink(missing_ok=True)


def load_run(path: Path | str) -> RunFolder:
    """Open a run of train.py for reading: the folder itself, or the only run below it.

    The result has `config`, `metrics`, `scores`, `summary` and `model()`. Raises CornetError for no or several runs.
    """
    from cornet.runs.checkpoints import find_run

    folder = Path(path).expanduser()
    run = folder if (folder / "config.yaml").is_file() else find_run(folder)
    if run is None:
        raise CornetError(
            f"{folder} contains no run of cornet; name a run's folder, such as runs/objects-cornet_s."
        )
    return RunFolder(run)


def _unexpected_files(path: Path) -> list[str]:
    """Return files that an interrupted `RunFolder.open` cannot have created."""
    own = ("config.yaml", "versions.json", "run_id")
    return sorted(n for n in os.listdir(path) if n not in own and not n.startswith((".", "train.log")))
