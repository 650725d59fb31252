"""Files of pairs for face verification, as LFW's."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from facehall.errors import FacehallError

COLUMNS = ("same", "a", "b")


@dataclass(frozen=True)
class VerificationPairs:
    """Pairs of pictures that show the same person or two persons.

    Attributes:
        path: the file.
        names: the pictures; a picture's number is its place here.
        rows: numbers of both pictures, and whether they show the same person.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[tuple[int, int, bool], ...]

    @classmethod
    def read(cls, path: Path) -> VerificationPairs:
        """Read a CSV file with a header and the columns same (1 or 0), a and b (names of files); others are ignored.

        Raises:
            FacehallError: the file is missing or is no such table, or has no pair of the same person.
        """
        try:
            with path.open(encoding="utf-8", newline="") as file:
                table = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FacehallError(f"The pairs {path} cannot be read: {error}. Check metrics.measures.") from error
        rows = []
        for line, row in enumerate(table, 2):
            if any(not row.get(column) for column in COLUMNS) or row["same"] not in ("0", "1"):
                raise FacehallError(
                    f"The pairs {path}, line {line}: expected the columns same (1 or 0), a and b, names of pictures."
                )
            rows.append((row["a"], row["b"], row["same"] == "1"))
        if not any(same for _, _, same in rows):
            raise FacehallError(f"The pairs {path} name no pair of the same person: nothing can be verified.")
        names = tuple(sorted({name for a, b, _ in rows for name in (a, b)}))
        number = {name: place for place, name in enumerate(names)}
        return cls(path, names, tuple((number[a], number[b], same) for a, b, same in rows))

    def number(self, name: str) -> int:
        """Return the number of a picture of a data set, whose name may have folders or lack the suffix.

        Raises:
            FacehallError: no pair names the picture.
        """
        known = self._numbers()
        for each in (name, Path(name).name, Path(name).stem):
            if each in known:
                return known[each]
        raise FacehallError(
            f"The pairs {self.path} do not name the picture {name}: choose the set that they belong to."
        )

    def _numbers(self) -> dict[str, int]:
        return {each: place for place, name in enumerate(self.names) for each in (name, Path(name).stem)}
