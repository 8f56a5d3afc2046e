"""A made-up public data set of three files, and what fetching it leaves."""

import hashlib
import sys

import numpy as np
import pytest

from cornet import CornetError
from cornet.brain.data.public.fetching import fetch, require
from cornet.brain.data.public.listing import PublicData, PublicFile

NAMES = ("assy_some_Data2020_public.nc", "stimulus_some-public.csv", "stimulus_some-public.zip")


def described(content):
    files = tuple(PublicFile(name, hashlib.sha1(data).hexdigest()) for name, data in content.items())
    return PublicData(name="some2020", summary="", content="", files=files)


SIZES = zip(NAMES, (40_000, 300, 9_000), strict=True)
CONTENT = {name: np.random.default_rng(size).bytes(size) for name, size in SIZES}
DATA = described(CONTENT)


def refused(*arguments, data=DATA, **more):
    with pytest.raises(CornetError) as caught:
        fetch(data, *arguments, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def complete(folder):
    assert visible(folder) == sorted(NAMES)
    return all((folder / name).read_bytes() == data for name, data in CONTENT.items())


def script(folder, url, before=""):
    """The command of a process that fetches the set, after it ran other code."""
    code = (
        f"{before}\nfrom cornet.brain.data.public.listing import PublicData, PublicFile\n"
        "from cornet.brain.data.public.fetching import fetch\n"
        f"data = PublicData(name='some2020', summary='', content='', files={DATA.files!r})\n"
        f"print(fetch(data, {url!r}, {str(folder)!r}))"
    )
    return [sys.executable, "-c", code]


def locate(data, folder=None):
    """The folder that `require` returns, or None."""
    try:
        return require(data, folder)
    except CornetError:
        return None
