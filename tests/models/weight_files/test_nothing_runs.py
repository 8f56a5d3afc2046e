"""Hostile pickles: nothing in them is called or imported, no file is written, and memory stays bounded."""

import contextlib
import copyreg
import pickle
import sys
from pathlib import Path

import pytest
import torch

from cornet.errors import CornetError
from cornet.models.weight_files import extract_weights, read_weight_file
from cornet.models.weight_files.pickle_walker import Unread
from tests.helpers.faults.watched import Watched
from tests.helpers.models.hostile_files import file_with, text

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}
RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "exec", "compile", "import"}
CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.putenv", "socket.connect"}

watching: list[str] | None = None


def watch(event: str, arguments: tuple) -> None:
    """Note what a reader must never do. An audit hook stays for good, so it has a switch."""
    if watching is None:
        return
    opens = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in RUNS | CHANGES or opens:
        watching.append(f"{event} {arguments!r}"[:200])


sys.addaudithook(watch)


@pytest.fixture
def events():
    """What happens in the test from here on."""
    global watching
    watching = []
    yield watching
    watching = None


def touch(marker: Path) -> bytes:
    return text(f"touch {marker}")


SYSTEM = b"cos\nsystem\n"
EXTENSION = 0xF0
PIECES = {
    "reduce": lambda m: SYSTEM + touch(m) + b"\x85R",
    "reduce, by the name of its module": lambda m: b"cposix\nsystem\n" + touch(m) + b"\x85R",
    "nested in arguments": lambda m: b"cbuiltins\nrepr\n(" + SYSTEM + touch(m) + b"\x85RtR",
    "in arguments of an allowed builder": lambda m: (
        b"ccollections\nOrderedDict\n(" + SYSTEM + touch(m) + b"\x85RtR"
    ),
    "as a key": lambda m: b"}" + SYSTEM + touch(m) + b"\x85RK\x01s",
    "a program": lambda m: b"csubprocess\ncall\n(]" + text("touch") + b"a" + text(str(m)) + b"atR",
    "build calls __setstate__": lambda m: (
        b"ctypes\nSimpleNamespace\n)R}" + text("__setstate__") + SYSTEM + b"sb" + touch(m) + b"b"
    ),
    "instance": lambda m: b"(" + touch(m) + b"ios\nsystem\n",
    "object": lambda m: b"(" + SYSTEM + touch(m) + b"o",
    "global from the stack": lambda m: text("os") + text("system") + b"\x93" + touch(m) + b"\x85R",
    "extension": lambda m: b"\x82" + bytes([EXTENSION]) + touch(m) + b"\x85R",
    "getattr": lambda m: (
        b"cbuiltins\ngetattr\n(cpathlib\nPosixPath\n" + text("touch") + b"tR(cpathlib\nPosixPath\n"
        + text(str(m)) + b"\x85RtR"
    ),
    "eval": lambda m: b"cbuiltins\neval\n" + text(f"__import__('pathlib').Path({str(m)!r}).touch()") + b"\x85R",
    "exec": lambda m: b"cbuiltins\nexec\n" + text(f"__import__('pathlib').Path({str(m)!r}).touch()") + b"\x85R",
    "map, then list": lambda m: (
        b"cbuiltins\nlist\n(cbuiltins\nmap\n(" + SYSTEM + b"]" + touch(m) + b"atRtR"
    ),
    "apply of functools": lambda m: b"cfunctools\npartial\n(" + SYSTEM + touch(m) + b"tR)R",
    "a module that runs": lambda m: (
        b"crunpy\nrun_module\n" + text("this") + b"\x85R0" + SYSTEM + touch(m) + b"\x85R"
    ),
    "an entry of the memo replaced": lambda m: (
        b"cbuiltins\nlen\nr\xff\xff\x00\x000" + SYSTEM + b"r\xff\xff\x00\x000j\xff\xff\x00\x00"
        + touch(m) + b"\x85R"
    ),
    "our own code": lambda m: b"ccornet.files\natomic_write\n(cpathlib\nPosixPath\n" + text(str(m)) + b"\x85RC\x01xtR",
    "a pickle inside": lambda m: (
        b"c_pickle\nloads\nC" + bytes([len(SYSTEM + touch(m)) + 3]) + SYSTEM + touch(m) + b"\x85R." + b"\x85R"
    ),
}  # fmt: skip
"""Operations that push one value, and that make the marker where a pickle is trusted."""


@pytest.mark.parametrize("where", ["beside", "inside", "old"])
@pytest.mark.parametrize("name", PIECES)
def test_what_would_run_is_never_called(name, where, tmp_path, request):
    copyreg.add_extension("os", "system", EXTENSION)
    request.addfinalizer(lambda: copyreg.remove_extension("os", "system", EXTENSION))
    marker = tmp_path / "marker"
    piece = PIECES[name](marker)
    path = file_with(piece, tmp_path / "x.pth", STATE, where == "inside", where == "old")
    read_weight_file(file_with(b"N", tmp_path / "warm.pth", STATE))  # imports what the readers need
    events = request.getfixturevalue("events")
    content = read_weight_file(path)
    if where == "inside":
        with pytest.raises(
            CornetError, match=r"x\.pth holds \S.* under 'odd', (which is neither|not) a tensor"
        ) as error:
            extract_weights(content, str(path), [STATE])
        assert str(error.value).count(". ") == 0
    else:
        found = extract_weights(content, str(path), [STATE])
        assert all(torch.equal(found.tensors[key], value) for key, value in STATE.items())
        assert list(found.unread) == ["odd"]
    assert events == []
    assert not marker.exists()
    with contextlib.suppress(TypeError):  # of what gets the result
        pickle.loads(b"\x80\x04" + piece + b".")
    assert marker.exists()  # it is hostile indeed


@pytest.mark.parametrize(
    "piece",
    [
        b"Pos.system\n",  # persistent ids
        text("os.system") + b"Q",
        b"(" + text("module") + b"cos\nsystem\n" + text("/etc/passwd") + text("x") + b"tQ",
        b"(" + text("storage") + b"cos\nsystem\n" + text("0") + text("cpu") + b"K\x03tQ",
        b"ctorch\nload\n" + text("/etc/passwd") + b"\x85R",
        b"ctorch.storage\n_load_from_bytes\nC\x04\x80\x02K\x01\x85R",
        b"cthis\ns\n",  # importing it would print
        b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\nK\x00\x85C\x01btR(K\x01K\x03\x85cos\nsystem\n\x89C\x01xtb",
        b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\ncos\nsystem\n" + text("true") + b"\x85}tR",
        b"ctorch.nn.parameter\nParameter\n(N}" + text("__init__") + b"K\x01stb",  # would change the class
        b"ctorch._utils\n_rebuild_parameter\n(cos\nsystem\n\x88}tR",
        b"csubprocess\nPopen\n(" + text("true") + b"t\x81",
        b"csubprocess\nPopen\n)}" + text("args") + text("true") + b"s\x92",
        b"\x97",
    ],
)
def test_odd_operations_are_read_as_nothing(piece, tmp_path, request):
    path = file_with(piece, tmp_path / "x.pth", STATE)
    read_weight_file(file_with(b"N", tmp_path / "warm.pth", STATE))
    before = set(sys.modules)
    init = torch.nn.Parameter.__init__
    events = request.getfixturevalue("events")
    content = read_weight_file(path)
    assert events == []
    assert "this" not in set(sys.modules) - before
    assert torch.nn.Parameter.__init__ is init
    assert torch.equal(extract_weights(content, "x", [STATE]).tensors["weight"], STATE["weight"])
    assert "odd" in extract_weights(content, "x", [STATE]).unread


@pytest.mark.parametrize(
    "piece",
    [
        b"",  # nothing is pushed
        b"R",
        b"h\xee",
        b"t",
        b"u",
        b"K\x01K\x02a",
        b"K\x01K\x02K\x03s",
        b"(K\x01d",
        b"\x87\x87\x87",
        b"\xff",
        b"X\xff\xff\xff\x7fabc",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"I123abc\n",
        b"Sabc\n",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
        b"(" * 1000,
        b"." * 3,
    ],
)
def test_broken_pickles_are_one_sentence(piece, tmp_path):
    path = file_with(piece, tmp_path / "x.pth", STATE)
    with pytest.raises(CornetError, match=r"x\.pth ") as error:
        extract_weights(read_weight_file(path), str(path), [STATE])
    assert "\n" not in str(error.value)


UNKNOWN = b"cmine\nThing\n)R0"  # so that the first reader refuses the file
DEEP = 50_000
LARGE = {
    "deep lists": b"]" * DEEP + b"a" * (DEEP - 1),
    "deep tuples": b"N" + b"\x85" * DEEP,
    "deep tuples as a key": b"}N" + b"\x85" * DEEP + b"K\x01s",
    "a key whose hash takes exponential time": b"}K\x01" + b"q\x01h\x01\x86" * 200 + b"K\x01s",
    "marks": b"(" * DEEP + b"1" * DEEP + b"N",
    "a far memo": b"Nr\xff\xff\xff\xff",
    "many memos": b"N" + b"\x94" * DEEP,
    "dicts": b"(" + b"}" * DEEP + b"t",
    "sets": b"(" + b"\x8f" * DEEP + b"t",
    "a dict copied again and again": (
        b"}q\x01(" + b"".join(text(f"{i:05}") + b"N" for i in range(20_000)) + b"u0"
        b"(" + b"ccollections\nOrderedDict\nq\x02" + b"h\x02h\x01\x85R" * 10_000 + b"t"
    ),
    "pairs copied again and again": (
        b"((NN\x86q\x03" + b"h\x03" * 20_000 + b"lq\x01"
        b"ccollections\nOrderedDict\nq\x02" + b"h\x02h\x01\x85R" * 10_000 + b"t"
    ),
    "bytes copied again and again": (
        text("x" * 400_000) + b"q\x010" + text("latin1") + b"q\x020(c_codecs\nencode\nq\x03"
        + b"h\x03h\x01h\x02\x86R" * 10_000 + b"t"
    ),
    "a long name again and again": text("x" * 400_000) + b"q\x010(" + b"h\x01h\x01\x93" * 10_000 + b"t",
    "a bytearray of a size": b"cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R",
    "tensors over nothing": (
        b"(" + b"ctorch._utils\n_rebuild_tensor_v2\nq\x01(" + b"(" + text("storage")
        + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQK\x00K\x01\x85K\x01\x85\x89Ntq\x02"
        + b"h\x01h\x02R" * 10_000 + b"t"
    ),
    "a tensor of a huge shape": (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0")
        + text("cpu") + b"K\x06tQK\x00\x8a\x07\x00\x00\x00\x00\x00\x00\x10\x85K\x01\x85\x89NtR"
    ),
    "a storage of a huge size": (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
        + b"\x8a\x07\x00\x00\x00\x00\x00\x00\x10tQ"
    ),
    "an integer of many digits": b"\x8b" + (100_000).to_bytes(4, "little") + b"\x7f" * 100_000,
}  # fmt: skip


def read_in_bounds(folder: Path) -> None:
    """Read the file of a test, and walk over all that was read."""
    content = read_weight_file(folder / "x.pth")
    extract_weights(content, "x.pth", [STATE])


@pytest.fixture(scope="module")
def watched():
    read_weight_file  # noqa: B018 -- imported before the fork
    found = Watched()
    yield found
    found.stop()


@pytest.mark.slow  # starts Python for each file
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
@pytest.mark.parametrize("name", LARGE)
def test_memory_and_time_stay_bounded(name, old, watched, tmp_path):
    file_with(UNKNOWN + LARGE[name], tmp_path / "x.pth", STATE, old=old)
    watched.read(read_in_bounds, tmp_path).check(name)


def test_the_number_of_operations_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("cornet.models.weight_files.pickle_walker.MAX_OPERATIONS", 1000)
    few = file_with(UNKNOWN + b"N0" * 100 + b"N", tmp_path / "few.pth", STATE)
    assert read_weight_file(few)["odd"] is None
    with pytest.raises(CornetError, match=r"many\.pth holds mine.Thing"):
        read_weight_file(file_with(UNKNOWN + b"N0" * 1000 + b"N", tmp_path / "many.pth", STATE))


def test_the_number_of_tensors_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("cornet.models.weight_files.torch_file.MAX_TENSORS", 1)
    with pytest.raises(CornetError, match=r"many\.pth holds mine\.Thing"):
        read_weight_file(file_with(UNKNOWN + b"N", tmp_path / "many.pth", STATE))


def test_a_placeholder_cannot_be_called():
    assert not callable(Unread("os.system"))
    assert repr(Unread("os.system")) == "<os.system, not read>"
