"""What an address may be, by who names it."""

import pytest

from hvae_core.errors import PresetError
from hvae_core.fetching.addresses import check_source, is_local


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost.", "x.localhost", "127.0.0.1", "127.9.9.9", "127.1",
        "2130706433", "0x7f.1", "0177.0.0.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "10.0.0.1", "192.168.1.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "172.16.0.1",
    ],
)  # fmt: skip
def test_what_came_from_elsewhere_names_nothing_local(host):
    source = f"https://{host}/model.safetensors"
    assert is_local(source)
    assert check_source(source, "x") == source  # the user may
    assert check_source(source, "x", named_by="http://127.0.0.1:8000/preset") == source
    for named_by in ("https://example.org/preset", "hf://owner/name"):
        with pytest.raises(PresetError, match="lies on this machine or its own network"):
            check_source(source, "x", named_by=named_by)


@pytest.mark.parametrize(
    "source", ["https://example.org/x", "https://8.8.8.8/x", "hf://localhost/name", "https://a.b/1"]
)
def test_what_lies_elsewhere(source):
    assert not is_local(source)
    assert check_source(source, "x", named_by="https://example.org/preset") == source


def test_files():
    assert check_source("file:///x", "x", named_by="file:///y") == "file:///x"
    for named_by in ("https://example.org/x", "http://127.0.0.1/x", "hf://owner/name"):
        with pytest.raises(PresetError, match="not allowed as a source"):
            check_source("file:///x", "x", named_by=named_by)
