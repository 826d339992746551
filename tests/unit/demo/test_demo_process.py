import http.client
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from demo_specimens import AT, SEED, written

from roadworthy.base.errors import TargetUnreachable
from roadworthy.demo import process
from roadworthy.demo.cohorts import FEATURES
from roadworthy.demo.documents import GatewayPorts
from roadworthy.demo.gateway import write_gateway
from roadworthy.demo.gateway_places import short_socket
from roadworthy.demo.materials import ServerProcess, free_port, harden_server, write_demo
from roadworthy.demo.model import load
from roadworthy.demo.process import GatewayProcess
from roadworthy.measure.table import open_table
from roadworthy.probes.open_inference import OpenInference

pytestmark = pytest.mark.slow


def reachable(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/health/live")
    except OSError:
        return False
    finally:
        connection.close()
    return True


def accepts(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_the_server_scores_as_the_model_does_and_is_gone_afterwards(tmp_path):
    """Over HTTP, with and without validation; a restart reads the configuration anew."""
    paths, port = written(tmp_path), free_port()
    pilot = open_table(paths.pilot)
    columns = {name: pilot.column(name).tolist() for name in FEATURES}
    rows = [{name: columns[name][index] for name in FEATURES} for index in range(20)]
    expected = load(paths.model).score(np.asarray([[row[name] for name in FEATURES] for row in rows]))
    model = OpenInference(f"http://127.0.0.1:{port}/v2/models/breast")
    hollow = [dict.fromkeys(FEATURES)]
    with ServerProcess(tmp_path, port) as server:
        assert model.ready()
        assert list(model.predict(rows, columns=FEATURES)) == expected.tolist()
        assert not np.isnan(model.predict(hollow, columns=FEATURES)[0])
        assert model.post(b"{").status == 500
        harden_server(tmp_path)
        server.stop()
        server.start()
        assert list(model.predict(rows, columns=FEATURES)) == expected.tolist()
        assert np.isnan(model.predict(hollow, columns=FEATURES)[0])
        assert model.post(b"{").status == 400
    assert not reachable(port)
    server.stop()


def test_a_killed_server_is_gone_at_once_and_can_be_started_again(tmp_path):
    """As after a fault: killed by its id, reachable no more; killing nobody is no error."""
    written(tmp_path)
    port = free_port()
    with ServerProcess(tmp_path, port) as server:
        assert server.kill()
        assert not reachable(port)
        assert server.kill() is None
        server.start()
        assert reachable(port)


def test_a_server_that_cannot_start_says_why(tmp_path):
    """RW-401 with the last line of its log."""
    with pytest.raises(TargetUnreachable, match=r"serving\.yaml"):
        ServerProcess(tmp_path, free_port()).__enter__()


def test_a_server_that_is_not_ready_in_time_is_stopped(tmp_path, monkeypatch):
    """Nobody gets a server that is not ready, and no process is left behind."""
    written(tmp_path)
    monkeypatch.setattr(process, "_START_S", 0.0)
    monkeypatch.setattr(ServerProcess, "_ready", lambda self: False)
    server = ServerProcess(tmp_path, free_port())
    with pytest.raises(TargetUnreachable, match="nothing"):
        server.__enter__()
    assert server._process is None


def test_a_port_that_somebody_else_serves_is_refused(tmp_path):
    """The other server's answer does not count as ours."""
    written(tmp_path)
    port = free_port()
    with ServerProcess(tmp_path, port), pytest.raises(TargetUnreachable, match="Another program"):
        ServerProcess(tmp_path, port).__enter__()
    assert not reachable(port)


def test_a_deaf_server_is_stopped_by_force(tmp_path, monkeypatch):
    """A process that ignores the polite signal is killed."""
    code = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('.', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    monkeypatch.setattr(process, "_STOP_S", 0.2)
    server = ServerProcess(tmp_path, 0)
    server._process = child
    server.stop()
    child.stdout.close()
    assert child.returncode == -9


def test_the_server_does_not_outlive_its_parent(tmp_path):
    """Killed without a chance to clean up, the parent takes the server along."""
    written(tmp_path)
    port = free_port()
    code = (
        "import sys, time; from pathlib import Path; from roadworthy.demo.materials import ServerProcess\n"
        f"ServerProcess(Path({str(tmp_path)!r}), {port}).__enter__(); print('.', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b".\n"
    assert reachable(port)
    parent.kill()
    parent.communicate()
    deadline_s = time.monotonic() + 10
    while reachable(port) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not reachable(port)


def test_a_gateway_does_not_outlive_its_parent(tmp_path):
    """Killed without a chance to clean up, the parent takes gateway, worker and ledger along."""
    ports = GatewayPorts(listen=free_port(), admin=free_port())
    write_demo(tmp_path, at=AT, seed=SEED, port=free_port(), gateway=ports)
    gateway = write_gateway(tmp_path, model_port=free_port(), listen=ports.listen, admin=ports.admin)
    code = (
        "import time; from pathlib import Path; from roadworthy.demo.process import GatewayProcess\n"
        f"GatewayProcess(Path({str(gateway.config)!r}), {ports.admin}).__enter__(); print('.', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b".\n"
    place = gateway.folder / short_socket(gateway.log.parent)
    assert accepts(place)
    parent.kill()
    parent.communicate()
    deadline_s = time.monotonic() + 20
    while (reachable(ports.admin) or accepts(place)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not reachable(ports.admin)
    assert not accepts(place)


def test_a_gateway_that_cannot_start_says_why(tmp_path):
    """RW-401 with what the gateway said of its file."""
    config = tmp_path / "gateway.yaml"
    config.write_text("gateway: 2\n")
    with pytest.raises(TargetUnreachable, match=r"did not start: .*gateway init writes an example"):
        GatewayProcess(config, free_port()).__enter__()
