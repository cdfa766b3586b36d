"""Calls of the memory tool, and what they say."""

from __future__ import annotations

from ctxeng.turn import Call, Scope

ADA = Scope(tenant="acme", user="ada", session="monday")


def do(files, command, scope=ADA, **arguments):
    return files.run(Call(id="k", name="memory", arguments={"command": command, **arguments}), scope)


def written(files, path="/memories/a.md", text="one\ntwo\nthree"):
    assert not do(files, "create", path=path, file_text=text).is_error
    return path


def text_of(files, path="/memories/a.md", scope=ADA):
    said = do(files, "view", path=path, scope=scope).text
    return "\n".join(line.partition("\t")[2] for line in said.split("\n")[1:])
