"""The public brain data that the benchmarks use: what they are, and under which names and hashes they are published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cornet.errors import CornetError

__all__ = ["BASE_URL", "KAR2019_PAGE", "PUBLIC", "PublicData", "PublicFile", "public_data"]

BASE_URL = "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore/"
"""Where Brain-Score's files lie, for anybody."""

KAR2019_PAGE = "https://github.com/kohitij-kar/image_metrics"
"""The authors' page, whose text links the file of object solution times."""


@dataclass(frozen=True)
class PublicFile:
    """A published file.

    sha1: in hexadecimal digits; None where none was published. checked_by: then the module whose function `problem`
    looks at the content: path -> what is wrong, as words that follow the path; "" if nothing is.
    """

    name: str
    sha1: str | None
    checked_by: str = ""


@dataclass(frozen=True)
class PublicData:
    """A public data set.

    summary: what it is. content: how much it holds.
    files: all of them, which lie together in one folder.
    assembly, stimuli: Brain-Score's identifiers of the responses and of the stimulus set; "" where it has none.
    degrees: visual angle that a stimulus spans.
    regions: areas that were recorded; none for behaviour.
    time_bin: of the responses that are compared, in ms after onset; None for behaviour.
    citation: of the paper to name.
    by_hand: where no program may fetch it: how a person gets it, in a few lines.
    """

    name: str
    summary: str
    content: str
    files: tuple[PublicFile, ...] = field(repr=False)
    degrees: float = 8.0
    regions: tuple[str, ...] = ()
    time_bin: tuple[int, int] | None = None
    citation: str = ""
    assembly: str = ""
    stimuli: str = ""
    by_hand: str = field(default="", repr=False)


def public_data(name: str) -> PublicData:
    """The public data of that name. Raises CornetError for an unknown one."""
    if name not in PUBLIC:
        raise CornetError(f"public data {name!r} are unknown; choose one of {', '.join(PUBLIC)}.")
    return PUBLIC[name]


def _brainscore(assembly: tuple[str, str], stimuli: tuple[str, str, str], **known: object) -> PublicData:
    """A data set of Brain-Score, whose files are named after its identifiers: dots become underscores.

    assembly: identifier and SHA-1. stimuli: identifier and the SHA-1 of its table (csv) and of its images (zip).
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
            regions=("V4", "IT"),
            time_bin=(70, 170),
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
            regions=("V1", "V2"),
            time_bin=(50, 200),
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
            regions=("IT",),
            time_bin=(70, 250),
            citation="Kar, Kubilius, Schmidt, Issa, DiCarlo 2019 (Nat Neurosci 22:974)",
            by_hand=(
                "kar2019 is fetched by hand: its authors give it out themselves, and no hash of it is published.\n"
                f"1. Open {KAR2019_PAGE} and download dataset.h5 by the link there.\n"
                "2. Run `cornet fetch kar2019 --from PATH`, which looks into the file and copies it, or place it at\n"
                "   {path}"
            ),
        ),
    )
}
"""By the name that `cornet fetch` takes."""
