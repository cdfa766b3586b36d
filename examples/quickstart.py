"""Open a playbook, ask, give feedback, and read what was learned as a diff.

    python examples/quickstart.py

Runs offline. `HashingEmbedder` stands in for the default encoder so that it takes no seconds to load; leave
`encoder=` out for the real one, or name a hosted model in the YAML.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ctxeng.playbook.diff import text_diff
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.turn import Choice, Choices

PLAYBOOK = """\
ctxeng: 1
playbook: helpdesk
# Comments survive learning.
entries:
  - id: house-m4qz7
    when: a refund is asked for after 30 days
    text: Retention
"""
QUEUES = Choices(options=(Choice(value="Billing"), Choice(value="Depot"), Choice(value="Retention")))
LABELLED = [
    ("The display arrived cracked, serial HB2-40917.", "Depot"),
    ("You charged my card twice on 2 May.", "Billing"),
    ("Water got into the housing, I want it swapped.", "Depot"),
]


def main() -> None:
    """Ask before and after three lessons, and show what changed in the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "helpdesk.yaml"
        path.write_text(PLAYBOOK, encoding="utf-8")
        app = open_app(path, encoder=HashingEmbedder())
        before = app.store.playbook
        with app.orchestrator() as helpdesk:
            ticket = "The second display you sent is cracked as well."
            print("before:", helpdesk.invoke(ticket, want=QUEUES).answer.text)
            for question, queue in LABELLED:
                turn = helpdesk.invoke(question, want=QUEUES)
                helpdesk.feedback(turn.id, truth=queue)  # now, or days later
            answer = helpdesk.invoke(ticket, want=QUEUES).answer
            print("after: ", answer.text, "because of", ", ".join(answer.cited))
        print(text_diff(before, app.store.playbook))


if __name__ == "__main__":
    main()
