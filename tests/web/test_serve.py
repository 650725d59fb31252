"""`facehall serve` at the level of requests."""

import io
import json
import socket
import struct
import threading
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from small_page import FACE_NOTE, Site, encoded, noise

from facehall.errors import FacehallError
from facehall.imaging import read_picture
from facehall.inference import Predictor
from facehall.web import connection
from facehall.web.server import PageServer, is_loopback
from facehall.web.work import Limits

LIMITS = Limits(bytes=100_000, pixels=40_000, jobs=3, connections=8)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site"), LIMITS) as site:
        yield site


def levels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_page_and_its_files(site):
    status, page = site.get("/")
    assert status == 200
    assert b"<title>facehall</title>" in page
    for name in ("app.js", "engine.js", "style.css", "icon.svg"):
        assert site.get(f"/{name}")[0] == 200, name
    assert site.get("/", "HEAD") == (200, b"")
    info = json.loads(site.get("/info.json")[1])
    assert info["scales"] == [{"scale": 2, "fidelity": True}]
    assert info["limits"] == {"bytes": 100_000, "pixels": 40_000}


def test_every_answer_has_the_security_headers(site):
    for request in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /x HTTP/1.1\r\n\r\n", b"\x00\r\n\r\n"):
        head = site.raw(request).partition(b"\r\n\r\n")[0].decode()
        assert "default-src 'none'" in head
        assert "X-Content-Type-Options: nosniff" in head
        assert "Python" not in head


@pytest.mark.parametrize(
    "path",
    [
        "/../setup.py",
        "/%2e%2e/app.js",
        "/page/app.js",
        "/app.js/",
        "/server/engine.js",
        "/etc/passwd",
        "/app.js%00",
    ],
)
def test_only_the_page_is_served(site, path):
    assert site.get(path)[0] == 404


@pytest.mark.parametrize("fidelity", [None, 0.0, 0.3, 1.0])
def test_result_is_the_predictors(site, tmp_path, fidelity):
    picture = tmp_path / "a.png"
    noise().save(picture)
    query = "" if fidelity is None else f"&fidelity={fidelity}"
    status, lines, content = site.post(f"/restore?scale=2{query}", picture.read_bytes())
    assert status == 200
    assert lines[-1]["bytes"] == len(content)
    assert (lines[-1]["width"], lines[-1]["height"], lines[-1]["type"]) == (48, 32, "image/png")
    predictor = Predictor(site.engine._weights, "cpu", "eager", fidelity=fidelity)
    np.testing.assert_array_equal(levels(content), predictor.upscale(picture).rgb)


def test_bit_depth_transparency_and_greyscale_are_kept(site, tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (12, 10, 3), dtype=np.uint16)
    content = site.post("/restore?scale=2", cv2.imencode(".png", deep)[1].tobytes())[2]
    (tmp_path / "deep.png").write_bytes(content)
    assert read_picture(tmp_path / "deep.png").rgb.dtype == np.uint16
    for mode in ("L", "LA", "RGBA"):
        content = site.post("/restore?scale=2", encoded(noise(mode=mode)))[2]
        assert Image.open(io.BytesIO(content)).mode == mode


@pytest.mark.parametrize(("kind", "name"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_other_formats(site, kind, name):
    _, lines, content = site.post(f"/restore?scale=2&format={kind}", encoded(noise()))
    assert Image.open(io.BytesIO(content)).format == name
    assert lines[-1]["type"] == f"image/{name.lower()}"


def test_faces_and_the_choice_among_them(site):
    _, lines, _ = site.post("/faces", encoded(noise(100, 50)))
    assert (lines[-1]["width"], lines[-1]["height"]) == (100, 50)
    assert [(face["note"], face["restorable"]) for face in lines[-1]["faces"]] == [
        ("", True),
        (FACE_NOTE, False),
        ("", True),
    ]
    assert lines[-1]["faces"][0]["box"] == [50, 10, 90, 40]
    for text, faces in (("", None), ("&faces=none", ()), ("&faces=1,0,1", (0, 1))):
        site.post(f"/restore?scale=2{text}", encoded(noise()))
        assert site.engine.asked[-1].faces == faces, text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "scale: must be a number"),
        ("scale=3", "scale=3: choose one of 2"),
        ("scale=2.0", "scale: must be"),
        ("scale=2&fidelity=2", "from 0 (sharp) to 1"),
        ("scale=2&fidelity=nan", "fidelity: must be"),
        ("scale=2&format=exe", "choose one of png"),
        ("scale=2&faces=../x", "faces: must be"),
        ("scale=2&background=yes", "background: must be 0 or 1"),
        ("&".join(f"a{i}=1" for i in range(99)), "fields"),
    ],
)
def test_wrong_options(site, query, message):
    status, lines, _ = site.post(f"/restore?{query}", b"x")
    assert status == 400
    assert message in lines[0]["message"]


def bomb(width, height):
    """A PNG file of a few bytes that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an image"),
        (b"hello", "my face.png is not an image"),
        (encoded(noise())[:60], "cannot be read"),
        (encoded(noise(200, 60)), "my face.png has 200 x 60 pixels, 0.0 megapixels, and 0.0 when enlarged 2 times"),
        (bomb(60000, 60000), "too many pixels"),
        (bomb(8000, 1000), "8.0 megapixels, and 32.0 when enlarged 2 times; this page takes up to 0.04"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
    ],
)
def test_bad_files_get_a_message(site, content, message):
    status, lines, _ = site.post("/restore?scale=2&name=my+face.png", content)
    assert status == 200
    assert lines[-1]["state"] == "failed"
    assert message in lines[-1]["message"]


def test_transparency_cannot_become_a_jpeg(site):
    _, lines, _ = site.post("/restore?scale=2&format=jpg", encoded(noise(mode="RGBA")))
    assert "transparency, which JPEG cannot store" in lines[-1]["message"]


def test_names_are_cleaned(site):
    _, lines, _ = site.post("/restore?scale=2&name=%1b%0d%0a" + "x" * 500, b"hello")
    assert lines[-1]["message"].startswith("x" * 120 + " is not")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1@evil", ""])
def test_wrong_host(site, host):
    assert site.get("/", Host=host)[0] == 403
    assert site.post("/restore?scale=2", b"x", Host=host)[0] == 403


def test_own_names_whatever_the_port(site):
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:9"):
        assert site.get("/", Host=host)[0] == 200, host
    assert site.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n").startswith(b"HTTP/1.1 403")


def test_further_names(tmp_path, site):
    server = PageServer(site.engine, port=0, names=["Faces.example"])
    server.site.jobs.close()
    server.socket.close()
    assert "faces.example" in server.site.hosts


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "1e3"}, 411),
        ({"Content_Length": "1000000000"}, 413),
    ],
)
def test_refused_uploads(site, headers, status):
    assert site.post("/restore?scale=2", b"x", **headers)[0] == status


def test_own_origin(site):
    status, lines, _ = site.post("/restore?scale=2", encoded(noise()), Origin=site.url[:-1])
    assert (status, lines[-1]["state"]) == (200, "done")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "x" * 1000])
def test_other_methods(site, method):
    assert site.raw(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).startswith(b"HTTP/1.1 501")


def test_endless_headers(site):
    answer = site.raw(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
    assert answer[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 403", b"")


def test_slow_senders_are_dropped(site, monkeypatch):
    monkeypatch.setattr(connection, "GRACE", 0.3)
    monkeypatch.setattr(connection, "RATE", 1e9)
    head = b"POST /restore?scale=2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    for start in (b"GET / HTTP/1.1\r\nX: ", head + b"Content-Length: 5000\r\n\r\n"):
        with socket.create_connection(site.address, 30) as client:
            client.sendall(start)
            client.settimeout(0.05)
            ended = False
            for _ in range(200):  # a byte now and then does not help
                try:
                    client.sendall(b"x")
                    ended = client.recv(100) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
                if ended:
                    break
            assert ended
    assert eventually(lambda: not site.server.site.jobs._open)


def eventually(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def closed_gate(site):
    site.engine.gate.clear()
    yield site.engine
    site.engine.gate.set()
    assert eventually(lambda: not site.server.site.jobs._open)


def begin(site, **headers):
    """Send a picture, and return the connection without waiting for the answer."""
    body = encoded(noise())
    client = socket.create_connection(site.address, 30)
    head = f"Host: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(b"POST /restore?scale=2 HTTP/1.1\r\n" + head.encode() + body)
    return client


def read_until(client, text):
    answer = b""
    while text not in answer:
        block = client.recv(4096)
        assert block, answer
        answer += block
    return answer


def test_one_at_a_time_with_news_for_those_who_wait(site, closed_gate):
    with begin(site) as first:
        assert closed_gate.running.wait(20)  # only then is it certain which of the two is first
        with begin(site) as second:
            read_until(first, b'"share": 0.25')
            assert b'"ahead": 1' in read_until(second, b'"ahead"') + second.recv(4096)
            closed_gate.gate.set()
            for client in (first, second):
                read_until(client, b'"done"')


def test_a_client_that_leaves_ends_its_job(site, closed_gate):
    with begin(site):
        assert closed_gate.running.wait(20)
    assert eventually(lambda: not closed_gate.running.is_set())
    closed_gate.gate.set()
    assert site.post("/restore?scale=2", encoded(noise()))[1][-1]["state"] == "done"


def test_full_queue(site, closed_gate):
    clients = [begin(site) for _ in range(LIMITS.jobs)]
    assert eventually(lambda: len(site.server.site.jobs._open) == LIMITS.jobs)
    status, lines, _ = site.post("/restore?scale=2", encoded(noise()))
    assert status == 503
    assert "Too many pictures are waiting" in lines[0]["message"]
    assert site.get("/")[0] == 200
    for client in clients:
        client.close()


def test_too_many_connections(site):
    clients = [socket.create_connection(site.address, 30) for _ in range(LIMITS.connections)]
    try:
        assert eventually(lambda: site.get("/")[0] == 503)
    finally:
        for client in clients:
            client.close()
    assert eventually(lambda: site.get("/")[0] == 200)


def test_an_unexpected_error_is_told_apart(site, monkeypatch, caplog):
    def broken(picture, options, advance):
        raise RuntimeError("a secret")

    monkeypatch.setattr(site.engine, "restore", broken)
    _, lines, _ = site.post("/restore?scale=2", encoded(noise()))
    assert "could not be processed" in lines[-1]["message"]
    assert "secret" not in lines[-1]["message"]
    assert "a secret" in caplog.text


def test_closing_the_server_ends_its_jobs(tmp_path):
    with Site(tmp_path) as site:
        site.engine.gate.clear()
        client = begin(site)
        assert site.engine.running.wait(20)
        ended = threading.Thread(target=site.server.server_close)
        ended.start()
        ended.join(20)
        assert not ended.is_alive()
        client.close()


def test_port_in_use(site):
    with pytest.raises(FacehallError, match="Choose another --port"):
        PageServer(site.engine, port=site.address[1])
    with pytest.raises(FacehallError, match="port 99999"):
        PageServer(site.engine, port=99999)


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.1.2", "example.org")))
