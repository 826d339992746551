"""The demonstration, written once, with one server for the session; each test works on a copy of its folder."""

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roadworthy.base.clock import now
from roadworthy.demo.materials import ServerProcess, free_port, write_demo
from small_project import Project, write_small

MAINTENANCE = b"<!doctype html><title>Down for maintenance</title>"


@pytest.fixture(scope="session")
def demo_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Written and served; only copied."""
    folder, port = tmp_path_factory.mktemp("demo") / "demo", free_port()
    write_demo(folder, at=now(), seed=20_261_121, port=port)
    (folder / "passphrase.txt").write_text("correct horse battery", encoding="utf-8")
    with ServerProcess(folder, port):
        yield folder


@pytest.fixture
def demo(demo_template: Path, tmp_path: Path) -> Project:
    """A copy of the demonstration; its server answers."""
    shutil.copytree(demo_template, tmp_path / "demo")
    return Project(tmp_path / "demo")


@pytest.fixture(scope="session")
def road_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with its gate open; only copied."""
    folder = tmp_path_factory.mktemp("road") / "road"
    write_small(folder)
    Project(folder).prepare()
    return folder


@pytest.fixture
def road(road_template: Path, tmp_path: Path) -> Project:
    """A copy of the project whose gate is open."""
    shutil.copytree(road_template, tmp_path / "road")
    return Project(tmp_path / "road")


class _Maintenance(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page and status 200, as proxies do."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(MAINTENANCE)))
        self.end_headers()
        self.wfile.write(MAINTENANCE)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def html_port() -> Iterator[int]:
    """A port on which everything is a web page."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Maintenance) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    return free_port()


@pytest.fixture
def elsewhere(demo: Project) -> Callable[[int], None]:
    """Points the manifest's target to another port."""

    def point(port: int) -> None:
        text = demo.manifest.read_text(encoding="utf-8")
        before, _, rest = text.partition("http://127.0.0.1:")
        demo.manifest.write_text(f"{before}http://127.0.0.1:{port}/{rest.partition('/')[2]}", encoding="utf-8")

    return point
