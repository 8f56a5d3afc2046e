"""Where torch keeps the code that it compiles."""

import os
import stat

from cornet.files import cache_folder

__all__ = ["keep_compiled_code"]

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
HEADERS = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"


def keep_compiled_code() -> None:
    """Set TORCHINDUCTOR_CACHE_DIR, unless it is set, to this user's cache, before torch compiles.

    Its default has a known name in the folder for temporary files, where other users could put code.
    """
    if os.environ.get(VARIABLE) or not hasattr(os, "geteuid"):
        return
    folder = cache_folder() / f"compiled-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(folder)
    except OSError:  # torch's own place must do
        return
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        os.environ[VARIABLE] = str(folder)
        # torch keeps precompiled headers among temporary files all the same
        os.environ[HEADERS] = os.environ.get(HEADERS) or "0"
