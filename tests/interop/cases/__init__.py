"""The cases of make interop, one file per family. A family registers its cases in `ALL` when it is loaded."""
import dataclasses
import importlib
import pkgutil
from typing import Callable


class Skipped(Exception):
    """Why a case cannot run here."""


@dataclasses.dataclass
class Case:
    """A case: `run(stack, folder)` raises when it fails, and leaves to `stack` what it started."""
    name: str
    run: Callable
    deadline: int
    # Whether nothing else may run beside it, for what it measures.
    alone: bool


ALL = []


def add(name, run, deadline=120, alone=False):
    ALL.append(Case(name, run, deadline, alone))


def load():
    """Loads every family of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
