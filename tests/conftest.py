"""What many tests share."""

from __future__ import annotations

import pytest
from small_stacks import HEAD

from isletsim import cache
from isletsim.composition import Composition, superpose
from isletsim.errors import InputError
from isletsim.language import read_model


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(tmp_path / "cache"))
    cache.folder.cache_clear()
    yield
    cache.folder.cache_clear()


@pytest.fixture
def compose(tmp_path):
    """A function that composes texts, given by file name, in the order they are given in."""

    def composer(**texts: str) -> Composition:
        files = []
        for name, text in texts.items():
            path = tmp_path / f"{name}.toml"
            path.write_text(HEAD.format(name=name) + text)
            files.append(read_model(path))
        return superpose(files)

    return composer


@pytest.fixture
def refuse(compose):
    """A function that gives the message of a composition that fails."""

    def refuser(**texts: str) -> str:
        with pytest.raises(InputError) as caught:
            compose(**texts)
        return str(caught.value)

    return refuser
