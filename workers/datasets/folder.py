"""Where the data sets lie, and one clear line when they do not.

A data folder holds one folder a set (physionet2019, physionet2012, kermany_cxr, mtsamples, nih_cxr).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

VARIABLE = "WARDSTREAM_DATA"
BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Beside the repository."""


class DatasetError(Exception):
    """A data set cannot be read; the message says which and what to do."""


def data_folder(option: Path | None = None) -> Path:
    """The data folder: the given one, else the environment's WARDSTREAM_DATA, else ../shared/data.

    Raises:
        DatasetError: It is no folder.
    """
    named = option or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    folder = named or BESIDE
    if not folder.is_dir():
        where = f"there is no folder {folder}" if named else "no data folder is given"
        raise DatasetError(f"{where}: name one with --data DIR or {VARIABLE}")
    return folder


def file_of(data: Path, name: str) -> Path:
    """A file of a set, `name` like "physionet2019/sepsis_hourly.parquet".

    Raises:
        DatasetError: It is not there.
    """
    file = data / name
    if not file.is_file():
        raise DatasetError(f"{data} holds no {name}: name a folder that does with --data DIR")
    return file


def table(file: Path, columns: list[str] | None = None, optional: frozenset[str] = frozenset()) -> Any:
    """A parquet file as an Arrow table: all of it, or `columns` and those of `optional` that it has.

    Raises:
        DatasetError: pyarrow is not installed, or the file is none of parquet or lacks a column.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DatasetError("reading data sets needs pyarrow: pip install 'wardstream[train]'") from error
    try:
        present = optional.intersection(parquet.read_schema(file).names)
        return parquet.read_table(file, columns=None if columns is None else [*columns, *sorted(present)])
    except (ArrowException, OSError) as error:
        raise DatasetError(f"{file} cannot be read as the parquet file of its set: {type(error).__name__}") from error


def numbers(file: Path, rows: Any, name: str, kind: type[np.float32 | np.float64] = np.float32) -> NDArray[Any]:
    """A column of `table` as numbers, NaN where there is none.

    Raises:
        DatasetError: It holds something else.
    """
    try:
        return np.asarray(rows[name], kind)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{file}: column {name} does not hold numbers alone") from error


def json_lines(file: Path, made_of: Callable[[Any], T], what: str) -> Iterator[T]:
    """Each line of a file as JSON, and what is made of it.

    Raises:
        DatasetError: A line is no JSON, or nothing can be made of it; names the line, not its content.
    """
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                made = made_of(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DatasetError(f"{file}, line {number}, is no {what}") from error
            yield made
