"""The decoding processes: what one image does to them is no other image's business."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import zlib

import numpy as np
import pytest

from tests.unit.images.decoders import wild
from tests.unit.images.drawn import dicom, encoded, ramp
from workers.images.decode import decode
from workers.images.errors import ImageError
from workers.images.pool import DecodePool

PNG = encoded(ramp())


@pytest.fixture
async def pool():
    async with DecodePool(1, timeout_s=1.0, decoder=wild) as pool:
        yield pool
    assert multiprocessing.active_children() == []


async def reason_of(pool: DecodePool, data: bytes, media_type: str = "image/png") -> str:
    with pytest.raises(ImageError) as caught:
        await pool.decode(data, media_type)
    return caught.value.reason


async def test_decodes_as_decode_does_without_torch_and_in_another_process(pool):
    assert np.array_equal(await pool.decode(PNG, "image/png"), decode(PNG, "image/png"))
    assert not (await pool.decode(b"modules", "")).any()
    assert (await pool.decode(b"pid", ""))[0] != os.getpid()


async def test_reasons_come_through(pool):
    assert await reason_of(pool, b"no image") == "image_unreadable"
    async with DecodePool(1, max_pixels=100) as small:
        assert await reason_of(small, PNG) == "image_too_large"


async def test_a_good_image_keeps_the_process_and_a_bad_one_does_too(pool):
    before = await pool.decode(b"pid", "")
    await reason_of(pool, b"no image")
    assert await pool.decode(b"pid", "") == before


async def test_hangs_and_crashes_cost_only_their_image(pool):
    work = [PNG, b"crash", PNG, b"hang", PNG, b"exit", PNG]
    results = await asyncio.gather(*(pool.decode(data, "image/png") for data in work), return_exceptions=True)
    assert [getattr(result, "reason", "decoded") for result in results] == [
        "decoded", "image_unreadable", "decoded", "image_unreadable", "decoded", "image_unreadable", "decoded",
    ]  # fmt: skip


async def test_the_loop_goes_on_while_a_decoder_hangs(pool):
    hanging = asyncio.create_task(reason_of(pool, b"hang"))
    ticks = 0
    while not hanging.done():
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 100
    assert hanging.result() == "image_unreadable"


async def test_what_decoders_print_goes_nowhere(pool, capfd):
    with pytest.raises(ImageError):
        await pool.decode(b"noise", "")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory of a process is bounded on Linux only")
async def test_a_deflated_dicom_that_inflates_past_the_bound_is_refused():
    async with DecodePool(1, timeout_s=30.0, max_pixels=1_000_000) as pool:
        reason = await reason_of(pool, deflate_bomb(2**31), "application/dicom")
        assert reason == "image_too_large"  # out of memory; without the bound it would be out of time
        assert (await pool.decode(PNG, "image/png")).shape == (1, 224, 224)


def deflate_bomb(size: int) -> bytes:
    """A deflated DICOM of about 2 MB whose data set has `size` bytes."""
    head = dicom(ramp(), bits=8).partition(b"\x02\x00\x10\x00")[0]
    syntax = b"1.2.840.10008.1.2.1.99"
    head += b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (size >> 20) + b"\x03\x00"


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="no SIGALRM here")
def test_a_child_ends_by_itself_where_no_parent_is_left_to_kill_it():
    hang = "from workers.images.pool import _limit_time\n_limit_time(0.01)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", hang], check=False, timeout=60).returncode == -signal.SIGALRM


async def test_closing_ends_a_hanging_decoder_at_once_and_twice_is_fine():
    pool = DecodePool(1, timeout_s=60.0, decoder=wild)
    await pool.start()
    hanging = asyncio.create_task(reason_of(pool, b"hang"))
    waiting = asyncio.create_task(pool.decode(PNG, "image/png"))
    await asyncio.sleep(0.1)
    await pool.close()
    await pool.close()
    assert await hanging == "image_source_down"  # not the image's doing: it may be tried again
    with pytest.raises((asyncio.CancelledError, ImageError)):
        await waiting
    assert multiprocessing.active_children() == []
    with pytest.raises(RuntimeError, match="closed"):
        await pool.decode(PNG, "image/png")
