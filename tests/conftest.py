"""What many tests share."""

from __future__ import annotations

import pytest

from isletsim import cache


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(tmp_path / "cache"))
    cache.folder.cache_clear()
    yield
    cache.folder.cache_clear()
