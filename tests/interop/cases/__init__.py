"""The cases of make interop, one file per family. A family registers its cases in `ALL` when it is imported."""
import dataclasses
from typing import Callable


class Skipped(Exception):
    """Why a case cannot run here."""


@dataclasses.dataclass
class Case:
    """`run(stack, folder)` raises when the case fails; what it starts belongs to `stack`."""
    name: str
    run: Callable
    deadline: int


ALL = []


def add(name, run, deadline=120):
    ALL.append(Case(name, run, deadline))
