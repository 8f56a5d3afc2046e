"""Write the card of a run, or of several seeds of one configuration, as HTML or Markdown."""

from pathlib import Path

import cornet
from cornet.errors import CornetError, check_choice
from cornet.files import atomic_write
from cornet.report.card.blocks import FORMATS, Facts, Section, markdown, told
from cornet.report.card.citations import citation_section
from cornet.report.card.methods import methods_section
from cornet.report.card.model import architecture, model_section
from cornet.report.card.read import Recorded, read_recorded
from cornet.report.card.remarks import remarks_section
from cornet.report.card.results import accuracy_section, scores_section
from cornet.report.card.training import data_section, machine_section, recipe_section
from cornet.report.render import page, part

__all__ = ["card_text", "write_card"]


def write_card(run: Path | str, out: Path | str | None = None, form: str | None = None) -> Path:
    """Write the card of a run's folder, or of a folder with several seeds, and return its path.

    out: a file; None: card.html or card.md in the folder. form: html or md; None: by the ending of `out`, or html.
    Raises CornetError for another format, as `read_recorded` does, and if the file cannot be written.
    """
    target = None if out is None else Path(out).expanduser()
    form = form or ("md" if target is not None and target.suffix == ".md" else "html")
    check_choice("format", form, FORMATS)
    if target is not None and target.is_dir():
        raise CornetError(f"{target} is a folder; name the file to write, such as {target / f'card.{form}'}.")
    recorded = read_recorded(run)
    target = target or recorded.folder / f"card.{form}"
    atomic_write(target, card_text(recorded, form))
    return target


def card_text(recorded: Recorded, form: str = "html") -> str:
    """Return the card as text. form: one of `FORMATS`."""
    title = f"{recorded.network or 'A network'} on {recorded.data or 'images'}, {recorded.seeds}"
    built = architecture(recorded)
    machine = machine_section(recorded, cornet.__version__)
    sections = [
        _overview(recorded),
        model_section(recorded, built),
        data_section(recorded),
        recipe_section(recorded),
        machine,
        accuracy_section(recorded),
        scores_section(recorded),
        remarks_section(recorded),
        methods_section(recorded, built),
        citation_section(recorded),
    ]
    if form == "md":
        return markdown(title, sections)
    return page(title, [part("card.sections", sections=sections)])


def _overview(recorded: Recorded) -> Section:
    name = "/".join(recorded.folder.absolute().parts[-2:])
    state = "finished" if recorded.summary else "not finished: results so far"
    identifier = told(recorded.config.get("name"))
    return Section("", [Facts([("run", f"{name} (name {identifier}), {recorded.seeds}"), ("state", state)])])
