"""Copy the code of networks into a folder, as a package that works under any name and without cornet.

The copied files are those that run when the networks' modules are imported. Imports inside functions are not followed:
they serve to read weight files, to draw HMAX's patches and to fetch, which a network with its weights never does.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import cornet
from cornet.errors import CornetError
from cornet.hashing import imported_names

__all__ = ["code_of", "made_relative", "write_code"]

ROOT = "cornet"
FOLDER = Path(cornet.__file__).parent


def write_code(folder: Path, modules: Iterable[str]) -> None:
    """Write these modules of cornet, with all that their import needs, as the package `folder`.

    Raises CornetError for a module outside cornet.
    """
    found = code_of(modules)
    for name, source in found.items():
        path = folder / file_of(name).relative_to(FOLDER)
        path.parent.mkdir(parents=True, exist_ok=True)
        note = f"# Copied from cornet {cornet.__version__} (MIT, see LICENSE), with relative imports.\n"
        path.write_text(note + made_relative(name, source), encoding="utf-8")
    for inner in {folder, *(path.parent for path in folder.rglob("*.py"))}:
        if not (inner / "__init__.py").exists():
            (inner / "__init__.py").write_text(
                '"""Code of networks, copied from cornet."""\n', encoding="utf-8"
            )


def code_of(modules: Iterable[str]) -> dict[str, str]:
    """{name: source} of these modules of cornet and of those that they import.

    Raises CornetError for a module outside cornet.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    for name in waiting:
        if name.partition(".")[0] != ROOT:
            raise CornetError(
                f"the network is defined in {name}, but --to brainscore copies the code of cornet alone; put the file "
                "below cornet/models."
            )
    while waiting:
        name = waiting.pop()
        if name in found or name == ROOT or not (path := file_of(name)).is_file():
            continue  # a name in a module, such as a class
        found[name] = path.read_text(encoding="utf-8")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        names = imported_names(run_on_import(ast.parse(found[name])), package)
        waiting += [one for one in names if one.startswith(f"{ROOT}.")]
    return dict(sorted(found.items()))


def file_of(name: str) -> Path:
    """The file of a module of cornet, or of what the name would be as a module."""
    place = FOLDER.joinpath(*name.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_name(f"{place.name}.py")


def run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """The syntax nodes of a file that run when it is imported: not in functions, nor for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from run_on_import(child)


def made_relative(name: str, source: str) -> str:
    """The source of a module of cornet with relative imports of cornet.

    Raises ValueError for `import cornet.x`, which has no relative form.
    """
    is_package = file_of(name).name == "__init__.py"
    dots = "." * (name.count(".") + is_package)
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == ROOT for alias in node.names):
            raise ValueError(f"line {node.lineno} of {name} imports cornet by name; import from it")
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if isinstance(node, ast.ImportFrom) and not node.level and module.partition(".")[0] == ROOT:
            inner = module.removeprefix(ROOT).removeprefix(".")
            old, new = f"from {module} import", f"from {dots}{inner} import"
            lines[node.lineno - 1] = lines[node.lineno - 1].replace(old, new, 1)
    return "".join(lines)
