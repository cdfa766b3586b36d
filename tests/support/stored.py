"""A small playbook file, and entries to put into it."""

import subprocess

from ctxeng.playbook.entry import Entry

FILE = """\
# ours
ctxeng: 1
playbook: support
entries:
  # refunds
  - id: refund-aaaaa
    text: Offer credit.   # always
  - id: order-bbbbb
    text: Ask for the number.
"""


def whole(playbook):
    return [(entry, dict(playbook.votes(entry.id)), playbook.provenance(entry.id)) for entry in playbook.own]


def entry(letter, text="A lesson."):
    return Entry(id=f"new-{letter * 5}", text=text)


def git(folder, *words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )
