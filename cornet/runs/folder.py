"""The folder of one run: its configuration, versions, checkpoints and whether it is finished."""

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
from cornet.runs.provenance import versions
from cornet.runs.score_tables import SCORES, read_scores

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RunFolder", "load_run"]


class RunFolder:
    """What is in the folder of a run. `RunFolder(path)` only reads; `RunFolder.open` makes or continues a run.

    config.yaml     the resolved configuration (of the latest session, where keys outside the identity changed)
    identity.json   the part of it that makes this run this run: another one never lands in the folder
    versions.json   what it was made with; `continued_with` lists later sessions' versions where they differ
    images.json     fingerprint of the images it began with, and of others with which it went on
    run_id          a random token, made once, by which loggers continue their curves
    checkpoints/    last.ckpt, best.ckpt; until it is finished previous.ckpt, the last but one
    finished.json   there when the run is finished, with its summary
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
        """Make the folder, or continue in the one that is there.

        `identity` is `identity_of(config)`. With `fresh`, a folder that is there is first renamed to `<folder>.old1`
        (or 2, 3, ...). ranks: how many train together, for versions.json. Only the process of rank 0 touches the disk.
        Raises CornetError when the folder holds a run of another configuration, or cannot be written.
        """
        folder = cls(path)
        if fresh:
            folder._move_aside()
        wanted = with_current_names(_plain(identity))
        held = with_current_names(folder.read("identity.json"))
        if held is not None and held != wanted:
            raise CornetError(
                f"{folder.path} holds a run of another configuration ({differences(held, wanted)}); give this run "
                "another name=..., or fresh=true which moves the old run aside."
            )
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            strangers = [] if held is not None else _strangers(folder.path)
        except OSError as error:
            raise CornetError(
                f"The run's folder {folder.path} cannot be made: {error.strerror}; choose another place for runs."
            ) from error
        if strangers:
            raise CornetError(
                f"{folder.path} holds {strangers[0]} but no identity.json, so it is not known whose it is; give this "
                "run another name=..., or fresh=true which moves that folder aside."
            )
        if held is None:
            folder._write("identity.json", wanted)
        atomic_write(folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
        folder._record_versions(ranks)
        folder._make_run_id()
        return folder

    @property
    def run_id(self) -> str:
        """The token of this run. Raises CornetError when the folder holds no run."""
        try:
            token = read_bytes(self.path / "run_id").decode(errors="replace").strip()
        except OSError as error:
            raise CornetError(
                f"{self.path} holds no run: there is no file run_id in it; train one first."
            ) from error
        if not token:
            raise CornetError(
                f"{self.path / 'run_id'} is empty; remove it, and the next start makes another."
            )
        return token

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration. Raises CornetError when the folder holds no run."""
        try:
            return read_config(self.path / "config.yaml")
        except FileNotFoundError as error:
            raise CornetError(
                f"{self.path} holds no run: there is no config.yaml in it; train one first."
            ) from error

    @property
    def finished(self) -> dict[str, Any] | None:
        """The summary given to `finish`, or None while the run is not finished."""
        return self.read("finished.json")

    @property
    def summary(self) -> dict[str, Any]:
        """What finished.json says: network, parameters, epochs, best value and its epoch, ...; {} before the end."""
        return self.finished or {}

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: a row a logged step, NaN where a column was not logged. Raises CornetError without one."""
        return read_metrics(self.path)

    @property
    def scores(self) -> pd.DataFrame:
        """scores.csv: a row for each benchmark and evaluation, none where nothing was scored."""
        path = self.path / "scores.csv"
        return read_scores(path) if path.exists() else pd.DataFrame(columns=list(SCORES))

    def model(self, checkpoint: str | None = None, trust: bool = False) -> "nn.Module":
        """The network with the weights of a checkpoint, in evaluation mode.

        checkpoint: "best" (by the monitored value), "last" or "best_brain"; None: the best, or else the last. trust:
        import and build a network of your own, which the run names. Raises CornetError where there is no such
        checkpoint, or where it cannot be read.
        """
        from cornet.runs.checkpoints import KINDS, network_of_run

        if checkpoint is not None and checkpoint not in KINDS:
            raise CornetError(f"checkpoint={checkpoint!r} is unknown; choose one of {', '.join(KINDS)}.")
        return network_of_run(self.path, checkpoint, trust=trust).net.eval()

    def record_images(self, fingerprint: str) -> str | None:
        """Note the images trained on; returns the earlier fingerprint if it differs. Raises CornetError."""
        held = self.read("images.json") or {"fingerprint": fingerprint}
        known = [held["fingerprint"], *held.get("continued_with", [])]
        if fingerprint not in known:
            held["continued_with"] = [*known[1:], fingerprint]
        if fingerprint not in known or not (self.path / "images.json").exists():
            self._write("images.json", held)
        return None if fingerprint == known[0] else known[0]

    def finish(self, summary: dict[str, Any]) -> None:
        """Record that the run is finished. Raises CornetError when that cannot be written."""
        self.checkpoint("previous").unlink(missing_ok=True)  # first: nobody would come back for it
        self._write("finished.json", _plain(summary))

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, which: str) -> Path:
        """Where the checkpoint "last", "best" or "best_brain" is kept, there or not yet."""
        return self.checkpoints / f"{which}.ckpt"

    def last_checkpoint(self) -> Path | None:
        """The checkpoint to continue from, None when there is none yet: the last one, or that before it."""
        paths = (self.checkpoint("last"), self.checkpoint("previous"))
        return next((path for path in paths if path.is_file()), None)

    def _move_aside(self) -> None:
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
        """One of the JSON files, None where it is not there. Raises CornetError for a damaged one."""
        try:
            content = json.loads(read_bytes(self.path / name))
            if not isinstance(content, dict):
                raise ValueError(f"it holds no record but {type(content).__name__}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CornetError(
                f"{self.path / name} cannot be read ({error}); use fresh=true to begin anew."
            ) from error
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        atomic_write(self.path / name, json.dumps(content, indent=1) + "\n")

    def _record_versions(self, ranks: int) -> None:
        now, held = versions(ranks), self.read("versions.json")
        later = [] if held is None else held.pop("continued_with", [])
        if held is None:
            self._write("versions.json", now)
        elif now != (later[-1] if later else held):
            self._write("versions.json", {**held, "continued_with": [*later, now]})

    def _make_run_id(self) -> None:
        """From the system's randomness, as seeded generators are the training's. The first of two writers wins."""
        aside, kept = self.path / ".run_id", self.path / "run_id"
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # then another process was faster
            if not kept.exists():
                atomic_write(aside, secrets.token_hex(4) + "\n")
                try:
                    os.link(aside, kept)
                except (FileExistsError, FileNotFoundError):
                    raise
                except OSError:  # no hard links on this file system
                    os.replace(aside, kept)
        aside.unlink(missing_ok=True)


def load_run(path: Path | str) -> RunFolder:
    """A run of train.py: the folder named, or the only run below it. Nothing is written.

    Has `config`, `metrics`, `scores`, `summary` and `model()`. Raises CornetError where there is no run, or several.
    """
    from cornet.runs.checkpoints import find_run

    folder = Path(path).expanduser()
    found = folder if (folder / "config.yaml").is_file() else find_run(folder)
    if found is None:
        raise CornetError(
            f"{folder} holds no run of train.py; name a run's folder, such as runs/objects-cornet_s."
        )
    return RunFolder(found)


def _strangers(path: Path) -> list[str]:
    """What a run interrupted while its folder was made cannot have left."""
    ours = ("config.yaml", "versions.json", "run_id")
    return sorted(n for n in os.listdir(path) if n not in ours and not n.startswith((".", "train.log")))


def _plain(value: Any) -> Any:
    """As it comes back from JSON, so that tuples and lists, or 1 and "1" as keys, are no difference."""
    return json.loads(json.dumps(value, default=str))
