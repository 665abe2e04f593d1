"""Images drawn for tests: no picture of a person is needed to test a decoder."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

PATIENT = "Doe^Jane"


def ramp(rows: int = 224, columns: int = 224, top: int = 255, dtype=np.uint8) -> np.ndarray:
    """(rows, columns): 0 at the left edge, `top` at the right."""
    return np.tile(np.linspace(0, top, columns).round().astype(dtype), (rows, 1))


def encoded(array: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """`array` as a PNG or JPEG file."""
    target = BytesIO()
    Image.fromarray(array).save(target, kind, **options)
    return target.getvalue()


def dicom(array: np.ndarray, *, bits: int = 12, photometric: str = "MONOCHROME2", compress=None, **elements) -> bytes:
    """`array` (uint8, uint16 or int16 stored values) as a DICOM file; further elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = PATIENT
    dataset.Rows, dataset.Columns = array.shape[:2]
    dataset.SamplesPerPixel = 1 if array.ndim == 2 else 3
    if array.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * array.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PixelData = array.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if compress is not None:
        dataset.compress(compress, generate_instance_uid=False)
    target = BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def lut(entries, *, first: int = 0, depth: int = 16) -> Dataset:
    """One item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, depth]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [int(entry) for entry in entries]
    item["LUTData"].VR = "US"
    return item
