import pytest
import torch

from models.bundle import load_bundle
from models.training.untrained import write_untrained


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """Networks of the shipped sizes with random weights."""
    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder)
    torch.manual_seed(11)
    return load_bundle(folder)
