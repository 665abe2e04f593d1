"""Fetching claim checks: from files, and from a local HTTP server."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from workers.images.errors import ImageError
from workers.images.source import ImageSource
from workers.settings import Settings

DATA = bytes(range(256)) * 2000
SECRET = "mrn-4711"


@dataclass
class Claim:
    uri: str
    sha256: str = hashlib.sha256(DATA).hexdigest()
    size_bytes: int = len(DATA)


def source(**settings) -> ImageSource:
    return ImageSource(Settings(**settings))


async def reason_of(source: ImageSource, claim: Claim) -> str:
    with pytest.raises(ImageError) as caught:
        await source.fetch(claim)
    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert SECRET not in str(error) + repr(error)
    assert error.retryable == (error.reason == "image_source_down")
    return error.reason


class TestFiles:
    @pytest.fixture
    def root(self, tmp_path) -> Path:
        root = tmp_path / "pictures"
        (root / "deep").mkdir(parents=True)
        (root / "deep" / f"{SECRET} a.png").write_bytes(DATA)
        (root / "x.png").write_bytes(DATA)
        (tmp_path / "outside.png").write_bytes(DATA)
        (tmp_path / "pictures-of-others").mkdir()
        (tmp_path / "pictures-of-others" / "x.png").write_bytes(DATA)
        return root

    @pytest.fixture
    async def files(self, root):
        async with source(image_roots=(root,), image_timeout_s=5.0) as files:
            yield files

    async def test_reads_a_file_below_a_root(self, files, root):
        assert await files.fetch(Claim((root / "x.png").as_uri())) == DATA
        assert await files.fetch(Claim((root / "deep" / f"{SECRET} a.png").as_uri())) == DATA
        assert await files.fetch(Claim(f"file://localhost{root}/x.png")) == DATA
        assert await files.fetch(Claim(f"file:{root}/deep/../x.png")) == DATA

    async def test_reads_through_a_link_that_stays_inside(self, files, root):
        (root / "link.png").symlink_to(root / "x.png")
        assert await files.fetch(Claim((root / "link.png").as_uri())) == DATA

    @pytest.mark.parametrize(
        "uri",
        [
            "file://{root}/../outside.png",
            "file://{root}/%2e%2e/outside.png",
            "file://{root}/deep/../../outside.png",
            "file://{root}-of-others/x.png",
            "file://{root}/../nothing-there.png",
            "file:///etc/passwd",
            "file:x.png",
            "file://other-host{root}/x.png",
            "file://{root}/x.png?y",
            "file://{root}/x.png%00.png",
            "file://{root}/%ff.png",
            "{root}/x.png",
            "local://{root}/x.png",
            "FILE ://{root}/x.png",
            "simplecache::file://{root}/x.png",
            "",
        ],
    )
    async def test_refuses_every_way_out_of_the_root(self, files, root, uri):
        assert await reason_of(files, Claim(uri.format(root=root))) == "image_forbidden"

    async def test_refuses_links_that_lead_out_and_loops_of_links(self, files, root, tmp_path):
        (root / "out.png").symlink_to(tmp_path / "outside.png")
        (root / "up").symlink_to(tmp_path)
        (root / "a").symlink_to(root / "b")
        (root / "b").symlink_to(root / "a")
        for name in ("out.png", "up/outside.png"):
            assert await reason_of(files, Claim((root / name).as_uri())) == "image_forbidden"
        assert await reason_of(files, Claim((root / "a").as_uri())) in {"image_forbidden", "image_source_down"}

    async def test_refuses_what_is_no_regular_file_without_waiting_for_it(self, files, root):
        os.mkfifo(root / "fifo")
        assert await reason_of(files, Claim((root / "fifo").as_uri())) == "image_forbidden"
        assert await reason_of(files, Claim((root / "deep").as_uri())) in {"image_forbidden", "image_source_down"}

    async def test_says_when_there_is_no_file(self, files, root):
        assert await reason_of(files, Claim((root / "none.png").as_uri())) == "image_not_found"

    async def test_a_root_that_is_not_mounted_is_a_source_that_is_down(self, tmp_path):
        async with source(image_roots=(tmp_path / "share",)) as files:
            assert await reason_of(files, Claim((tmp_path / "share" / "x.png").as_uri())) == "image_source_down"

    async def test_without_roots_all_files_are_refused(self, root):
        async with source() as files:
            assert await reason_of(files, Claim((root / "x.png").as_uri())) == "image_forbidden"

    async def test_the_bytes_must_be_the_claimed_ones(self, files, root):
        uri = (root / "x.png").as_uri()
        assert await files.fetch(Claim(uri, sha256=Claim(uri).sha256.upper())) == DATA
        assert await reason_of(files, Claim(uri, sha256="0" * 64)) == "image_hash_mismatch"
        assert await reason_of(files, Claim(uri, size_bytes=len(DATA) - 1)) == "image_hash_mismatch"
        assert await reason_of(files, Claim(uri, size_bytes=len(DATA) + 1)) == "image_hash_mismatch"

    async def test_a_claim_over_the_limit_is_refused_unread(self, root):
        async with source(image_roots=(root,), image_max_bytes=1024) as files:
            assert await reason_of(files, Claim((root / "none.png").as_uri())) == "image_too_large"


class Hospital:
    """A local HTTP server that behaves as the path says, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.sent_bytes = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        self.asked.append(f"{request.method} {what}")
        self.headers.append(dict(request.headers))
        if what == "image":
            return web.Response(body=DATA)
        if what.isdigit():
            return web.Response(status=int(what), headers={"Location": "/image"}, body=DATA)
        if what == "zip":
            return web.Response(body=gzip.compress(DATA), headers={"Content-Encoding": "gzip"})
        response = web.StreamResponse(headers={"Content-Length": str(len(DATA))} if what == "cut" else {})
        await response.prepare(request)
        if what == "cut":
            await response.write(DATA[:1000])
            request.transport.close()
            return response
        while what == "endless" or self.sent_bytes == 0:
            await response.write(DATA)
            self.sent_bytes += len(DATA)
        await asyncio.sleep(30)  # "slow": never ends in time
        return response


class TestHttp:
    @pytest.fixture
    async def hospital(self):
        hospital = Hospital()
        app = web.Application()
        app.router.add_route("*", "/{what}", hospital.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hospital.port = site._server.sockets[0].getsockname()[1]
        hospital.url = f"http://127.0.0.1:{hospital.port}"
        yield hospital
        await runner.cleanup()

    @pytest.fixture
    async def http(self, hospital):
        async with source(image_hosts=(f"127.0.0.1:{hospital.port}",), image_timeout_s=5.0) as http:
            yield http

    async def test_fetches_an_image_with_one_request(self, http, hospital):
        assert await http.fetch(Claim(f"{hospital.url}/image?study={SECRET}#top")) == DATA
        assert hospital.asked == ["GET image"]

    async def test_asks_for_plain_bytes_and_sends_nothing_about_itself(self, http, hospital):
        await http.fetch(Claim(f"{hospital.url}/image"))
        assert hospital.headers[0]["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Authorization", "Referer"} & set(hospital.headers[0])

    async def test_compressed_answers_are_not_unpacked(self, http, hospital):
        assert await reason_of(http, Claim(f"{hospital.url}/zip")) == "image_hash_mismatch"

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (404, "image_not_found"),
            (410, "image_not_found"),
            (400, "image_not_found"),
            (401, "image_forbidden"),
            (403, "image_forbidden"),
            (408, "image_source_down"),
            (429, "image_source_down"),
            (500, "image_source_down"),
            (503, "image_source_down"),
            (206, "image_not_found"),
        ],
    )
    async def test_statuses_have_reasons(self, http, hospital, status, reason):
        assert await reason_of(http, Claim(f"{hospital.url}/{status}")) == reason

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_redirects_are_not_followed(self, http, hospital, status):
        assert await reason_of(http, Claim(f"{hospital.url}/{status}")) == "image_forbidden"
        assert hospital.asked == [f"GET {status}"]

    async def test_reading_stops_where_the_object_gets_longer_than_claimed(self, http, hospital):
        assert await reason_of(http, Claim(f"{hospital.url}/endless")) == "image_hash_mismatch"
        assert hospital.sent_bytes < 100 * len(DATA)

    async def test_a_broken_connection_is_a_source_that_is_down(self, http, hospital):
        assert await reason_of(http, Claim(f"{hospital.url}/cut")) == "image_source_down"

    async def test_a_source_that_dawdles_is_down(self, hospital):
        async with source(image_hosts=(f"127.0.0.1:{hospital.port}",), image_timeout_s=0.2) as http:
            assert await reason_of(http, Claim(f"{hospital.url}/slow", size_bytes=len(DATA) + 1)) == "image_source_down"

    async def test_nobody_listening_is_a_source_that_is_down(self):
        async with source(image_hosts=("127.0.0.1:9",)) as http:
            assert await reason_of(http, Claim("http://127.0.0.1:9/x")) == "image_source_down"

    async def test_fetches_at_the_same_time_do_not_mix(self, http, hospital):
        async def one(what: str) -> str:
            try:
                return "ok" if await http.fetch(Claim(f"{hospital.url}/{what}")) == DATA else "other"
            except ImageError as error:
                return error.reason

        results = await asyncio.gather(*(one(what) for what in ["image", "404", "image", "500"] * 5))
        assert results == ["ok", "image_not_found", "ok", "image_source_down"] * 5

    @pytest.mark.parametrize(
        "uri",
        [
            "http://127.0.0.1/image",
            "http://localhost:{port}/image",
            "https://127.0.0.1:1/image",
            "http://user@127.0.0.1:{port}/image",
            "http://:pw@127.0.0.1:{port}/image",
            "http://127.0.0.1:{port}@example.org/image",
            "http://example.org#@127.0.0.1:{port}/image",
            "http://127.0.0.1:{port}.example.org/image",
            "http://127.0.0.1.:{port}/image",
            "http://127.1:{port}/image",
            "http://2130706433:{port}/image",
            "http://0x7f.1:{port}/image",
            "http://[::ffff:127.0.0.1]:{port}/image",
            "http://127.0.0.1:{port}\\@example.org/image",
            "http://127.0.0.1:99999/image",
            "http:///image",
            "http:127.0.0.1:{port}/image",
            "http:// 127.0.0.1:{port}/image",
            "http://127.0.0.1:{port}/im\nage",
            "ftp://127.0.0.1:{port}/image",
            "gopher://127.0.0.1:{port}/image",
            "data:image/png;base64,AAAA",
            "http://127.0.0.1:{port}/" + "x" * 5000,
        ],
    )
    async def test_only_listed_hosts_and_ports_are_asked(self, http, hospital, uri):
        assert await reason_of(http, Claim(uri.format(port=hospital.port))) == "image_forbidden"
        assert hospital.asked == []


class TestAllowList:
    def test_a_host_without_port_is_allowed_on_the_default_ports_only(self):
        allowed = source(image_hosts=("PACS.example",))._allowed
        assert str(allowed.http("https://pacs.example/a?b=c#d")) == "https://pacs.example/a?b=c"
        assert str(allowed.http("HTTP://pacs.EXAMPLE:80/a")) == "http://pacs.example/a"
        for uri in ("http://pacs.example:443/a", "https://pacs.example:8443/a", "https://sub.pacs.example/a"):
            with pytest.raises(ImageError, match="image_forbidden"):
                allowed.http(uri)

    def test_ipv6_hosts_are_listed_in_brackets(self):
        allowed = source(image_hosts=("[::1]:8080",))._allowed
        assert str(allowed.http("http://[::1]:8080/a")) == "http://[::1]:8080/a"

    @pytest.mark.parametrize(
        "wrong", ["http://pacs.example", "pacs.example/path", "*.example", "user@host", "s3://", "s3://b/k"]
    )
    def test_entries_that_could_mean_more_than_a_host_are_refused(self, wrong):
        with pytest.raises(ValueError, match=r"write HOST, HOST:PORT or s3://BUCKET"):
            source(image_hosts=(wrong,))

    async def test_buckets_that_are_not_listed_are_refused(self):
        async with source(image_hosts=("bucket",)) as s3:
            for uri in ("s3://bucket/key", "s3://other/key", "s3://", "s3:key"):
                assert await reason_of(s3, Claim(uri)) == "image_forbidden"

    @pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
    def test_a_bucket_without_s3fs_names_the_extra(self):
        with pytest.raises(ValueError, match=r"wardstream\[s3\]"):
            source(image_hosts=("s3://films",))
