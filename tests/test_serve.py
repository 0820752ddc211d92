"""The server that scores audio files: its JSON, what it refuses, and its page in a browser."""

import csv
import io
import threading
import time

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.stages.encode import encode
from mcls.stages.predict import predict
from mcls.stores.store import Store

pytest.importorskip("fastapi", reason="mcls[serve] is not installed")

from fastapi.testclient import TestClient

from mcls.serve.app import make_app
from mcls.serve.guards import is_loopback
from mcls.serve.neighbours import TrainTracks, media_type
from mcls.serve.scoring import FileScorer, Limits
from mcls.serve.server import serve

HOSTILE = "<img src=x onerror=alert(1)>"


def run_mcls(*args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a folder with audio, a store and a run; one label is markup."""
    root = tmp_path_factory.mktemp("serve")
    rng = np.random.default_rng(0)
    rows = [["path", "labels", "split"]]
    for i in range(12):
        y = rng.uniform(-0.5, 0.5, 16000) * np.sin(np.arange(16000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(root / f"{i}.wav", y, 8000)
        rows.append([f"{i}.wav", ["low", HOSTILE][i % 2], ["train", "train", "test"][i % 3]])
    with (root / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    run_mcls("extract", root / "tracks.csv", root / "s.h5", "--sr", 8000)
    run_mcls("train", root / "s.h5", root / "run", "--pool", "mean")
    return root


@pytest.fixture(scope="module")
def client(made):
    run = open_run(made / "run")
    with FileScorer(made / "run", 1.0, Limits(max_bytes=200_000, max_seconds=10.0)) as scorer:
        app = make_app(run, scorer, TrainTracks(run, Store(made / "s.h5")))
        yield TestClient(app, base_url="http://localhost")


def sent(client, content, name="x.wav"):
    return client.post("/predict", files={"file": (name, content)})


def test_scores_are_those_of_predict(client, made):
    for i in (2, 5):
        found = sent(client, (made / f"{i}.wav").read_bytes()).json()
        expected = predict(made / "run", [made / f"{i}.wav"], windows=1.0)
        track = expected.tracks[0]
        scores = dict(zip(expected.labels, track.scores, strict=True))
        assert found["scores"] == pytest.approx(scores, abs=1e-9)
        assert found["labels"] == expected.predicted(track.scores)
        assert [one["stop"] for one in found["windows"]] == [one.stop for one in track.windows]
        assert found["seconds"] == pytest.approx(2.0)


def test_a_train_track_is_its_own_nearest_neighbour(client, made):
    found = sent(client, (made / "3.wav").read_bytes()).json()["neighbours"]
    assert found[0]["track"] == "3"
    assert found[0]["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert found[0]["labels"] == [HOSTILE]
    audio = client.get(found[0]["audio"])
    assert audio.headers["content-type"] == "audio/wav"
    assert audio.content == (made / "3.wav").read_bytes()
    names = {one["track"] for one in found}
    assert names <= {str(i) for i in range(12) if i % 3 < 2}  # the train part alone


def test_neighbours_are_those_of_standardised_cosines(client, made, tmp_path):
    encode(made / "s.h5", tmp_path / "rows.h5", pool=["mean"])
    rows = Store(tmp_path / "rows.h5").feature()
    train = [i for i in range(12) if i % 3 < 2]
    matrix = np.array([np.mean(rows.track(i), axis=0) for i in train])
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    cosines = scaled @ scaled[0] / np.linalg.norm(scaled, axis=1) / np.linalg.norm(scaled[0])
    best = [str(train[i]) for i in np.argsort(-cosines)[:5]]
    found = sent(client, (made / f"{train[0]}.wav").read_bytes()).json()["neighbours"]
    assert [one["track"] for one in found] == best
    assert [one["similarity"] for one in found] == pytest.approx(
        np.sort(cosines)[::-1][:5], abs=1e-5
    )


def test_what_is_no_audio_is_refused(client, made):
    whole = (made / "0.wav").read_bytes()
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"
    concat = b"ffconcat version 1.0\nfile /etc/passwd\n"
    for content in (b"", b"\0" * 100, b"RIFF", whole[:20], playlist, concat, b"<svg onload=x>"):
        answer = sent(client, content)
        assert answer.status_code == 415, content
        assert "root:" not in answer.text
    assert sent(client, whole).status_code == 200  # and it goes on


def test_names_do_not_matter(client, made):
    content = (made / "0.wav").read_bytes()
    for name in ("../../../etc/cron.d/x", "a\nb.mp3", "con.exe", "\N{GRINNING FACE}" * 50):
        assert sent(client, content, name).status_code == 200, name


def test_a_file_that_is_too_long_or_too_large_is_refused(client):
    stretched = io.BytesIO()
    soundfile.write(stretched, np.zeros(8000 * 11), 8000, format="FLAC")
    answer = sent(client, stretched.getvalue())
    assert (answer.status_code, answer.json()["detail"]) == (415, "it is longer than 10 s")
    answer = sent(client, bytes(300_000))
    assert answer.status_code == 413
    assert "larger than 0.2 MB" in answer.json()["detail"]


def test_bytes_are_counted_whatever_the_header_says(client):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(400):
            yield bytes(1000)
        yield b"\r\n--b--\r\n"

    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/predict", content=body(), headers=kind).status_code == 413


def test_other_hosts_and_pages_are_refused(client, made):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": "127.0.0.1:99"}).status_code == 200
    content = {"file": ("x", (made / "0.wav").read_bytes())}
    for origin, status in (("http://evil.example", 403), ("null", 403), ("http://localhost", 200)):
        answer = client.post("/predict", files=content, headers={"origin": origin})
        assert answer.status_code == status
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


def test_only_audio_of_the_store_is_sent(client, made, tmp_path):
    for address in (
        "/tracks/99/audio",
        "/tracks/-1/audio",
        "/static/app.py",
        "/static/..%2fapp.py",
    ):
        assert client.get(address).status_code == 404, address
    assert client.get("/tracks/x/audio").status_code == 422
    assert media_type(made / "tracks.csv") is None
    assert media_type(tmp_path / "none") is None
    assert media_type(tmp_path) is None


def test_a_file_that_takes_too_long_does_not_stop_the_server(made):
    limits = Limits(time_limit=0.02)
    long = made / "long.wav"
    soundfile.write(long, np.random.default_rng(0).uniform(-1, 1, 8000 * 600), 8000)
    with FileScorer(made / "run", 1.0, limits) as scorer:
        with pytest.raises(DataError, match=r"took longer than 0\.02 s"):
            scorer.score(long)
        scorer.limits = Limits()
        assert scorer.score(made / "0.wav").scored.scores.shape == (2,)


def test_the_openapi_page_needs_no_network(client):
    text = client.get("/docs").text
    assert "http://" not in text
    assert "https://" not in text
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/run", "/predict"}
    assert {"200", "413", "415", "503"} <= set(paths["/predict"]["post"]["responses"])


def test_a_port_in_use_is_an_error(made):
    with serve(made / "run", port=0) as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(ConfigError, match="in use"):
            serve(made / "run", port=port)
    failed = CliRunner().invoke(cli, ["serve", str(made / "none")])
    assert failed.exit_code == 1
    assert "none" in failed.output


@pytest.fixture(scope="module")
def address(made):
    with serve(made / "run", port=0, store=made / "s.h5", window=1.0) as server:
        thread = threading.Thread(target=server.wait)
        thread.start()
        yield server.address
        server.stop()
        thread.join()


def wait_until(browser, condition, seconds=60):
    until = time.monotonic() + seconds
    while not browser.run(f"return Boolean({condition})"):
        assert time.monotonic() < until, condition
        time.sleep(0.1)


def give(browser, path):
    browser.driver.find_element("id", "file").send_keys(str(path))


def text_of(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).innerText", selector)


FOUND = "!document.querySelector('#found').hidden"


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_scores_a_file_in_a_browser(browser, address, made, width):
    browser.view(width)
    browser.open(address)
    wait_until(browser, "document.querySelector('#about').textContent")
    give(browser, made / "3.wav")
    wait_until(browser, FOUND)
    assert text_of(browser, "#predicted").startswith("Predicted: ")
    assert HOSTILE in text_of(browser, "#scores")  # shown as text
    assert browser.run("return document.images.length") == 0
    assert browser.run("return document.querySelectorAll('#windows tbody td').length") == 4
    assert text_of(browser, "#neighbours li").startswith("3: ")
    for player in ("#given", "#neighbours audio"):
        browser.run("document.querySelector(arguments[0]).play()", player)
        wait_until(browser, f"document.querySelector('{player}').currentTime > 0.1")
    assert browser.overflow() <= 0
    assert all(url.startswith(address) for url in browser.requests())
    assert browser.errors() == []


def test_the_page_scores_a_recording(browser, address):
    browser.view(800, dark=True)
    browser.open(address.replace("127.0.0.1", "localhost"))
    wait_until(browser, "document.querySelector('#about').textContent")
    record = browser.driver.find_element("id", "record")
    record.click()
    wait_until(browser, "document.querySelector('#record').textContent == 'Stop recording'")
    time.sleep(1.2)
    record.click()
    wait_until(browser, FOUND)
    assert text_of(browser, "#said").startswith("the recording: ")
    assert browser.errors() == []


def test_the_page_says_why_a_file_is_refused(browser, address, made):
    browser.open(address)
    wait_until(browser, "document.querySelector('#about').textContent")
    give(browser, made / "tracks.csv")
    wait_until(browser, "!document.querySelector('#error').hidden")
    assert "tracks.csv: not audio" in text_of(browser, "#error")
    assert browser.run("return document.querySelector('#found').hidden")


def test_the_openapi_page_opens_in_a_browser(browser, address):
    browser.open(f"{address}/docs")
    wait_until(browser, "document.querySelector('#operations-default-predict_predict_post')")
    assert all(url.startswith((address, "blob:")) for url in browser.requests())
    assert browser.errors() == []
