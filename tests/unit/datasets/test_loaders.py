import json
from collections import Counter

import numpy as np
import pytest

from models.columns import INDEX
from workers.datasets import kermany, mts_dialog, mtsamples, physionet2012, physionet2019
from workers.datasets.films import films
from workers.datasets.folder import VARIABLE, DatasetError, data_folder, file_of, table

pa = pytest.importorskip("pyarrow", reason="reading data sets needs pyarrow: pip install 'wardstream[train]'")
pq = pytest.importorskip("pyarrow.parquet")


def write(data, name, columns):
    file = data / name
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), file)


@pytest.fixture
def sepsis(tmp_path):
    """Two made stays, one of three hours and one of one."""
    columns = {name: [np.nan] * 4 for name in physionet2019.COLUMN_OF}
    columns |= {
        "HR": [80.0, np.nan, 90.0, 100.0], "Creatinine": [1.0, np.nan, np.nan, 2.0], "FiO2": [0.4, np.nan, 40.0, 0.21],
        "Hgb": [10.0] * 4, "BUN": [10.0] * 4, "Glucose": [100.0] * 4, "Bilirubin_total": [1.0] * 4,
        "PaCO2": [40.0] * 4, "Magnesium": [2.0] * 4, "Calcium": [8.0, 1.1, 8.0, 8.0],
        "patient_id": [7, 7, 7, 9], "Age": [61.0, 61.0, 61.0, 40.0], "Gender": [1, 1, 1, 0], "ICULOS": [2, 3, 4, 1],
        "SepsisLabel": [0, 1, 1, 0], "Unit1": [0.0] * 3 + [np.nan], "Unit2": [1.0] * 3 + [np.nan],
    }  # fmt: skip
    write(tmp_path, physionet2019.FILE, columns)
    return list(physionet2019.stays(tmp_path))


class TestPhysioNet2019:
    def test_one_stay_a_patient_with_hours_and_labels(self, sepsis):
        assert [stay.patient_id for stay in sepsis] == ["7", "9"]
        assert sepsis[0].time_h.tolist() == [2, 3, 4]
        assert sepsis[0].label.tolist() == [0, 1, 1]
        assert [(stay.age_years, stay.male) for stay in sepsis] == [(61.0, 1.0), (40.0, 0.0)]

    def test_the_unit_is_told_where_the_set_tells_it(self, sepsis):
        assert [stay.unit for stay in sepsis] == ["SICU", "unknown"]

    @pytest.mark.parametrize(
        ("column", "value"),
        [("pulse", 80), ("creatinine", 88.42), ("fio2", 40), ("haemoglobin", 100), ("urea", 3.57), ("glucose", 5.55),
         ("bilirubin", 17.1), ("paco2_kpa", 5.333), ("magnesium", 0.8228)],
    )  # fmt: skip
    def test_units_are_those_of_the_clinical_table(self, sepsis, column, value):
        assert sepsis[0].values[0, INDEX[column]] == pytest.approx(value, rel=1e-3)

    def test_unmeasured_and_implausible_values_are_missing(self, sepsis):
        values = sepsis[0].values
        assert np.isnan(values[1, INDEX["pulse"]])
        assert np.isnan(values[2, INDEX["fio2"]])
        assert np.isnan(values[1, INDEX["calcium"]])
        assert values.dtype == np.float32


class TestPhysioNet2012:
    @pytest.fixture
    def stays(self, tmp_path):
        """Two made stays whose lines lie mixed up."""
        lines = [
            (2, 30, "HR", 70.0), (1, 5, "NISysABP", 120.0), (1, 5, "SysABP", 130.0), (1, 0, "Age", 50.0),
            (1, 0, "Gender", -1.0), (2, 0, "Age", 80.0), (2, 0, "Gender", 0.0), (1, 65, "HR", 90.0),
            (1, 65, "Mg", 2.0), (1, 70, "HR", -1.0), (1, 80, "Urine", 100.0), (2, 10, "NISysABP", 0.0),
            (1, 20, "Urine", 60.0), (1, 0, "Weight", 50.0), (1, 0, "ICUType", 4.0),
        ]  # fmt: skip
        record, minute, name, value = (list(column) for column in zip(*lines, strict=True))
        write(
            tmp_path,
            physionet2012.EVENTS,
            {
                "RecordID": pa.array(record, pa.int32()), "minute": pa.array(minute, pa.int16()),
                "Parameter": pa.array(name).dictionary_encode(), "Value": pa.array(value, pa.float32()),
            },
        )  # fmt: skip
        (tmp_path / physionet2012.OUTCOMES).write_text("set,RecordID,SAPS-I,In-hospital_death\na,1,16,1\na,2,-1,0\n")
        return list(physionet2012.stays(tmp_path))

    def test_one_row_a_recorded_minute_with_the_outcome(self, stays):
        assert [stay.patient_id for stay in stays] == ["1", "2"]
        np.testing.assert_allclose(stays[0].time_h, [5 / 60, 65 / 60, 80 / 60])
        assert stays[0].label.tolist() == [1, 1, 1]
        assert stays[1].label[0] == 0

    def test_invasive_pressure_is_taken_before_non_invasive(self, stays):
        assert stays[0].values[0, INDEX["systolic_bp"]] == 130

    def test_urine_is_a_rate_from_the_second_volume_on(self, stays):
        np.testing.assert_allclose(stays[0].values[:, INDEX["urine_ml_kg_h"]], [np.nan, np.nan, 2.0])

    def test_the_unit_is_told_where_the_set_tells_it(self, stays):
        assert [stay.unit for stay in stays] == ["SICU", "unknown"]

    def test_scores_of_the_set_are_read_by_name(self, stays, tmp_path):
        assert physionet2012.outcomes(tmp_path, "SAPS-I") == pytest.approx({1: 16.0, 2: np.nan}, nan_ok=True)
        assert physionet2012.outcomes(tmp_path, "SOFA") == {}

    def test_units_and_missing(self, stays):
        assert stays[0].values[1, INDEX["magnesium"]] == pytest.approx(0.8228)
        assert np.isnan(stays[1].values[0, INDEX["systolic_bp"]])
        assert np.isnan(stays[0].male)
        assert (stays[1].male, stays[1].age_years) == (0.0, 80.0)


class TestDamagedSets:
    """Each is one line that names the file and says nothing of what stands in it."""

    def test_hours_that_are_no_numbers(self, tmp_path):
        names = (*physionet2019.COLUMN_OF, "patient_id", "Age", "Gender", "ICULOS", "SepsisLabel")
        write(tmp_path, physionet2019.FILE, {name: [1.0] for name in names} | {"HR": ["secret"]})
        with pytest.raises(DatasetError, match=r"sepsis_hourly\.parquet: column HR") as error:
            list(physionet2019.stays(tmp_path))
        assert "secret" not in str(error.value)

    def test_no_hours_are_no_stays(self, tmp_path):
        names = (*physionet2019.COLUMN_OF, "patient_id", "Age", "Gender", "ICULOS", "SepsisLabel")
        write(tmp_path, physionet2019.FILE, {name: pa.array([], pa.float32()) for name in names})
        assert list(physionet2019.stays(tmp_path)) == []

    @pytest.mark.parametrize("line", ["a,2,secret", "a,2", "a,secret,1"])
    def test_an_outcome_that_is_no_number(self, tmp_path, line):
        (tmp_path / "physionet2012").mkdir()
        (tmp_path / physionet2012.OUTCOMES).write_text(f"set,RecordID,In-hospital_death\na,1,0\n{line}\n")
        with pytest.raises(DatasetError, match=r"outcomes\.csv, line 3") as error:
            physionet2012.outcomes(tmp_path)
        assert "secret" not in str(error.value)

    def test_a_record_without_outcome(self, tmp_path):
        made = {"RecordID": [1, 2], "minute": [0, 0], "Parameter": ["Age", "Gender"], "Value": [50.0, 1.0]}
        write(tmp_path, physionet2012.EVENTS, made | {"Parameter": pa.array(made["Parameter"]).dictionary_encode()})
        (tmp_path / physionet2012.OUTCOMES).write_text("set,RecordID,In-hospital_death\na,1,0\n")
        with pytest.raises(DatasetError, match="lacks records"):
            list(physionet2012.stays(tmp_path))

    def test_a_film_that_is_no_image_is_named_by_its_row(self, tmp_path):
        write(tmp_path, kermany.FILE, {"jpeg": [b"secret"], "subtype": ["virus"], "patient_id": ["a"]})
        with pytest.raises(DatasetError, match=r"images\.parquet: the film of row 1 cannot be read") as error:
            films(tmp_path)
        assert "secret" not in str(error.value)

    def test_a_kind_of_film_that_the_set_does_not_have(self, tmp_path):
        write(tmp_path, kermany.FILE, {"jpeg": [b"1"], "subtype": ["secret"], "patient_id": ["a"]})
        with pytest.raises(DatasetError, match="must be one of normal, bacteria, virus") as error:
            list(kermany.images(tmp_path))
        assert "secret" not in str(error.value)


def test_films_have_the_names_of_the_networks_labels(tmp_path):
    columns = {"jpeg": [b"1", b"2", b"3"], "subtype": ["normal", "bacteria", "virus"], "patient_id": ["a", "b", "b"]}
    write(tmp_path, kermany.FILE, columns)
    assert list(kermany.images(tmp_path)) == [(b"1", "normal", "a"), (b"2", "bacterial", "b"), (b"3", "viral", "b")]


class TestMTSamples:
    def put(self, data, *lines):
        (data / "mtsamples").mkdir()
        (data / mtsamples.FILE).write_text("\n".join(lines))

    def test_notes_without_text_are_left_out(self, tmp_path):
        row = {"sample_id": "3", "specialties": ["Surgery", "Urology"], "transcription": "Made text."}
        self.put(tmp_path, json.dumps(row), json.dumps(row | {"transcription": None}))
        assert list(mtsamples.notes(tmp_path)) == [("Made text.", ("Surgery", "Urology"), "3", "")]

    def test_a_broken_line_is_named_without_its_content(self, tmp_path):
        self.put(tmp_path, '{"sample_id": "secret"}')
        with pytest.raises(DatasetError, match="line 1") as error:
            list(mtsamples.notes(tmp_path))
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize(
        "line",
        [
            b'{"sample_id": "1", "specialties": ["Urology"], "transcription": 5}',
            b'{"sample_id": "1", "specialties": ["Urology"], "transcription": "caf\xe9"}',
            b'{"sample_id": "1", "specialties": ["Urol',
        ],
        ids=["no text", "not UTF-8", "cut off"],
    )
    def test_a_line_that_cannot_be_read_is_named(self, tmp_path, line):
        self.put(tmp_path, "")
        (tmp_path / mtsamples.FILE).write_bytes(line)
        with pytest.raises(DatasetError, match="line 1, is no note"):
            list(mtsamples.notes(tmp_path))

    def test_title_and_description_are_kept_apart_from_the_text(self, tmp_path):
        row = {"sample_id": "3", "specialties": ["Urology"], "transcription": "Made text."}
        self.put(tmp_path, json.dumps(row | {"sample_name": "A title", "description": None}))
        assert [(note.text, note.about) for note in mtsamples.notes(tmp_path)] == [("Made text.", "A title")]


class TestMTSDialog:
    ROW = {"split": "train", "id": 4, "section_header": "PLAN", "section_text": "Rest.", "dialogue": "Doctor: Rest."}

    def put(self, data, line):
        (data / "mts_dialog").mkdir()
        (data / mts_dialog.FILE).write_text(line)

    def test_a_section_is_named_with_its_split(self, tmp_path):
        self.put(tmp_path, json.dumps(self.ROW))
        expected = ("Doctor: Rest.", "Rest.", "PLAN", "mts_dialog/train/4")
        assert list(mts_dialog.sections(tmp_path)) == [expected]

    def test_a_broken_line_is_named(self, tmp_path):
        self.put(tmp_path, "[]")
        with pytest.raises(DatasetError, match="line 1, is no section"):
            list(mts_dialog.sections(tmp_path))


class TestFolder:
    def test_option_goes_before_the_environment(self, tmp_path, monkeypatch):
        (tmp_path / "own").mkdir()
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        assert data_folder() == tmp_path
        assert data_folder(tmp_path / "own") == tmp_path / "own"

    def test_says_what_to_do_when_there_is_none(self, tmp_path):
        with pytest.raises(DatasetError, match=r"--data DIR or WARDSTREAM_DATA"):
            data_folder(tmp_path / "none")

    def test_names_the_set_that_is_missing(self, tmp_path):
        with pytest.raises(DatasetError, match="physionet2019"):
            list(physionet2019.stays(tmp_path))

    def test_a_file_that_is_no_parquet_is_refused(self, tmp_path):
        (tmp_path / "x.parquet").write_bytes(b"nonsense")
        with pytest.raises(DatasetError, match="cannot be read"):
            table(file_of(tmp_path, "x.parquet"))


@pytest.fixture
def real():
    """The data folder beside the repository, or a reason to skip."""
    try:
        return data_folder()
    except DatasetError as error:
        pytest.skip(f"real data sets are not here: {error}")


class TestRealSets:
    def test_first_sepsis_stay(self, real):
        stay = next(physionet2019.stays(real))
        assert stay.values.shape == (len(stay.time_h), len(INDEX))
        assert (np.diff(stay.time_h) > 0).all()
        assert 20 < np.nanmedian(stay.values[:, INDEX["pulse"]]) < 200

    def test_first_film_and_note(self, real):
        assert next(kermany.images(real)).jpeg.startswith(b"\xff\xd8")
        assert len(next(mtsamples.notes(real)).text) > 50

    def test_the_organ_classes_are_those_with_enough_notes_of_one_organ(self, real):
        systems = [set(note.specialties) & set(mtsamples.ORGAN_SYSTEMS) for note in mtsamples.notes(real)]
        counts = Counter(next(iter(own)) for own in systems if len(own) == 1)
        assert {name for name, count in counts.items() if count >= 25} == set(mtsamples.SINGLE_ORGANS)
