"""Set the cache folder of code that torch compiles."""

import os
import stat

from cornet.files import cache_folder

__all__ = ["keep_compiled_code"]

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
HEADERS = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"


def keep_compiled_code() -> None:
    """Set TORCHINDUCTOR_CACHE_DIR to a folder in this user's cache, unless it is already set.

    Call this before torch compiles. torch's default is a predictable path among temporary files, where other users
    could plant code.
    """
    if os.environ.get(VARIABLE) or not hasattr(os, "geteuid"):
        return
    folder = cache_folder() / f"compiled-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(folder)
    except OSError:  # fall back to torch's default
        return
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        os.environ[VARIABLE] = str(folder)
        # torch ignores the variable for precompiled headers and writes them to the temporary folder
        os.environ[HEADERS] = os.environ.get(HEADERS) or "0"
