"""The runs of a sweep: the overrides of each, its folder, and whether it is finished; looked at before any begins."""

import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError
from cornet.training.near_names import one_sentence
from cornet.training.random_network import own_error

if TYPE_CHECKING:
    from cornet.training.content import Content

__all__ = ["SEED", "Job", "find_jobs", "job_of", "without_hydra"]

SEED = re.compile(r"seed=(-?\d+)")
_LONGEST = 60  # characters of a value that are shown
_OF_WEIGHTS = ("pretrained", "weights_url", "accept_hash")


class Job(NamedTuple):
    """One run of a sweep. overrides: as `train.py` takes them. words: what sets it apart from the others."""

    overrides: tuple[str, ...]
    words: str
    folder: Path
    finished: bool = False


def find_jobs(runs: Sequence[tuple[str, ...]], compose: Callable[[tuple[str, ...]], DictConfig]) -> list[Job]:
    """The jobs, looked at; those that differ in their seed alone are composed once."""
    words, found = words_of(runs), []
    contents: dict[str, Content] = {}
    composed: dict[tuple[str, ...], DictConfig] = {}
    for overrides, told in zip(runs, words, strict=True):
        seeds = [match for line in overrides if (match := SEED.fullmatch(line))]
        rest = tuple(line for line in overrides if not SEED.fullmatch(line))
        new = rest not in composed
        if new:
            composed[rest] = without_hydra(compose(overrides))
        with named(told if len(runs) > 1 else ""):
            if new:
                check(composed[rest])
            config = copy.deepcopy(composed[rest])
            if seeds:
                config.seed = int(seeds[-1][1])
            found.append(job_of(config, overrides, told, contents))
    return found


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy of a composed configuration, of what a run is."""
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    OmegaConf.set_struct(own, False)
    return own


@contextlib.contextmanager
def named(words: str) -> Iterator[None]:
    """Put the run's words before the sentence of an error."""
    try:
        yield
    except CornetError as error:
        raise CornetError(f"{words}: {error}" if words else str(error)) from None
    except OmegaConfBaseException as error:
        if (told := own_error(error)) is None:
            raise one_sentence(error) from None
        raise CornetError(f"{words}: {told}" if words else str(told)) from None


def check(config: DictConfig) -> None:
    """Raise CornetError for what cannot be trained, as far as that is known without images."""
    from cornet.instantiate import make
    from cornet.models import describe
    from cornet.training.build import plain
    from cornet.training.halving import check_halving
    from cornet.training.overrides import check_missing

    check_missing(config)
    check_halving(OmegaConf.select(config, "sweep.halving"))
    make(config.recipe, "recipe")
    given = plain(config.model)
    if "_target_" in given:  # a network of the user's own, which only the run itself builds
        return
    if given.get("num_classes") in ("auto", None):
        given["num_classes"] = 10  # any: it makes no network impossible
    name = given.pop("name")
    describe(name, **{key: value for key, value in given.items() if key not in _OF_WEIGHTS})


def job_of(
    config: DictConfig,
    overrides: tuple[str, ...],
    words: str = "",
    contents: "dict[str, Content] | None" = None,
) -> Job:
    """Where the run is, and whether that very run is finished there. contents: see `content_of`.

    Where the images are not at hand, as on the machine that submits a job, the path that was given stands for them.
    """
    from cornet.training.content import Content, content_of
    from cornet.training.run import place_of, resolved
    from cornet.training.run_folder import RunFolder
    from cornet.training.run_path import identity_of

    content = Content()
    with contextlib.suppress(CornetError):
        content = content_of(config, {} if contents is None else contents)
    path, _ = place_of(config, overrides, content)
    if config.get("fresh"):
        return Job(overrides, words, path)
    try:
        folder = RunFolder(path)
        if folder.finished is None:
            return Job(overrides, words, path)
        ours = json.loads(json.dumps(identity_of(resolved(content.in_place(config))), default=str))
        return Job(overrides, words, path, folder.read("identity.json") == ours)
    except (CornetError, OmegaConfBaseException, ValueError):
        return Job(overrides, words, path)  # the run itself says what is wrong


def words_of(runs: Sequence[tuple[str, ...]]) -> list[str]:
    """What sets each run apart from the others, in few words: "times.V4=4 seed=1"."""
    told = [dict(line.partition("=")[::2] for line in run) for run in runs]
    keys = [key for key in told[0] if len({one.get(key) for one in told}) > 1]
    each = [" ".join(f"{_short(key)}={_cut(one.get(key, ''))}" for key in keys) for one in told]
    return each if keys else ["the run" for _ in runs]


def _short(key: str) -> str:
    """Without its first part: times.V4 of model.times.V4, variants of experiment/variants."""
    parts = re.split(r"([./])", key.lstrip("+~").partition("@")[0], maxsplit=1)
    return parts[-1]


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
