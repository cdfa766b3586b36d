"""The server, driven by the official client and by litellm: answers, streams, limits, nothing left behind."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import jsonschema
import openai
import pytest
import uvicorn

from ctxeng.runtime.box import Box
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.server.app import Server
from tiny_folder import tiny_folder

KEY = "sesame-for-tests"
NEVER_ENDS = {str(token): -100 for token in range(3)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    box = Box.open(tiny_folder(tmp_path_factory.mktemp("models") / "tiny"), memory=1 << 26)
    made = Server(box, CachePlan(), key=KEY, waiting=100)
    web = uvicorn.Server(uvicorn.Config(made.app(), port=0, log_level="error"))
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        time.sleep(0.01)
    port = web.servers[0].sockets[0].getsockname()[1]
    yield made, f"http://127.0.0.1:{port}"
    web.should_exit = True
    thread.join()
    box.close()


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server[1]}/v1", api_key=KEY, max_retries=0) as client:
        yield client


HELLO = [{"role": "user", "content": "Hello"}]


def test_chat_answers_and_bills(client):
    answer = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=7, temperature=0)
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.completion_tokens <= 7
    assert answer.usage.prompt_tokens > 5
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_a_stream_says_the_same_and_ends_with_its_usage(client):
    asked = {"model": "tiny", "messages": HELLO, "max_tokens": 20, "temperature": 0, "logit_bias": NEVER_ENDS}
    whole = client.chat.completions.create(**asked)
    stream = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == whole.choices[0].message.content
    assert stream[-1].usage.completion_tokens == 20
    assert stream[-2].choices[0].finish_reason == "length"
    assert len(stream) > 5


def test_the_second_request_is_served_from_the_store(client):
    messages = [{"role": "user", "content": "A long question that comes twice. " * 12}]
    first, second = (
        client.chat.completions.create(model="tiny", messages=messages, max_tokens=2) for _ in range(2)
    )
    assert first.usage.prompt_tokens_details.cached_tokens < 64
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 64


def test_a_json_schema_is_kept_to(client):
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "word": {"enum": ["a", "b"]}},
        "required": ["ok", "word"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    jsonschema.validate(json.loads(answer.choices[0].message.content), schema)


def test_tools_stand_in_the_prompt(client):
    tool = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {}}}
    plain, tooled = (
        client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=2, **more)
        for more in ({}, {"tools": [tool]})
    )
    assert tooled.usage.prompt_tokens > plain.usage.prompt_tokens


def test_completions_take_text_and_tokens(client):
    asked = {"model": "tiny", "max_tokens": 5, "temperature": 0}
    by_text = client.completions.create(prompt="abc", **asked)
    by_ids = client.completions.create(prompt=[68, 69, 70], **asked)
    assert by_text.usage.prompt_tokens == by_ids.usage.prompt_tokens == 3
    assert "".join(
        c.choices[0].text for c in client.completions.create(prompt="abc", stream=True, **asked)
    ) == (by_text.choices[0].text)


def test_embeddings_have_unit_length_and_tell_texts_apart(client):
    found = client.embeddings.create(model="tiny", input=["one text", "quite another", "one text"])
    vectors = [item.embedding for item in found.data]
    assert vectors[0] == pytest.approx(vectors[2])
    assert vectors[0] != pytest.approx(vectors[1])
    assert sum(x * x for x in vectors[0]) == pytest.approx(1.0, abs=1e-4)


def test_the_model_is_listed_and_health_needs_no_key(client, server):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert httpx.get(f"{server[1]}/health").json() == {"status": "ok"}
    assert httpx.get(f"{server[1]}/v1/models").status_code == 401


def test_metrics_are_numbers_in_prometheus_form(client, server):
    client.completions.create(model="tiny", prompt="abc", max_tokens=3)
    text = httpx.get(f"{server[1]}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    found = dict(line.split(" ") for line in text.splitlines())
    assert float(found["ctxeng_generated_tokens"]) >= 1
    assert {"ctxeng_cache_used", "ctxeng_requests", "ctxeng_requests_running"} <= set(found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": HELLO, "temperature": -1}, "temperature"),
        ({"messages": HELLO, "max_tokens": 100_000}, "exceed 4096"),
        ({"messages": HELLO, "logit_bias": {"99999": 1}}, "logit bias for token 99999"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "reads text only"),
        (
            {
                "messages": HELLO,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "array", "uniqueItems": True}},
                },
            },
            "uniqueItems",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_bad_requests_are_told_what_is_wrong(server, body, said, stream):
    headers = {"Authorization": f"Bearer {KEY}"}
    found = httpx.post(f"{server[1]}/v1/chat/completions", json={**body, "stream": stream}, headers=headers)
    assert found.status_code == 400
    assert said in found.json()["error"]["message"]


def test_a_wrong_key_is_refused(server):
    client = openai.OpenAI(base_url=f"{server[1]}/v1", api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="tiny", messages=HELLO)


def test_litellm_reaches_it_too(server):
    """In a process of its own: litellm leaves an event loop behind."""
    code = (
        "import litellm; answer = litellm.completion(model='openai/tiny', max_tokens=4, "
        f"api_base='{server[1]}/v1', api_key='{KEY}', messages={HELLO!r}); "
        "print(answer.usage.completion_tokens)"
    )
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert 0 < int(found.stdout) <= 4


def counted(number):
    """A request of the soak: seven different ones come again and again."""
    return {
        "prompt": f"stream number {number % 7}",
        "max_tokens": 30,
        "temperature": 0,
        "stream": True,
        "logit_bias": NEVER_ENDS,
    }


async def streamed(http, address, number, stop):
    """What request `number` says; None where it was hung up on after `stop` pieces."""
    headers = {"Authorization": f"Bearer {KEY}"}
    found, pieces, url = "", 0, f"{address}/v1/completions"
    async with http.stream("POST", url, json=counted(number), headers=headers) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                found += json.loads(line[6:])["choices"][0]["text"]
                pieces += 1
            if stop is not None and pieces >= stop:
                return None
    return found


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("seconds", [15, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read the resident size from")
async def test_many_streams_with_cancels_and_disconnects_leave_nothing_behind(server, seconds):
    """64 at once, half of them hung up on; the others say what they say alone, and memory stays."""
    if seconds > 60 and not os.environ.get("CTXENG_SOAK"):
        pytest.skip("five minutes: set CTXENG_SOAK=1")
    made, address = server
    engine, rng = made.box.engine, random.Random(0)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        alone = [await streamed(http, address, number, None) for number in range(7)]
        end, warm, before = time.monotonic() + seconds, time.monotonic() + seconds / 3, 0
        while time.monotonic() < end:
            stops = [rng.choice([None, rng.randrange(1, 25)]) for _ in range(64)]
            found = await asyncio.gather(*(streamed(http, address, n, stop) for n, stop in enumerate(stops)))
            assert all(text in {None, alone[n % 7]} for n, text in enumerate(found))
            if not before and time.monotonic() > warm:
                before = resident()
        for _ in range(200):
            if engine.describe()["running"] == made.running == 0:
                break
            await asyncio.sleep(0.05)
    assert resident() - before < 20 << 20
    assert engine.describe()["running"] == made.running == 0
    engine.call(lambda: (engine.store.clear(), engine.pieces.clear()))
    assert engine.describe()["blocks_in_use"] == 0


def test_the_command_serves_and_ends_on_ctrl_c(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    command = [sys.executable, "-m", "ctxeng.cli.main", "serve", str(folder), "--port", "18431"]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(300):
            try:
                assert httpx.get("http://127.0.0.1:18431/health").status_code == 200
                break
            except httpx.TransportError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.2)
        body = {"prompt": "abc", "max_tokens": 3}
        assert httpx.post("http://127.0.0.1:18431/v1/completions", json=body).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in {0, 130}
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--key-env"),
        (["--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
        (["--codec", "int3"], "--codec"),
        (["--method", "magic"], "unknown cache method"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, options, said):
    folder = tiny_folder(tmp_path / "tiny")
    command = [sys.executable, "-m", "ctxeng.cli.main", "serve", str(folder), *options]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert found.returncode == 2
    assert said in found.stderr
