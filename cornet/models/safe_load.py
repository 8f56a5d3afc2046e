"""Reading a checkpoint file without running anything that it holds."""

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

__all__ = ["looks_like_checkpoint", "read_checkpoint"]

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"  # of the files that torch wrote before 1.6


def looks_like_checkpoint(path: Path) -> bool:
    """Whether a file begins as torch's files do; a web page or a text does not."""
    with open_regular(path) as file:
        return file.read(len(ZIP)).startswith((ZIP, PICKLE))


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """A checkpoint file's content, on the CPU, with weights_only=True. Raises CornetError for damage, and for code."""
    path = Path(path)
    try:
        if not looks_like_checkpoint(path):
            raise CornetError(f"{path} is no checkpoint (torch.save did not write it); give another file.")
        check_sums(path)
        with warnings.catch_warnings():  # about pickle protocols, which do not matter to what is refused
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give the path of a checkpoint file.") from None
    except IsADirectoryError:
        raise CornetError(f"{path} is a folder; give the path of a checkpoint file.") from None
    except PermissionError:
        raise CornetError(f"{path} may not be read; mend its permissions or give another file.") from None
    except pickle.UnpicklingError as error:
        name = refused_name(str(error))
        if name is None:
            raise damaged(path, error) from None
        key = key_before(path, name)
        raise CornetError(
            f"{path} holds {name}{f' under {key!r}' if key else ''}, which is no tensor or plain data and could run "
            "code, so it was refused; have someone who trusts the file convert it, with d = torch.load(old, "
            "map_location='cpu', weights_only=False); torch.save({'state_dict': d['state_dict']}, new)."
        ) from None
    except CornetError:
        raise
    # Damaged bytes make the reader fail in any way at all; nothing of the file has been run.
    except Exception as error:
        raise damaged(path, error) from None
    if not isinstance(content, dict):
        raise CornetError(f"{path} holds {type(content).__name__}, not a dict of weights; give another file.")
    return content


def check_sums(path: Path) -> None:
    """Raise CornetError if a part of a zip file is compressed (torch never does) or differs from its checksum."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            packed = [part.filename for part in parts if part.compress_type != zipfile.ZIP_STORED]
            claimed = sum(part.file_size for part in parts)
            if packed or claimed > path.stat().st_size:
                why = f"{packed[0]} is packed" if packed else f"its parts claim {claimed:,} bytes"
                raise damaged(path, ValueError(f"{why}, as torch writes none"))
            if part := archive.testzip():
                raise damaged(path, ValueError(f"the checksum of {part} is wrong"))


def damaged(path: Path, error: Exception) -> CornetError:
    """The sentence for a file that torch cannot read."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].split(". ")[0].rstrip(".")[:120] if lines else type(error).__name__
    return CornetError(f"{path} is cut off, damaged or no checkpoint ({reason}); use another copy of it.")


def refused_name(reason: str) -> str | None:
    """The name of what the safe reader refused; None where it failed for another reason."""
    for pattern in (
        r"(?:GLOBAL|unsupported GLOBAL|function) ((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*) (?:was not|whose module)",
        r"reduce for unrecognized function (\S+)",
        r"via `add_safe_globals`,? but got (.+)",
    ):
        if found := re.search(pattern, reason):
            return found[1].rstrip(".")
    return None


def key_before(path: Path, name: str) -> str | None:
    """The key of the file's dict under which its pickle names a global, found without unpickling."""
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
    """The key of the outermost dict whose value names that global, by following what lies on the stack."""
    stack: list[tuple[int, Any]] = []  # where in the pickle a thing was made, and of which argument
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
            told = f".{str(argument).replace(' ', '.')}"
            where = position if told.endswith(f".{name}") else None  # builtins are told without their module
        del stack[keep:]
        if opcode.name == "MARK":
            marks.append(len(stack))
        stack += [(position or 0, argument)] * len(opcode.stack_after)
    before = [key for position, key in keys if where is not None and position < where]
    return before[-1] if before and isinstance(before[-1], str) else None
