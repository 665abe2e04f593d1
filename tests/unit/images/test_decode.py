"""PNG and JPEG to the model's picture."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.unit.images.drawn import dicom, encoded, ramp
from workers.images.decode import MEDIA_TYPES, decode
from workers.images.errors import ImageError


def reason_of(data: bytes, media_type: str, **limits) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, media_type, **limits)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


class TestShape:
    def test_gives_one_grey_plane_of_224_in_zero_to_one(self):
        picture = decode(encoded(ramp(100, 300)), "image/png")
        assert picture.shape == (1, 224, 224)
        assert picture.dtype == np.float32
        assert picture.flags.c_contiguous
        assert picture.min() >= 0.0
        assert picture.max() <= 1.0

    def test_a_picture_of_the_right_size_keeps_its_values_exactly(self):
        drawn = np.arange(224 * 224, dtype=np.uint32).astype(np.uint8).reshape(224, 224)
        assert np.array_equal(decode(encoded(drawn), "image/png")[0], drawn.astype(np.float32) / np.float32(255))

    def test_squashes_rather_than_crops_or_pads(self):
        wide = np.zeros((100, 400), np.uint8)
        wide[:, 200:] = 255
        picture = decode(encoded(wide), "image/png")[0]
        assert np.allclose(picture[:, :110], 0.0)
        assert np.allclose(picture[:, 114:], 1.0)

    def test_averages_instead_of_skipping_pixels_when_it_shrinks(self):
        checks = (np.indices((896, 896)).sum(axis=0) % 2 * 255).astype(np.uint8)
        picture = decode(encoded(checks), "image/png")[0]
        assert np.allclose(picture[4:-4, 4:-4], 0.5, atol=0.01)


class TestKinds:
    def test_sixteen_bit_png_keeps_its_sixteen_bits(self):
        deep = ramp(top=65535, dtype=np.uint16)
        picture = decode(encoded(deep), "image/png")[0]
        assert np.allclose(picture, deep / 65535.0, atol=1e-6)
        assert len(np.unique(picture)) == len(np.unique(deep))

    def test_jpeg_comes_out_close_to_what_went_in(self):
        drawn = ramp()
        picture = decode(encoded(drawn, "JPEG", quality=95), "image/jpeg")[0]
        assert np.abs(picture - drawn / 255.0).max() < 0.03

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "P"])
    def test_other_png_modes_become_grey(self, mode):
        drawn = np.zeros((224, 224), np.uint8)
        drawn[:, 112:] = 255
        target = BytesIO()
        Image.fromarray(drawn).convert(mode).save(target, "PNG")
        assert np.allclose(decode(target.getvalue(), "image/png")[0], drawn / 255.0, atol=0.01)

    def test_a_transparent_palette_is_read_without_its_alpha(self):
        image = Image.fromarray(ramp()).convert("P")
        target = BytesIO()
        image.save(target, "PNG", transparency=bytes(range(256)))
        assert np.allclose(decode(target.getvalue(), "image/png")[0], ramp() / 255.0, atol=0.03)

    def test_a_jpeg_is_turned_upright_as_its_orientation_says(self):
        exif = Image.Exif()
        exif[0x0112] = 3  # turned by 180 degrees
        picture = decode(encoded(ramp(), "JPEG", quality=95, exif=exif), "image/jpeg")[0]
        assert picture[0, 0] > 0.9
        assert picture[0, -1] < 0.1

    def test_media_type_parameters_and_case_do_not_matter(self):
        assert decode(encoded(ramp()), "Image/PNG; charset=binary").shape == (1, 224, 224)


class TestRefusals:
    @pytest.mark.parametrize("media_type", ["image/gif", "text/html", "", "png"])
    def test_unknown_media_types_are_unreadable(self, media_type):
        assert reason_of(encoded(ramp()), media_type) == "image_unreadable"

    @pytest.mark.parametrize("media_type", MEDIA_TYPES)
    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 1000, b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, b"\xff\xd8\xff\xe0" + b"1" * 99]
    )
    def test_garbage_is_unreadable(self, media_type, data):
        assert reason_of(data, media_type) == "image_unreadable"

    @pytest.mark.parametrize("media_type", MEDIA_TYPES)
    def test_a_file_cut_off_in_the_middle_is_unreadable(self, media_type):
        rng = np.random.default_rng(1)
        drawn = rng.integers(0, 255, (224, 224), np.uint8)
        whole = dicom(drawn, bits=8) if media_type == "application/dicom" else encoded(drawn, MEDIA_TYPES[media_type])
        assert reason_of(whole[: len(whole) // 2], media_type) == "image_unreadable"

    def test_bytes_of_another_type_than_stated_are_unreadable(self):
        assert reason_of(encoded(ramp(), "JPEG"), "image/png") == "image_unreadable"
        assert reason_of(encoded(ramp()), "application/dicom") == "image_unreadable"

    def test_too_many_pixels_are_refused_from_the_header_alone(self):
        png = encoded(ramp(100, 101))
        header_only = png[:60]  # signature, IHDR and the start of the data
        assert reason_of(header_only, "image/png", max_pixels=10_000) == "image_too_large"
        assert decode(png, "image/png", max_pixels=10_100).shape == (1, 224, 224)

    def test_a_decompression_bomb_is_too_large_even_under_a_generous_limit(self):
        bomb = encoded(np.zeros((9500, 9500), np.uint8))  # 90 M pixels, past Pillow's own alarm, in 100 KB
        assert reason_of(bomb, "image/png", max_pixels=10**9) == "image_too_large"

    def test_an_animation_is_refused(self):
        frames = [Image.fromarray(ramp(top=top)) for top in (255, 100)]
        target = BytesIO()
        frames[0].save(target, "PNG", save_all=True, append_images=frames[1:])
        assert reason_of(target.getvalue(), "image/png") == "image_too_large"
