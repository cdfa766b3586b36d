"""The registry: names, checksums, and fetching from a server on this machine."""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals import registry
from ctxeng_evals.registry import Entry, check, entries, get, load

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHOLE = b'{"question": 1}\n{"question": 2}\n{"question": 3}\n'
HEAD = WHOLE[: WHOLE.index(b"\n") * 2 + 2]


def made(**files):
    return Entry(
        about="made",
        licence="MIT",
        source=({"repo": "https://github.com/owner/name", "commit": COMMIT, "path": "data/"},),
        changes="two columns were dropped",
        loader="gsm8k",
        files={f"made/{name}": file for name, file in files.items()},
    )


def described(raw, **more):
    return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), **more}


@pytest.fixture
def served():
    """A server on this machine: what it serves by path, what was asked, and its address."""
    paths, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in paths:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(paths[self.path])))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who has enough may hang up
                self.wfile.write(paths[self.path])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield paths, asked, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def register(monkeypatch):
    """Puts one entry in the place of the real ones."""

    def registered(**files):
        monkeypatch.setattr(registry, "entries", lambda: {"made": made(**files)})

    return registered


def test_every_dataset_has_a_loader_a_source_and_checked_files():
    assert len(entries()) == 24
    for name, entry in entries().items():
        assert entry.loader in registry.LOADERS, name
        assert entry.files
        assert all(path.startswith(f"{name}/") for path in entry.files)
        assert all(file.source < len(entry.source) for file in entry.files.values())
        assert entry.about
        assert entry.licence
    assert len({entry.loader for entry in entries().values()}) == 24
    assert sum(len(entry.files) for entry in entries().values()) == 112


def test_the_registry_agrees_with_the_checksums_of_the_data(data):
    listed = [line.split("  ") for line in (data / "SHA256SUMS").read_text().splitlines()]
    ours = {path: file.sha256 for entry in entries().values() for path, file in entry.files.items()}
    assert ours == {path: sha for sha, path in listed if "LICENSE" not in path}


def test_an_entry_with_a_field_too_many_is_refused():
    raw = made(a=described(b"a")).model_dump(by_alias=True)
    with pytest.raises(ValidationError):
        Entry.model_validate({**raw, "mirror": "elsewhere"})
    with pytest.raises(ValidationError):
        made(a={"sha256": "short", "bytes": 1})


def test_an_unknown_name_is_met_with_the_known_ones():
    for call in (load, check, lambda name: get(name, None)):
        with pytest.raises(UnknownName, match=r"2wikimultihop.*toolbench-solvable"):
            call("hotpot")


def test_a_limit_takes_the_first_cases(data, monkeypatch):
    monkeypatch.setenv("CTXENG_DATA", str(data))
    assert [case.id for case in load("gsm8k", 2).cases] == ["gsm8k-1", "gsm8k-2"]
    assert load("bbh:navigate", 1).name == "bbh:navigate"
    with pytest.raises(BadInput, match="one at least"):
        load("gsm8k", 0)


def test_every_file_of_the_data_is_as_it_must_be(data, monkeypatch):
    monkeypatch.setenv("CTXENG_DATA", str(data))
    found = [finding for name in entries() for finding in check(name)]
    assert [finding for finding in found if finding.state != "ok"] == []
    assert len(found) == 112


def test_check_finds_a_changed_byte_and_a_missing_file(tmp_path, monkeypatch, register):
    monkeypatch.setenv("CTXENG_DATA", str(tmp_path))
    register(right=described(b"right"), changed=described(b"as it was"), gone=described(b"gone"))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "right").write_bytes(b"right")
    (tmp_path / "made" / "changed").write_bytes(b"as it wis")
    states = {finding.file: finding.state for finding in check("made")}
    assert states == {"made/right": "ok", "made/changed": "differs", "made/gone": "missing"}


def test_files_are_fetched_from_the_commit_and_heads_are_cut(tmp_path, register, served):
    paths, _, base = served
    paths[f"/owner/name/{COMMIT}/data/a%20whole.jsonl"] = WHOLE
    register(
        whole=described(WHOLE, **{"from": "data/a whole.jsonl"}),
        head=described(HEAD, **{"from": "data/a whole.jsonl", "head": 2}),
    )
    told = []
    found = get("made", tmp_path, base=base, progress=lambda *so_far: told.append(so_far))
    assert [(each.file, each.said) for each in found] == [("made/whole", "fetched"), ("made/head", "fetched")]
    assert (tmp_path / "made" / "whole").read_bytes() == WHOLE
    assert (tmp_path / "made" / "head").read_bytes() == HEAD
    assert told == [("made/whole", len(WHOLE), len(WHOLE)), ("made/head", len(HEAD), len(HEAD))]


def test_a_wrong_checksum_is_refused_and_leaves_no_file(tmp_path, register, served):
    paths, _, base = served
    paths[f"/owner/name/{COMMIT}/a"] = b"something else"
    register(a=described(WHOLE, **{"from": "a"}))
    with pytest.raises(BadInput, match=r"made/a: .* checksum"):
        get("made", tmp_path, base=base)
    assert list(tmp_path.rglob("*")) == []


def test_a_wrong_checksum_leaves_the_file_that_was_there(tmp_path, register, served):
    paths, _, base = served
    paths[f"/owner/name/{COMMIT}/a"] = b"something else"
    register(a=described(WHOLE, **{"from": "a"}))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").write_bytes(b"mine")
    with pytest.raises(BadInput, match="checksum"):
        get("made", tmp_path, base=base)
    assert (tmp_path / "made" / "a").read_bytes() == b"mine"
    assert len(list(tmp_path.rglob("*"))) == 2


def test_a_reply_that_goes_on_is_not_read_to_its_end(tmp_path, register, served):
    paths, _, base = served
    paths[f"/owner/name/{COMMIT}/a"] = WHOLE + bytes(1 << 22)
    register(a=described(WHOLE, **{"from": "a"}), head=described(HEAD, **{"from": "a", "head": 2}))
    with pytest.raises(BadInput, match="checksum"):
        get("made", tmp_path, base=base)


def test_fetching_goes_on_where_it_stopped(tmp_path, register, served):
    paths, asked, base = served
    paths[f"/owner/name/{COMMIT}/a"] = b"a"
    register(a=described(b"a", **{"from": "a"}), b=described(b"b", **{"from": "b"}))
    with pytest.raises(BadInput, match=r"made/b: cannot be fetched .*404.*call again"):
        get("made", tmp_path, base=base)
    paths[f"/owner/name/{COMMIT}/b"] = b"b"
    asked.clear()
    assert [each.said for each in get("made", tmp_path, base=base)] == ["already there", "fetched"]
    assert asked == [f"/owner/name/{COMMIT}/b"]


def test_converted_files_are_named_with_what_was_changed(tmp_path, register, served):
    paths, _, base = served
    paths[f"/owner/name/{COMMIT}/a"] = b"a"
    register(converted=described(b"c"), a=described(b"a", **{"from": "a"}))
    converted, fetched = get("made", tmp_path, base=base)
    assert converted.file == "made/converted"
    assert converted.said.startswith("missing; it was converted when this data was made")
    assert "two columns were dropped" in converted.said
    assert fetched.said == "fetched"


def test_a_server_that_is_not_there_is_told(tmp_path, register):
    register(a=described(b"a", **{"from": "a"}))
    with pytest.raises(BadInput, match="made/a: cannot be fetched"):
        get("made", tmp_path, base="http://127.0.0.1:9")


def test_another_opener_can_stand_in(tmp_path, register):
    def opener(address, timeout):
        assert address.startswith(f"https://raw.githubusercontent.com/owner/name/{COMMIT}/")
        assert timeout > 0
        raise TimeoutError("timed out")

    register(a=described(b"a", **{"from": "a"}))
    with pytest.raises(BadInput, match="timed out"):
        get("made", tmp_path, opener=opener)
