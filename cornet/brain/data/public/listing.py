"""List the public brain data sets of the benchmarks, with the names and hashes of their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cornet.errors import CornetError

__all__ = ["BASE_URL", "KAR2019_PAGE", "PUBLIC", "PublicData", "PublicFile", "public_data"]

BASE_URL = "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore/"
"""Public URL of Brain-Score's files."""

KAR2019_PAGE = "https://github.com/kohitij-kar/image_metrics"
"""The authors' page with the download link for the object solution times."""


@dataclass(frozen=True)
class PublicFile:
    """A published file.

    sha1: hexadecimal; None if no hash was published. checked_by: in that case, the module whose function
    `problem(path)` checks the content and returns what is wrong, as text to follow the path, or "".
    """

    name: str
    sha1: str | None
    checked_by: str = ""


@dataclass(frozen=True)
class PublicData:
    """A public data set.

    summary: short description. content: numbers of stimuli, neuroids and trials.
    files: all files, stored in one folder.
    assembly, stimuli: Brain-Score's identifiers of the responses and the stimulus set, or "".
    degrees: visual angle of a stimulus.
    citation: the paper to cite.
    by_hand: instructions for data that must be downloaded manually, or "".
    """

    name: str
    summary: str
    content: str
    files: tuple[PublicFile, ...] = field(repr=False)
    degrees: float = 8.0
    citation: str = ""
    assembly: str = ""
    stimuli: str = ""
    by_hand: str = field(default="", repr=False)


def public_data(name: str) -> PublicData:
    """Return the public data set with this name. Raises CornetError if it is unknown."""
    if name not in PUBLIC:
        raise CornetError(f"the public data set {name!r} is unknown; choose one of {', '.join(PUBLIC)}.")
    return PUBLIC[name]


def _brainscore(assembly: tuple[str, str], stimuli: tuple[str, str, str], **known: object) -> PublicData:
    """Describe a Brain-Score data set. Files are named after its identifiers, with underscores for dots.

    assembly: identifier and SHA-1. stimuli: identifier, SHA-1 of the table (csv), SHA-1 of the images (zip).
    """
    responses, table = assembly[0].replace(".", "_"), stimuli[0].replace(".", "_")
    files = (
        PublicFile(f"assy_{responses}.nc", assembly[1]),
        PublicFile(f"stimulus_{table}.csv", stimuli[1]),
        PublicFile(f"stimulus_{table}.zip", stimuli[2]),
    )
    return PublicData(files=files, assembly=assembly[0], stimuli=stimuli[0], **known)  # type: ignore[arg-type]


PUBLIC: Mapping[str, PublicData] = {
    data.name: data
    for data in (
        _brainscore(
            ("dicarlo.MajajHong2015.public", "13d28ca0ce88ee550b54db3004374ae19096e9b9"),
            (
                "hvm-public",
                "5ca7a3da00d8e9c694a9cd725df5ba0ad6d735af",
                "8aa44e038d7b551efa8077467622f9d48d72e473",
            ),
            name="majajhong2015",
            summary="macaque V4 and IT: objects before natural scenes",
            content="148,480 presentations of 3,200 images x 256 neuroids (V4 88, IT 168)",
            citation="Majaj, Hong, Solomon, DiCarlo 2015 (J Neurosci 35:13402)",
        ),
        _brainscore(
            ("movshon.FreemanZiemba2013.public", "761c08f796db4e342555cdb60eef23a4f19ead43"),
            (
                "FreemanZiemba2013.aperture-public",
                "194c9b301a4e3e9cff02481d4c19b39331d52660",
                "3a6fec1fc28c212882d6833e267ea8654d289611",
            ),
            name="freemanziemba2013",
            summary="macaque V1 and V2: textures and noise",
            content="20 repetitions of 135 images x 205 neuroids (V1 102, V2 103), 1 ms bins",
            degrees=4.0,
            citation="Freeman, Ziemba, Heeger, Simoncelli, Movshon 2013 (Nat Neurosci 16:974)",
        ),
        _brainscore(
            ("dicarlo.Rajalingham2018.public", "34c6a8b6f7c523589c1861e4123232e5f7c7df4c"),
            (
                "objectome.public",
                "47884e17106a3be471d6481279cab33889b80850",
                "064f2955f98e63867755fee2e3ead8cddf6bfab8",
            ),
            name="rajalingham2018",
            summary="human choices between two of 24 objects",
            content="585,511 trials with 2,160 images",
            citation="Rajalingham, Issa, Bashivan, Kar, Schmidt, DiCarlo 2018 (J Neurosci 38:7255)",
        ),
        PublicData(
            name="kar2019",
            summary="macaque IT: object solution times (fetched by hand)",
            content="1,320 images of 10 objects with i1 and solution time, 70-250 ms",
            files=(PublicFile("dataset.h5", None, "cornet.brain.data.public.kar2019"),),
            citation="Kar, Kubilius, Schmidt, Issa, DiCarlo 2019 (Nat Neurosci 22:974)",
            by_hand=(
                "kar2019 must be fetched by hand: its authors distribute it, and no hash is published.\n"
                f"1. Open {KAR2019_PAGE} and download dataset.h5 from the link there.\n"
                "2. Run `cornet fetch kar2019 --from PATH`, which checks and copies the file, or place it at\n"
                "   {path}"
            ),
        ),
    )
}
"""Public data sets by the name that `cornet fetch` accepts."""
