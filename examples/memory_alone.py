"""Only the memory: a long session in a small window, with no model and no key.

Run it: python examples/memory_alone.py
"""

from ctxeng.memory.alone import open_memory
from ctxeng.memory.recall import Recall
from ctxeng.turn import Scope, assistant, user

scope = Scope(user="ada", session="monday")
memory = open_memory("sqlite::memory:", limit=600)
messages = []
for number in range(60):
    asked = f"Step {number}: book room {100 + number} for {'two' if number % 2 else 'three'} guests, please."
    messages += [user(asked), assistant(f"Room {100 + number} is booked, reference R-{4_000 + number}.")]
    window = memory.compact(messages, scope)  # what to send to the model

view = memory.session(scope).view
print(f"{len(messages)} messages said, {len(window)} shown, {view.tokens} tokens")
print(view.summary.splitlines()[0])
(found, *_) = Recall(memory.store).search("which reference has room 117", Scope(user="ada"), 1)
print(f"{found.ref}: {found.text}")
