"""Read a pickle as plain data, without importing or calling anything that it names.

A pickle is a program for a small stack machine, which can call any function of any module. `walk` runs that program
with two changes. A global is only a name. A call gives the value of a builder, from a table of ours, or else an
`Unread` object, which records the name and forgets the arguments and the state.
"""

import io
import pickletools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["MAX_OPERATIONS", "Global", "Unread", "walk"]

MAX_OPERATIONS = 5_000_000
"""Limit per pickle: an operation of one byte makes an object of up to about 100 bytes."""
MAX_NAME = 200
"""Of a global: longer names are shortened."""
MAX_BITS = 4096
"""Of an integer. Larger ones are not read: Python cannot print them."""

KEYS = (str, int, float, bool, bytes, type(None))
CONSTANTS: dict[str, Callable[[], Any]] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple},
    "EMPTY_SET": list,  # a list needs no hashes, which can take exponential time
    "NEXT_BUFFER": lambda: Unread("a buffer outside the pickle"),
}
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
ARGUMENTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
"""Operations that push their own argument."""


class Unread:
    """Stands for an object that was not made. name: of its class or of the function that returns it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name[:MAX_NAME]

    def __repr__(self) -> str:
        return f"<{self.name}, not read>"


class Global(Unread):
    """A name of a class or function that a pickle refers to."""

    __slots__ = ()


class State(ABC):
    """Base of values that take the state of a BUILD operation. All others ignore it."""

    __slots__ = ()

    @abstractmethod
    def set_state(self, state: Any) -> None: ...


Builder = Callable[..., Any]


def walk(
    file: io.BytesIO,
    builders: Mapping[str, Builder],
    constants: Mapping[str, Any],
    storage: Callable[[Any], Any],
) -> Any:
    """Read one pickle from the position of `file` and leave the position behind it.

    builders: functions by the name of the global that they replace; they get its arguments. constants: values of
    globals. storage: returns the value of a persistent id. Raises ValueError and other exceptions for a damaged pickle.
    """
    return Walker(builders, constants, storage).run(file)


class Walker:
    """The stack machine."""

    def __init__(
        self, builders: Mapping[str, Builder], constants: Mapping[str, Any], storage: Callable[[Any], Any]
    ) -> None:
        self.builders, self.constants, self.storage = builders, constants, storage
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}

    def run(self, file: io.BytesIO) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            name = opcode.name
            if count >= MAX_OPERATIONS:
                raise ValueError(f"it has more than {MAX_OPERATIONS:,} pickle operations")
            if name in ARGUMENTS:
                self.stack.append(small(argument))
            elif name in CONSTANTS:
                self.stack.append(CONSTANTS[name]())
            elif name == "STOP":
                return self.stack.pop()
            elif name not in ("PROTO", "FRAME", "READONLY_BUFFER"):
                OPERATIONS[name](self, argument)
        raise ValueError("its pickle does not end")

    def to_mark(self) -> list[Any]:
        """Remove and return the items above the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def mark(self, _: Any) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def pop_mark(self, _: Any) -> None:
        self.to_mark()

    def put(self, index: Any) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: Any) -> None:
        self.stack.append(self.memo[index])

    def tuple_of(self, length: int) -> None:
        items = tuple(self.stack[len(self.stack) - length :])
        if len(items) != length:
            raise ValueError("its pickle takes more items than there are")
        del self.stack[len(self.stack) - length :]
        self.stack.append(items)

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target += items
        elif not isinstance(target, Unread):
            raise ValueError(f"its pickle appends to {type(target).__name__}")

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict:
            target |= pairs(items)
        elif not isinstance(target, Unread):
            raise ValueError(f"its pickle sets items of {type(target).__name__}")

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def find(self, module: Any, name: Any) -> Any:
        """Return what stands for a global."""
        if not isinstance(module, str) or not isinstance(name, str):
            return Unread("a global without a name")
        if len(module) + len(name) > 10 * MAX_NAME:
            return Unread("a global with a long name")
        full = f"{PYTHON_2.get(module, module)}.{name}"
        return self.constants[full] if full in self.constants else Global(full)

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.find(module, name))

    def call(self, function: Any, arguments: Any) -> Any:
        """Return the value of a builder, or an object that is not read. Nothing else is ever called."""
        if type(function) is not Global:
            return (
                function if isinstance(function, Unread) else Unread(f"a call of {type(function).__name__}")
            )
        if function.name == "copyreg._reconstructor" and type(arguments) is tuple and arguments:
            return self.call(arguments[0], ())
        builder = self.builders.get(function.name)
        value = builder(*arguments) if builder and type(arguments) is tuple else NotImplemented
        return Unread(function.name) if value is NotImplemented else value

    def reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(function, arguments))

    def new_with_keywords(self, _: Any) -> None:
        keywords, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(function, None if keywords else arguments))

    def instance(self, name: str) -> None:
        arguments = tuple(self.to_mark())
        self.stack.append(self.call(self.find(*name.partition(" ")[::2]), arguments))

    def object_of(self, _: Any) -> None:
        function, *arguments = self.to_mark()
        self.stack.append(self.call(function, tuple(arguments)))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], State):
            self.stack[-1].set_state(state)


def small(value: Any) -> Any:
    """Return a value, or `Unread` for an integer that is too large."""
    return Unread("a huge int") if type(value) is int and value.bit_length() > MAX_BITS else value


def pairs(items: list[Any]) -> dict[Any, Any]:
    """Return a dict of keys and values in turn. Keys whose hash could take long are replaced."""
    if len(items) % 2:
        raise ValueError("its pickle sets a key without a value")
    keys = (key if isinstance(key, (*KEYS, Unread)) else Unread(type(key).__name__) for key in items[::2])
    return dict(zip(keys, items[1::2], strict=True))


def push(make: Callable[[Walker, Any], Any]) -> Callable[[Walker, Any], None]:
    """Return an operation that pushes what `make` returns."""

    def operation(machine: Walker, argument: Any) -> None:
        value = make(machine, argument)
        machine.stack.append(value)

    return operation


OPERATIONS: dict[str, Callable[[Walker, Any], None]] = {
    "MARK": Walker.mark,
    "POP": Walker.pop,
    "POP_MARK": Walker.pop_mark,
    "DUP": push(lambda machine, _: machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Walker.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Walker.get),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    **dict.fromkeys(("TUPLE", "FROZENSET"), push(lambda machine, _: tuple(machine.to_mark()))),
    "LIST": push(lambda machine, _: machine.to_mark()),
    "DICT": push(lambda machine, _: pairs(machine.to_mark())),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: machine.extend(machine.to_mark())),
    "SETITEM": Walker.set_item,
    "SETITEMS": lambda machine, _: machine.update(machine.to_mark()),
    "GLOBAL": push(lambda machine, name: machine.find(*name.partition(" ")[::2])),
    "STACK_GLOBAL": Walker.stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), push(lambda _, code: Unread(f"the pickle extension {code}"))),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Walker.reduce),
    "NEWOBJ_EX": Walker.new_with_keywords,
    "INST": Walker.instance,
    "OBJ": Walker.object_of,
    "BUILD": Walker.build,
    "PERSID": push(lambda machine, text: machine.storage(text)),
    "BINPERSID": push(lambda machine, _: machine.storage(machine.stack.pop())),
}
