"""The DICOM grey-scale chain, on files that the tests write themselves."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.unit.images.drawn import PATIENT, dicom, encoded, lut, ramp
from workers.images.decode import decode
from workers.images.dicom import grey_table
from workers.images.errors import ImageError

TWELVE = ramp(top=4095, dtype=np.uint16)
UNIT = TWELVE / 4095.0


def read(data: bytes, **limits) -> np.ndarray:
    return decode(data, "application/dicom", **limits)[0]


def reason_of(data: bytes, **limits) -> str:
    with pytest.raises(ImageError) as caught:
        read(data, **limits)
    assert PATIENT not in repr(caught.value)
    return caught.value.reason


class TestRange:
    def test_twelve_bits_span_black_to_white(self):
        assert np.allclose(read(dicom(TWELVE)), UNIT, atol=1e-6)

    def test_the_range_is_the_theoretical_one_not_that_of_this_image(self):
        assert read(dicom(TWELVE // 2)).max() == pytest.approx(0.5, abs=1e-3)

    def test_signed_values_start_at_their_lowest(self):
        signed = (TWELVE.astype(np.int32) - 2048).astype(np.int16)
        assert np.allclose(read(dicom(signed)), UNIT, atol=1e-6)

    def test_rescale_with_a_negative_slope_turns_the_greys_over(self):
        assert np.allclose(read(dicom(TWELVE, RescaleSlope="-1", RescaleIntercept="100")), 1 - UNIT, atol=1e-6)

    def test_bits_above_those_stored_are_ignored(self):
        assert np.allclose(read(dicom(TWELVE | np.uint16(0x8000))), UNIT, atol=1e-6)

    def test_colour_becomes_luma(self):
        colour = np.zeros((224, 224, 3), np.uint8)
        colour[..., 1] = 255
        assert np.allclose(read(dicom(colour, bits=8, photometric="RGB")), 0.587, atol=1e-3)


class TestInversion:
    @pytest.mark.parametrize(
        "chain",
        [
            {},
            {"RescaleSlope": "2", "RescaleIntercept": "-1000"},
            {"WindowCenter": "1500", "WindowWidth": "900"},
            {"RescaleSlope": "2", "RescaleIntercept": "-1000", "WindowCenter": "500", "WindowWidth": "1500"},
            {"WindowCenter": "1500", "WindowWidth": "900", "VOILUTFunction": "SIGMOID"},
        ],
    )
    def test_monochrome1_equals_monochrome2_of_the_same_picture(self, chain):
        light_is_high = dicom(TWELVE, **chain)
        mirrored = dict(chain)
        slope, intercept = float(chain.get("RescaleSlope", 1)), float(chain.get("RescaleIntercept", 0))
        if "WindowCenter" in chain:  # the same window, seen from the other end of the range
            turned = 2 * intercept + slope * 4095 - float(chain["WindowCenter"])
            mirrored["WindowCenter"] = str(turned + (0 if "VOILUTFunction" in chain else 1))
        dark_is_high = dicom(4095 - TWELVE, photometric="MONOCHROME1", **mirrored)
        assert np.allclose(read(light_is_high), read(dark_is_high), atol=1e-6)
        assert np.ptp(read(light_is_high)) > 0.5

    def test_monochrome1_is_inverted_after_the_window(self):
        windowed = {"WindowCenter": "3000", "WindowWidth": "500"}
        plain = read(dicom(TWELVE, **windowed))
        assert np.allclose(read(dicom(TWELVE, photometric="MONOCHROME1", **windowed)), 1 - plain, atol=1e-6)

    def test_presentation_lut_shape_inverse_inverts(self):
        assert np.allclose(read(dicom(TWELVE, PresentationLUTShape="INVERSE")), 1 - UNIT, atol=1e-6)

    def test_monochrome1_with_inverse_is_inverted_once(self):
        both = dicom(TWELVE, photometric="MONOCHROME1", PresentationLUTShape="INVERSE")
        assert np.allclose(read(both), 1 - UNIT, atol=1e-6)

    def test_inverting_does_not_stretch_to_the_values_that_occur(self):
        assert read(dicom(TWELVE // 2, photometric="MONOCHROME1")).min() == pytest.approx(0.5, abs=1e-3)


class TestWindow:
    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
    @pytest.mark.parametrize("window", [(2000, 1000), (0, 1), (40.5, 3.5), (5000, 4000), (-900, 250)])
    def test_agrees_with_pydicom_scaled_to_its_range(self, function, window):
        center, width = window
        rescale = {"RescaleSlope": "2", "RescaleIntercept": "-1000"}
        data = dicom(TWELVE, WindowCenter=str(center), WindowWidth=str(width), VOILUTFunction=function, **rescale)
        dataset = pydicom.dcmread(BytesIO(data))
        modality = apply_modality_lut(np.arange(4096, dtype=np.uint16), dataset)
        with np.errstate(over="ignore"):
            theirs = (apply_windowing(modality, dataset) + 1000) / 8190
        assert np.allclose(grey_table(dataset), theirs, atol=1e-6)

    def test_the_first_of_several_windows_is_used(self):
        several = dicom(TWELVE, WindowCenter=["1000", "3000"], WindowWidth=["100", "50"])
        assert np.array_equal(read(several), read(dicom(TWELVE, WindowCenter="1000", WindowWidth="100")))

    def test_a_window_of_width_zero_is_skipped_for_the_next_one(self):
        several = dicom(TWELVE, WindowCenter=["1000", "3000"], WindowWidth=["0", "50"])
        assert np.array_equal(read(several), read(dicom(TWELVE, WindowCenter="3000", WindowWidth="50")))

    @pytest.mark.parametrize("width", ["0", "-5", ""])
    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
    def test_without_a_usable_window_the_whole_range_shows(self, width, function):
        data = dicom(TWELVE, WindowCenter="100", WindowWidth=width, VOILUTFunction=function)
        assert np.allclose(read(data), UNIT, atol=1e-6)

    def test_an_unknown_function_is_unreadable(self):
        data = dicom(TWELVE, WindowCenter="100", WindowWidth="10", VOILUTFunction="CUBIC")
        assert reason_of(data) == "image_unreadable"


class TestTables:
    def test_a_voi_table_goes_before_a_window(self):
        squares = (np.arange(4096) ** 2 / 4095**2 * 65535).round()
        data = dicom(TWELVE, VOILUTSequence=[lut(squares)], WindowCenter="100", WindowWidth="10")
        assert np.allclose(read(data), UNIT**2, atol=1e-4)

    def test_an_eight_bit_table_of_many_entries_does_not_wrap(self):
        data = dicom(TWELVE, VOILUTSequence=[lut(np.arange(4096) // 16, depth=8)])
        assert np.allclose(read(data), (TWELVE // 16) / 255.0, atol=1e-6)

    def test_values_outside_a_table_take_its_ends(self):
        table = read(dicom(TWELVE, VOILUTSequence=[lut([0, 32768, 65535], first=2000)]))
        assert table[0, 0] == 0.0
        assert table[0, -1] == 1.0

    def test_a_modality_table_sets_values_and_range(self):
        data = dicom(TWELVE, ModalityLUTSequence=[lut(np.arange(4096)[::-1], depth=12)])
        assert np.allclose(read(data), 1 - UNIT, atol=1e-6)

    def test_table_data_may_be_packed_bytes(self):
        packed = lut([0] * 4096, depth=12)
        packed["LUTData"] = DataElement("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
        assert np.allclose(read(dicom(TWELVE, VOILUTSequence=[packed])), UNIT, atol=1e-6)

    def test_a_table_shorter_than_it_says_is_unreadable(self):
        short = lut(np.arange(100))
        short.LUTDescriptor = [4096, 0, 16]
        assert reason_of(dicom(TWELVE, VOILUTSequence=[short])) == "image_unreadable"


class TestTransferSyntaxes:
    @pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_lossless_compression_changes_nothing(self, syntax, photometric):
        raw, packed = (dicom(TWELVE, photometric=photometric, compress=how) for how in (None, syntax))
        assert len(packed) < len(raw)
        assert np.array_equal(read(packed), read(raw))

    def test_signed_values_survive_compression(self):
        signed = (TWELVE.astype(np.int32) - 2048).astype(np.int16)
        assert np.allclose(read(dicom(signed, compress=JPEG2000Lossless)), UNIT, atol=1e-6)

    @staticmethod
    def jpeg(stream: bytes, syntax) -> bytes:
        dataset = pydicom.dcmread(BytesIO(dicom(ramp(), bits=8)))
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        target = BytesIO()
        dataset.save_as(target)
        return target.getvalue()

    def test_baseline_jpeg_is_read(self):
        data = self.jpeg(encoded(ramp(), "JPEG", quality=95), JPEGBaseline8Bit)
        assert np.abs(read(data) - ramp() / 255.0).max() < 0.03

    def test_lossy_jpeg_2000_is_read(self):
        target = BytesIO()
        Image.fromarray(ramp()).save(target, "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[5])
        assert np.abs(read(self.jpeg(target.getvalue(), JPEG2000)) - ramp() / 255.0).max() < 0.03

    def test_a_broken_stream_is_unreadable(self):
        assert reason_of(self.jpeg(b"\xff\xd8\xff" + b"x" * 500, JPEGBaseline8Bit)) == "image_unreadable"


class TestRefusals:
    def test_too_many_pixels_are_refused_before_pixels_are_decoded(self):
        huge_header = dicom(TWELVE, Rows=60_000, Columns=60_000)
        assert reason_of(huge_header) == "image_too_large"
        assert reason_of(dicom(TWELVE), max_pixels=224 * 224 - 1) == "image_too_large"

    def test_more_than_one_frame_is_refused(self):
        assert reason_of(dicom(TWELVE, NumberOfFrames="2")) == "image_too_large"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"photometric": "PALETTE COLOR"},
            {"photometric": "NONSENSE"},
            {"RescaleSlope": "0"},
            {"Rows": 0},
            {"BitsStored": 0},
        ],
    )
    def test_what_makes_no_picture_is_unreadable(self, wrong):
        assert reason_of(dicom(TWELVE, **wrong)) == "image_unreadable"

    def test_what_pydicom_would_warn_of_reaches_no_log(self, caplog):
        padded = dicom(TWELVE, PixelData=TWELVE.tobytes() + b"Doe^Jane" * 10)  # more bytes than pixels
        assert np.allclose(read(padded), UNIT, atol=1e-6)
        assert caplog.text == ""

    def test_a_file_without_preamble_is_unreadable(self):
        assert reason_of(dicom(TWELVE)[132:]) == "image_unreadable"

    def test_missing_pixels_are_unreadable(self):
        dataset = pydicom.dcmread(BytesIO(dicom(TWELVE)))
        del dataset.PixelData
        target = BytesIO()
        dataset.save_as(target)
        assert reason_of(target.getvalue()) == "image_unreadable"
