"""Which images a claim check may name: the allow-list, as a decision on text and paths without any I/O on hosts.

An event may come from anyone who can write to a topic, so its `uri` must not become a way to read the worker's
files or to reach services inside the hospital (server-side request forgery). Allowed is what an operator listed and
nothing else: folders for file:, exact host names for http(s):, buckets for s3:. A host is allowed on the default port
of the scheme only, unless listed as HOST:PORT. Redirects are refused by `workers.images.source`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from yarl import URL

from workers.images.errors import ImageError

_MAX_URI_CHARS: Final = 4096


class AllowList:
    """What operators allow.

    Args:
        roots: Folders that file: claims may name.
        hosts: `HOST`, `HOST:PORT` and `s3://BUCKET`.

    Raises:
        ValueError: An entry is none of these; the text says what to write instead.
    """

    def __init__(self, roots: Iterable[Path], hosts: Iterable[str]) -> None:
        self._roots = tuple(roots)
        entries = [host.strip().lower() for host in hosts]
        self.buckets: Final = frozenset(entry.removeprefix("s3://") for entry in entries if entry.startswith("s3://"))
        self._hosts = frozenset(entry for entry in entries if not entry.startswith("s3://"))
        wrong = [name for name in (*self._hosts, *self.buckets) if not name or set(name) & set("/*@ ?#\\")]
        if wrong:
            raise ValueError(f"image_hosts: write HOST, HOST:PORT or s3://BUCKET, not {', '.join(map(repr, wrong))}")

    def http(self, uri: str) -> URL:
        """The address to ask, parsed as the HTTP client will read it.

        Raises:
            ImageError: `image_forbidden`.
        """
        url = _parsed(uri)
        if url.user is not None or url.password is not None or url.raw_host is None:
            raise ImageError("image_forbidden")
        host = f"[{url.raw_host}]" if ":" in url.raw_host else url.raw_host
        named = host.lower() if url.is_default_port() else f"{host.lower()}:{url.port}"
        if named not in self._hosts:
            raise ImageError("image_forbidden")
        return url.with_fragment(None)

    def s3(self, uri: str) -> str:
        """BUCKET/KEY.

        Raises:
            ImageError: `image_forbidden`.
        """
        bucket, _, key = uri.partition("://")[2].partition("/")
        if bucket not in self.buckets or not key:
            raise ImageError("image_forbidden")
        return f"{bucket}/{key}"

    def file(self, uri: str) -> Path:
        """The real path, links and `..` resolved; whether a file is there is not said. Reads links: not for the loop.

        Raises:
            ImageError: `image_forbidden`, also where a link leads out of the root; `image_source_down`, the root
                itself is missing, as when a share is not mounted.
        """
        try:
            parts = urlsplit(uri)
            text = unquote_to_bytes(parts.path).decode()
        except ValueError:
            raise ImageError("image_forbidden") from None
        if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment or "\0" in text:
            raise ImageError("image_forbidden")
        path = Path(text)
        if not path.is_absolute():
            raise ImageError("image_forbidden")
        try:
            real = path.resolve()
            root = next((root for root in self._roots if real.is_relative_to(root.resolve())), None)
        except (OSError, RuntimeError):  # a loop of links
            raise ImageError("image_forbidden") from None
        if root is None:
            raise ImageError("image_forbidden")
        if not root.is_dir():
            raise ImageError("image_source_down")
        return real


def scheme_of(uri: str) -> str:
    """The scheme in lower case.

    Raises:
        ImageError: `image_forbidden`, for text that no address has.
    """
    odd = len(uri) > _MAX_URI_CHARS or any(char.isspace() or not char.isprintable() or char == "\\" for char in uri)
    if odd or ":" not in uri:
        raise ImageError("image_forbidden")
    return uri.partition(":")[0].lower()


def _parsed(uri: str) -> URL:
    """With the HTTP client's own parser: two parsers that disagree on the host are how such lists are evaded."""
    try:
        url = URL(uri)
        _ = url.port  # a port out of range shows only here
    except ValueError:
        raise ImageError("image_forbidden") from None
    return url
