"""Small made sets in the layouts of the public ones, with something in them to learn."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from models.training.drugs import DRUGS
from workers.datasets import diabetes130, kermany, mimic3, mtsamples, physionet2012, physionet2019


def write(data, name, columns):
    """A parquet file of a set."""
    file = data / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)


def sepsis(data, stays=60, hours=12):
    """Hourly rows: some vital signs at random; the pulse of every third stay is high, and has the label."""
    random = np.random.default_rng(0)
    rows = stays * hours
    sick = np.repeat(np.arange(stays) % 3 == 0, hours)
    columns = {name: np.full(rows, np.nan) for name in physionet2019.COLUMN_OF}
    columns["Resp"], columns["HR"] = random.uniform(10, 30, rows).round(), random.uniform(50, 110, rows) + 30 * sick
    columns["SBP"], columns["O2Sat"] = random.uniform(85, 140, rows).round(), random.uniform(88, 100, rows).round()
    columns["patient_id"] = np.repeat([f"made-{i}" for i in range(stays)], hours)
    columns["ICULOS"] = np.tile(np.arange(1, hours + 1), stays)
    columns |= {"Age": np.full(rows, 60.0), "Gender": np.ones(rows), "SepsisLabel": sick.astype(int)}
    write(data, physionet2019.FILE, columns)


def mortality(data, stays=60, times=8):
    """A pulse every half hour; that of every fourth stay is high, and its patient dies."""
    random = np.random.default_rng(1)
    lines = [(i, 0, name, value) for i in range(stays) for name, value in (("Age", 70.0), ("Gender", 1.0))]
    lines += [
        (i, 30 * k, "HR", random.uniform(50, 100) + 40 * (i % 4 == 0)) for i in range(stays) for k in range(times)
    ]
    record, minute, name, value = (list(column) for column in zip(*lines, strict=True))
    columns = {
        "RecordID": pa.array(record, pa.int32()), "minute": pa.array(minute, pa.int16()),
        "Parameter": pa.array(name).dictionary_encode(), "Value": pa.array(value, pa.float32()),
    }  # fmt: skip
    write(data, physionet2012.EVENTS, columns)
    outcomes = "".join(f"a,{i},{int(i % 4 == 0)}\n" for i in range(stays))
    (data / physionet2012.OUTCOMES).write_text(f"set,RecordID,In-hospital_death\n{outcomes}")


def films(data, count=45):
    """Noise with a bright stripe, in another place for each kind."""
    random = np.random.default_rng(2)
    jpegs = []
    for number in range(count):
        film = random.integers(0, 60, (224, 224)).astype(np.uint8)
        film[:, number % 3 * 70 : number % 3 * 70 + 70] += 150
        drawn = io.BytesIO()
        Image.fromarray(film).save(drawn, "JPEG")
        jpegs.append(drawn.getvalue())
    kinds = [("normal", "bacteria", "virus")[number % 3] for number in range(count)]
    write(data, kermany.FILE, {"jpeg": jpegs, "subtype": kinds, "patient_id": [f"child-{i}" for i in range(count)]})


def notes(data, count=120):
    """Two kinds of note with words of their own."""
    words = {"Surgery": "incision suture knife", "Radiology": "film contrast shadow"}
    file = data / mtsamples.FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lines:
        for number in range(count):
            kind = ("Surgery", "Radiology")[number % 2]
            text = f"the {words[kind]} of number {number % 7} was seen"
            row = {"sample_id": str(number), "specialties": [kind], "transcription": text}
            lines.write(json.dumps(row) + "\n")


def drugs(data, patients=80):
    """Two encounters a patient: insulin is raised at the first, metformin or glipizide newly given at the second."""
    rows = 2 * patients
    first = np.arange(rows) % 2 == 0
    columns = {drug: np.full(rows, "No") for drug in DRUGS}
    columns["insulin"] = np.where(first, "Up", "Steady")
    new = np.random.default_rng(3).choice(["metformin", "glipizide"], rows)
    for drug in ("metformin", "glipizide"):
        columns[drug] = np.where(~first & (new == drug), "Steady", "No")
    columns |= {name: np.full(rows, "None") for name in ("A1Cresult", "max_glu_serum", "medical_specialty")}
    columns |= {"gender": np.full(rows, "Female"), "age": np.full(rows, "[50-60)")}
    counts = ("admission_type_id", "admission_source_id", "number_inpatient", "number_emergency", "number_outpatient")
    columns |= {name: np.ones(rows, int) for name in counts}
    columns |= {"patient_nbr": np.arange(rows) // 2, "encounter_id": np.arange(rows)}
    write(data, diabetes130.FILE, columns)


def prescriptions(data, patients=400):
    """One stay a patient: the second day's drug follows from the first day's."""
    orders, stays, people = ["subject_id,hadm_id,startdate,drug_type,drug"], ["hadm_id,admittime,admission_type"], []
    for number in range(patients):
        first, second = (("Aspirin", "Senna"), ("Heparin", "Warfarin"))[number % 2]
        orders += [f"{number},{number},2150-03-01 00:00:00,MAIN,{first}"]
        orders += [f"{number},{number},2150-03-02 00:00:00,MAIN,{second}"]
        stays.append(f"{number},2150-03-01 08:00:00,EMERGENCY")
        people.append(f"{number},F,2090-01-01 00:00:00")
    tables = {
        mimic3.PRESCRIPTIONS: orders,
        mimic3.ADMISSIONS: stays,
        mimic3.PATIENTS: ["subject_id,gender,dob", *people],
    }
    for name, lines in tables.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(gzip.compress("\n".join(lines).encode()))
