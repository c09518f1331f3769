import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HVAE_OFFLINE", raising=False)
    return tmp_path / "home"
