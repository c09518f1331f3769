import functools
import hashlib
import http.server
import shutil
import threading

import pytest

from hvae_core.data import cifar_binary
from hvae_core.errors import DownloadError
from hvae_plugins.datasets import mnist
from hvae_plugins.datasets.cifar10 import Cifar10, Cifar10Config
from hvae_plugins.datasets.mnist import Mnist, MnistConfig


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path):
    """A web server on the loopback interface, and the folder it serves."""
    folder = tmp_path / "www"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def mnist_mirror(mirror, fixtures_folder, monkeypatch):
    url, folder = mirror
    for split, name in (("train", "train-images"), ("test", "t10k-images")):
        path = fixtures_folder / "mnist" / f"{name}-idx3-ubyte.gz"
        shutil.copy(path, folder)
        monkeypatch.setitem(mnist._MD5, split, hashlib.md5(path.read_bytes()).hexdigest())
        monkeypatch.setitem(mnist._SIZES, split, path.stat().st_size)
    return url, folder


def test_mnist_is_downloaded_once(mnist_mirror, cache):
    url, folder = mnist_mirror
    dataset = Mnist(MnistConfig(url=url))
    seen = []
    dataset.progress = lambda done, total: seen.append((done, total))
    dataset.prepare()
    assert seen[-1][0] == seen[-1][1]
    shutil.rmtree(folder)
    assert len(dataset.load("train")) == 24
    assert len(dataset.load("test")) == 12
    assert (cache / "data" / "mnist" / "t10k-images-idx3-ubyte.gz").is_file()


def test_a_wrong_checksum_leaves_nothing_of_that_name(mnist_mirror, cache, monkeypatch):
    url, _ = mnist_mirror
    monkeypatch.setitem(mnist._MD5, "train", "0" * 32)
    with pytest.raises(DownloadError):
        Mnist(MnistConfig(url=url)).load("train")
    assert not (cache / "data" / "mnist" / "train-images-idx3-ubyte.gz").exists()


def test_a_mirror_without_the_file(mirror, cache):
    url, _ = mirror
    with pytest.raises(DownloadError, match="cifar-10-binary"):
        Cifar10(Cifar10Config(url=url)).prepare()
    assert not (cache / "data" / "cifar10" / cifar_binary.ARCHIVE).exists()
