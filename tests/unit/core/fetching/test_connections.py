"""Redirects: the policy of addresses holds on every hop."""

import io
import urllib.request
from http.client import HTTPMessage

import pytest

from hvae_core.errors import DownloadError
from hvae_core.fetching.connections import Redirects


def follow(begin, url):
    request = urllib.request.Request(begin)
    return Redirects().redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), url)


@pytest.mark.parametrize(
    ("begin", "url"),
    [
        ("https://host/file", "http://host/file"),
        ("https://host/file", "http://127.0.0.1/file"),
        ("https://host/file", "https://127.0.0.1/file"),
        ("https://host/file", "https://localhost:8888/api"),
        ("https://host/file", "https://169.254.169.254/latest/meta-data"),
        ("https://host/file", "https://10.0.0.1/"),
        ("https://host/file", "https://name:secret@other/"),
        ("https://host/file", "hf://owner/name"),
        ("http://127.0.0.1/file", "http://127.0.0.2/file"),
        ("http://127.0.0.1/file", "http://example.org/file"),
        ("http://127.0.0.1/file", "file:///etc/passwd"),
    ],
)
def test_where_a_redirect_may_not_lead(begin, url):
    with pytest.raises(DownloadError, match=f"{begin} leads"):
        follow(begin, url)


@pytest.mark.parametrize(
    ("begin", "url"),
    [
        ("https://host/file", "https://cdn.example.org/file?signature=a%2Fb%20c&expires=9"),
        ("http://localhost:80/file", "http://127.0.0.1:8000/file"),
        ("http://127.0.0.1/file", "https://example.org/file"),
    ],
)
def test_where_it_may(begin, url):
    assert follow(begin, url).full_url == url
