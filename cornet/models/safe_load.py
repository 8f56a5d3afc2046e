"""Read checkpoint files without executing code from them."""

import pickle
import pickletools
import re
import warnings
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["ContentError", "looks_like_checkpoint", "read_checkpoint", "refused_error"]

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"  # first byte of files from torch before 1.6


class ContentError(CornetError):
    """The content of a file is damaged or holds objects, so that `read_checkpoint` refuses it."""


def looks_like_checkpoint(path: Path) -> bool:
    """Return whether a file starts with the signature of torch.save (a web page does not)."""
    with open_regular(path) as file:
        return file.read(len(ZIP)).startswith((ZIP, PICKLE))


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """Load a checkpoint on the CPU with weights_only=True. Raises CornetError if it is damaged or holds code.

    Training resumes from this. For weights alone, `cornet.models.weight_files` reads more kinds of files.
    """
    path = Path(path)
    try:
        if not looks_like_checkpoint(path):
            raise CornetError(f"{path} is not a checkpoint (torch.save did not write it); give another file.")
        check_archive(path)
        with warnings.catch_warnings():  # pickle protocol warnings do not matter here
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give the path of a checkpoint file.") from None
    except IsADirectoryError:
        raise CornetError(f"{path} is a folder; give the path of a checkpoint file.") from None
    except PermissionError:
        raise CornetError(f"{path} is not readable; fix its permissions, or give another file.") from None
    except pickle.UnpicklingError as error:
        name = refused_global(str(error))
        if name is None:
            raise ContentError(str(damaged_error(path, error))) from None
        raise refused_error(path, name, key_of_global(path, name)) from None
    except CornetError:
        raise
    # Damaged files can raise any exception in the reader; no code of the file has run.
    except Exception as error:
        raise ContentError(str(damaged_error(path, error))) from None
    if not isinstance(content, dict):
        raise CornetError(f"{path} holds {type(content).__name__}, not a dict of weights; give another file.")
    return content


def refused_error(
    label: object, name: str, key: str | None, weights: str = "d['state_dict']"
) -> ContentError:
    """Return the error for an object in place of plain data.

    key: of the dict that holds it, if known. weights: the code that gives the weights of the content d.
    """
    return ContentError(
        f"{label} holds {name}{f' under {key!r}' if key else ''}, which is neither a tensor nor plain data and "
        "could execute code, so it was refused; if you trust the file, convert it with d = torch.load(old, "
        f"map_location='cpu', weights_only=False); torch.save({{'state_dict': {weights}}}, new)."
    )


def check_archive(path: Path) -> None:
    """Raise CornetError if a zip entry is compressed (torch never compresses) or has a wrong checksum."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            packed = [part.filename for part in parts if part.compress_type != zipfile.ZIP_STORED]
            claimed = sum(part.file_size for part in parts)
            if packed or claimed > path.stat().st_size:
                why = f"{packed[0]} is compressed" if packed else f"its entries claim {claimed:,} bytes"
                raise damaged_error(path, ValueError(f"{why}, which torch never writes"))
            if part := archive.testzip():
                raise damaged_error(path, ValueError(f"the checksum of {part} is wrong"))


def damaged_error(path: Path, error: Exception) -> CornetError:
    """Return the error for a file that torch cannot read."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].split(". ")[0].rstrip(".")[:120] if lines else type(error).__name__
    return CornetError(f"{path} is truncated, damaged or not a checkpoint ({reason}); use another copy.")


def refused_global(reason: str) -> str | None:
    """Extract the global that weights_only refused from its message; None if it failed for another reason."""
    for pattern in (
        r"(?:GLOBAL|unsupported GLOBAL|function) ((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*) (?:was not|whose module)",
        r"reduce for unrecognized function (\S+)",
        r"via `add_safe_globals`,? but got (.+)",
    ):
        if found := re.search(pattern, reason):
            return found[1].rstrip(".")
    return None


def key_of_global(path: Path, name: str) -> str | None:
    """Find the top-level key whose value uses a global, without unpickling. None if unknown."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inner = next(entry for entry in archive.namelist() if entry.endswith("data.pkl"))
                return key_in_pickle(archive.read(inner), name)
        with path.open("rb") as file:
            for _ in range(4):  # before 1.6: a magic number, the protocol, the system, then the content
                if found := key_in_pickle(file, name):
                    return found
    except (OSError, ValueError, StopIteration, IndexError, zipfile.BadZipFile):
        pass
    return None


def key_in_pickle(pickled: Any, name: str) -> str | None:
    """Find the key of the outermost dict whose value uses a global, by simulating the pickle stack."""
    stack: list[tuple[int, Any]] = []  # position and argument of the opcode that pushed each item
    marks: list[int] = []
    keys: list[tuple[int, Any]] = []  # of the outermost dict
    where = None
    for opcode, argument, position in pickletools.genops(pickled):
        taken = opcode.stack_before
        if pickletools.markobject in taken:
            keep = marks.pop() - taken.index(pickletools.markobject)
        else:
            keep = len(stack) - len(taken)
        if keep == 0 and opcode.name == "SETITEM":
            keys.append(stack[1])
        if keep == 0 and opcode.name == "SETITEMS":
            keys += stack[2::2]
        if opcode.name == "GLOBAL" and where is None:
            qualified = f".{str(argument).replace(' ', '.')}"
            where = position if qualified.endswith(f".{name}") else None  # builtins come without their module
        del stack[keep:]
        if opcode.name == "MARK":
            marks.append(len(stack))
        stack += [(position or 0, argument)] * len(opcode.stack_after)
    before = [key for position, key in keys if where is not None and position < where]
    return before[-1] if before and isinstance(before[-1], str) else None
