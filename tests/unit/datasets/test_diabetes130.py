"""The set of 130 hospitals as made rows: order, codes, and one line when it is not what it should be."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.drugs import DRUGS
from workers.datasets import diabetes130
from workers.datasets.folder import DatasetError, data_folder

pa = pytest.importorskip("pyarrow", reason="reading data sets needs pyarrow: pip install 'wardstream[train]'")
pq = pytest.importorskip("pyarrow.parquet")


def table(rows: int = 3) -> dict[str, list]:
    """Two made patients, whose encounters lie in the wrong order."""
    columns: dict[str, list] = {drug: ["No"] * rows for drug in DRUGS}
    return columns | {
        "patient_nbr": [7, 7, 5], "encounter_id": [30, 20, 40], "gender": ["Male", "Male", "Unknown/Invalid"],
        "age": ["[70-80)", "[60-70)", "[90-100)"], "A1Cresult": [">8", "None", "Norm"],
        "max_glu_serum": ["None", ">200", "None"], "medical_specialty": ["Cardiology", None, "Radiologist"],
        "admission_type_id": [1, 3, 6], "admission_source_id": [7, 1, 17], "number_inpatient": [2, 0, 0],
        "number_emergency": [0, 1, 0], "number_outpatient": [0, 0, 3], "insulin": ["Up", "Steady", "No"],
        "metformin": ["Down", "No", "No"],
    }  # fmt: skip


def write(folder, columns):
    file = folder / diabetes130.FILE
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return folder


class TestReading:
    @pytest.fixture
    def found(self, tmp_path):
        return diabetes130.encounters(write(tmp_path, table()))

    def test_encounters_are_ordered_by_number_within_a_patient(self, found):
        assert found.patient.tolist() == ["diabetes130/5", "diabetes130/7", "diabetes130/7"]
        assert found.first.tolist() == [True, True, False]
        assert found.age_years.tolist() == [95, 65, 75]
        assert found.dose[:, DRUGS.index("insulin")].tolist() == [0, 1, 2]
        assert found.dose[:, DRUGS.index("metformin")].tolist() == [0, 0, 3]

    def test_what_was_not_measured_or_told_is_unknown(self, found):
        np.testing.assert_array_equal(found.a1c, [0, np.nan, 2])
        np.testing.assert_array_equal(found.glucose, [np.nan, 1, np.nan])
        np.testing.assert_array_equal(found.male, [np.nan, 1, 1])

    def test_kinds_have_a_column_each_and_others_none(self, found):
        assert found.admission.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
        assert found.source.sum(axis=1).tolist() == [0, 1, 1]
        assert found.specialty.sum(axis=1).tolist() == [0, 0, 1]
        assert found.visits.tolist() == [[0, 0, 3], [0, 1, 0], [2, 0, 0]]


class TestDamage:
    def test_a_missing_set_is_named(self, tmp_path):
        with pytest.raises(DatasetError, match="holds no diabetes130"):
            diabetes130.encounters(tmp_path)

    def test_a_missing_column_is_one_line(self, tmp_path):
        columns = table()
        del columns["insulin"]
        with pytest.raises(DatasetError, match="cannot be read") as error:
            diabetes130.encounters(write(tmp_path, columns))
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(("column", "cell"), [("insulin", "Sideways"), ("age", "old")])
    def test_a_cell_that_cannot_be_is_one_line(self, tmp_path, column, cell):
        with pytest.raises(DatasetError, match="is not the set of 130 hospitals") as error:
            diabetes130.encounters(write(tmp_path, table() | {column: ["No", cell, "No"]}))
        assert "\n" not in str(error.value)
        assert cell not in str(error.value)


def test_the_real_set_where_it_is_here():
    try:
        folder = data_folder()
        found = diabetes130.encounters(folder)
    except DatasetError as error:
        pytest.skip(f"the set of 130 hospitals is not here: {error}")
    assert found.dose.shape == (len(found.patient), 23)
    assert 0.6 < found.first.mean() < 0.8
