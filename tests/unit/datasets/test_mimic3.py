"""The tables of the MIMIC-III demo as made rows: days, names, and one line when they are not what they should be."""

from __future__ import annotations

import gzip

import pytest

from workers.datasets import mimic3
from workers.datasets.folder import DatasetError, data_folder

PRESCRIPTIONS = """row_id,subject_id,hadm_id,startdate,drug_type,drug
1,20,201,2150-03-02 00:00:00,MAIN,Senna
2,20,201,2150-03-01 00:00:00,MAIN,Aspirin
3,20,201,2150-03-01 00:00:00,BASE,D5W
4,20,200,2150-05-01 00:00:00,MAIN, ASPIRIN
5,10,100,2180-01-01 00:00:00,MAIN,Heparin
6,10,100,,MAIN,Senna
"""
ADMISSIONS = """hadm_id,admittime,admission_type
201,2150-03-01 21:00:00,EMERGENCY
200,2150-04-30 09:00:00,ELECTIVE
100,2180-01-02 00:00:00,URGENT
"""
PATIENTS = """subject_id,gender,dob
20,M,2100-03-01 00:00:00
10,F,1880-01-01 00:00:00
"""


@pytest.fixture
def data(tmp_path):
    (tmp_path / "mimic3_demo").mkdir()
    for name, text in (
        (mimic3.PRESCRIPTIONS, PRESCRIPTIONS),
        (mimic3.ADMISSIONS, ADMISSIONS),
        (mimic3.PATIENTS, PATIENTS),
    ):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_a_row_a_day_in_order_of_admission_with_drugs_that_carry_no_fluid(data):
    found = mimic3.orders(data)
    assert found.drugs == ("aspirin", "heparin", "senna")
    assert found.patient.tolist() == ["mimic3_demo/10", "mimic3_demo/20", "mimic3_demo/20", "mimic3_demo/20"]
    assert found.stay.tolist() == [100, 201, 201, 200]  # the stay with the lower number came later
    assert found.begun.astype(int).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert found.day.tolist() == [-1, 0, 1, 1]
    assert found.age_years == pytest.approx([300, 50, 50, 50.2], abs=0.1)
    assert found.male.tolist() == [0, 1, 1, 1]
    assert (found.emergency.tolist(), found.elective.tolist()) == ([0, 1, 1, 0], [0, 0, 0, 1])


def test_a_missing_table_is_named(data):
    (data / mimic3.PATIENTS).unlink()
    with pytest.raises(DatasetError, match=r"holds no mimic3_demo/PATIENTS.csv.gz"):
        mimic3.orders(data)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(ADMISSIONS.encode())[:-20], gzip.compress(b"\xff\xfe")])
def test_a_damaged_table_is_one_line(data, content):
    (data / mimic3.ADMISSIONS).write_bytes(content)
    with pytest.raises(DatasetError) as error:
        mimic3.orders(data)
    assert "\n" not in str(error.value)


def test_tables_that_do_not_fit_are_one_line_without_their_content(data):
    (data / mimic3.ADMISSIONS).write_bytes(gzip.compress(b"hadm_id,admittime,admission_type\n"))
    with pytest.raises(DatasetError, match="do not fit") as error:
        mimic3.orders(data)
    assert "201" not in str(error.value)


def test_the_real_tables_where_they_are_here():
    try:
        found = mimic3.orders(data_folder())
    except DatasetError as error:
        pytest.skip(f"the MIMIC-III demo is not here: {error}")
    assert len(set(found.patient.tolist())) <= 100
    assert found.begun.any(axis=1).all()
