"""How the toolkit speaks HTTP: one session with timeouts, few retries, and errors for a person.

`requests` honours the usual variables (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE)
and is imported only when something is fetched, so that `--help` stays fast.

Public: `TIMEOUT`, `session`, `redact`, `reachable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from keras_bisect.errors import Unreachable

if TYPE_CHECKING:
    import requests

__all__ = ["TIMEOUT", "reachable", "redact", "session"]

TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and seconds without a byte."""


def session() -> requests.Session:
    """A session for one thread: sessions are not promised to be safe across threads."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    new = requests.Session()
    # Only what says "try again" is tried again; what was read wrongly is never.
    retry = Retry(total=2, connect=1, read=1, backoff_factor=0.3, status_forcelist=(502, 503, 504))
    for scheme in ("https://", "http://"):
        new.mount(scheme, HTTPAdapter(max_retries=retry))
    return new


def redact(url: str) -> str:
    """The address without the user and password it may hold, fit to be shown and kept.

    >>> redact("https://me:secret@example.org/simple/")
    'https://example.org/simple/'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def reachable(what: str, url: str) -> Iterator[None]:
    """Tell a failed fetch as one `Unreachable`: what was tried, why it failed, what to do next."""
    import requests

    try:
        yield
    # ValueError covers what the layers below raise for an address that is no address.
    except (requests.RequestException, OSError, ValueError) as error:
        shown = redact(url)
        reason = str(error).replace(url, shown) or type(error).__name__
        raise Unreachable(
            f"Could not fetch {what} from {shown}: {reason}. Check the connection, the proxy "
            "(HTTPS_PROXY) and the index (KERAS_REPRO_INDEX_URL); --offline uses only what is "
            "in the cache."
        ) from error
