"""The floors of the library: a module imports from its own floor and those below it, never from above."""

import ast
from pathlib import Path

import studylib

SOURCE = Path(studylib.__file__).parent

FLOORS = [
    {"errors", "paths", "sources", "text"},
    {"params"},
    {"progress", "execution", "cluster", "machine"},
    {"data"},
    {"evaluation"},
    {"models"},
    {"kept", "grid", "scale", "comparison", "tuning", "budget"},
    {"tables", "papers"},
    {"figures", "report", "api"},
    {"notebook", "outputs", "provenance", "runner", "verify", "lines", "serve", "new", "cli"},
]
"""The rooms of `src/studylib`, from the ground up. The package itself (its version) is below all of them."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported(module: Path) -> set[str]:
    """The rooms that a module imports from, also within its functions and for its annotations."""
    rooms = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides where it goes"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("studylib.")}
    return rooms - {"__version__"}


def test_every_module_is_in_a_room_of_the_plan():
    rooms = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")}
    assert rooms - {"__init__", "__main__"} == set(FLOOR)


def test_no_module_imports_from_a_floor_above():
    def floor_of(module: Path) -> int:
        name = module.relative_to(SOURCE).parts[0].removesuffix(".py")
        return {"__init__": -1, "__main__": len(FLOORS)}.get(name, FLOOR.get(name, -1))

    upward = [
        f"{module.relative_to(SOURCE)} imports {room}"
        for module in SOURCE.rglob("*.py")
        for room in imported(module)
        if FLOOR[room] > floor_of(module)
    ]
    assert upward == []
