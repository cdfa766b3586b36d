"""A real HTTP server that speaks the OpenAI chat format and plays a script, faults included."""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is sent as it is, valid JSON or not."""

    name: str
    arguments: str
    id: str = "call_1"


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    `cut` ends a stream after its first pieces: the connection dies ("dead") or just ends ("clean").
    `raw` is sent as the body as it is. `delay` is seconds before anything is sent.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    finish: str = ""
    status: int = 200
    error: str = ""
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut: Literal["", "dead", "clean"] = ""
    raw: str = ""
    delay: float = 0.0
    pause: float = 0.0
    usage: tuple[int, int, int] | None = (100, 7, 40)  # prompt, completion, cached


@dataclass
class Wire:
    """The running server: what it will say, and what it was asked."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text="", **options):
        """Script one more reply."""
        self.replies.append(Reply(text, **options))
        return self

    def call(self, *calls, **options):
        """Script one more reply that calls tools: (name, arguments) pairs."""
        made = tuple(Call(name, args, f"call_{index}") for index, (name, args) in enumerate(calls))
        self.replies.append(Reply(calls=made, **options))
        return self

    def fail(self, status, error="", **options):
        """Script one more failure."""
        self.replies.append(Reply(status=status, error=error or f"error {status}", **options))
        return self

    def take(self, body, headers):
        with self.lock:
            self.requests.append(body)
            self.headers.append(headers)
            return self.replies.pop(0) if self.replies else Reply(status=500, error="the script is exhausted")


@contextmanager
def serve():
    """A server on a free port of this machine, for as long as the block lasts."""
    wire = Wire("")

    class Handler(_Handler):
        script = wire

    server = _Server(("127.0.0.1", 0), Handler)
    wire.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Wire

    def log_message(self, *args):
        """Nothing on the terminal."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = self.script.take(body, {name.lower(): value for name, value in self.headers.items()})
        time.sleep(reply.delay)
        if not self.path.endswith("/chat/completions"):
            return self.whole(404, {"error": {"message": f"no such path: {self.path}"}}, {})
        if reply.status != 200:
            error = {"message": reply.error, "type": "error", "code": reply.code or str(reply.status)}
            return self.whole(reply.status, {"error": error}, reply.headers)
        if reply.raw:
            return self.send(200, reply.raw.encode(), "application/json", reply.headers)
        if body.get("stream"):
            return self.stream(body, reply)
        return self.whole(200, completion(body, reply), reply.headers)

    def whole(self, status, body, headers):
        self.send(status, json.dumps(body).encode(), "application/json", headers)

    def send(self, status, body, kind, headers):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, body, reply):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        include = body.get("stream_options", {}).get("include_usage", False)
        for index, piece in enumerate(pieces(body, reply, include)):
            if reply.cut and index == 3:
                break
            self.chunk(f"data: {json.dumps(piece)}\n\n".encode())
            time.sleep(reply.pause)
        if reply.cut == "dead":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if not reply.cut:
            self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def usage_of(reply):
    prompt, completed, cached = reply.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def finish_of(reply):
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def call_of(call, index):
    return {
        "index": index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def completion(body, reply):
    message = {"role": "assistant", "content": reply.text or None}
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if reply.calls:
        message["tool_calls"] = [call_of(call, index) for index, call in enumerate(reply.calls)]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_of(reply)}],
        **({"usage": usage_of(reply)} if reply.usage else {}),
    }


def pieces(body, reply, include_usage):
    def piece(delta, finish=None, **more):
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            **more,
        }

    yield piece({"role": "assistant", "content": ""})
    if reply.thinking:
        yield piece({"reasoning_content": reply.thinking})
    for word in re.findall(r"\s*\S+|\s+", reply.text):
        yield piece({"content": word})
    for index, call in enumerate(reply.calls):
        made = call_of(call, index)
        half = len(call.arguments) // 2
        made["function"] = {"name": call.name, "arguments": call.arguments[:half]}
        yield piece({"tool_calls": [made]})
        yield piece({"tool_calls": [{"index": index, "function": {"arguments": call.arguments[half:]}}]})
    yield piece({}, finish_of(reply))
    if include_usage and reply.usage:
        yield {**piece({}), "choices": [], "usage": usage_of(reply)}
