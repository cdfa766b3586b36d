"""A model that really reads: it finds what it says in the documents of its prompt, and nowhere else."""

import json
import re

from ctxeng.models.scripted import ScriptedModel
from ctxeng.text.sentences import sentences

_BLOCK = re.compile(r"<(\w+)>\n(.*?)\n</\1>", re.DOTALL)
_CITY = re.compile(r"directed by (\w+ \w+)")
TITLE = re.compile(r"director of (?:the film )?([A-Z]\w+(?: [A-Z]\w+)*)")


def blocks(context):
    """The blocks of a prompt by name; documents, known and steps as lists of what their lines hold."""
    found = dict(_BLOCK.findall(context.sections[0].body.text))
    return {
        name: [json.loads(line) for line in body.splitlines() if line.strip()]
        if name in {"documents", "known", "steps"}
        else body
        for name, body in found.items()
    }


def lines(rows):
    """Each sentence of the rows with its row's id."""
    return [(row["id"], row["text"][a:b]) for row in rows for a, b in sentences(row["text"])]


def director(rows, film):
    """Who directed the film, and the row that says so."""
    for number, sentence in lines(rows):
        said = _CITY.search(sentence)
        if film in sentence and said:
            return said[1], number, sentence
    return "", 0, ""


def birthplace(rows, person):
    """The sentence that says where the person was born, and its row."""
    for number, sentence in lines(rows):
        if person and person in sentence and "was born in" in sentence:
            return re.search(r"was born in (\w+)", sentence)[1], number, sentence
    return "", 0, ""


def replied(context, ask):
    """What a careful reader replies to the five prompts about the birthplace of a film's director."""
    prompt = blocks(context)
    film = TITLE.search(prompt["question"])[1]
    method = context.sections[0].source
    if method == "decompose":
        return json.dumps({"queries": [f"Who directed {film}?", "Where was the director born?"]})
    rows = prompt["documents"]
    person, where, sentence = director(rows, film)
    if method == "iterdrag":
        city, _, _ = birthplace(rows, person)
        asked = f"Where was {person} born?" if person else f"Who directed {film}?"
        return json.dumps({"answer": city or person, "enough": bool(city), "next": "" if city else asked})
    if method == "agentic_lu":
        return json.dumps({"clarifications": clarifications(rows, film, person, where)})
    if "<known>" in context.sections[0].body.text:
        return json.dumps({"extracts": extracts(prompt, film, person, where, sentence)})
    city, _, _ = birthplace(rows, person)
    return json.dumps({"sufficient": bool(city), "answer": city})


def clarifications(rows, film, person, where):
    """Who directed it, then where that person was born; and one that leads nowhere."""
    city, home, _ = birthplace(rows, person)
    found = [{"question": f"What else is {film}?", "ids": [1], "answer": "", "rating": 0.1}]
    if person:
        found.append({"question": f"Who directed {film}?", "ids": [where], "answer": person, "rating": 0.5})
    if city:
        found.append(
            {
                "question": f"Where was {person} born?",
                "ids": [where, home],
                "answer": city,
                "rating": 0.95,
            }
        )
    return found


def extracts(prompt, film, person, where, sentence):
    """A part's sentences on the director, or on the birthplace of the director that others found."""
    found = [{"id": where, "text": sentence, "score": 0.9}] if person else []
    known, _, _ = director(prompt["known"], film)
    _, home, fact = birthplace(prompt["documents"], known or person)
    return [*found, {"id": home, "text": fact, "score": 0.8}] if fact else found


def reader(window=32_000):
    """The model."""
    return ScriptedModel(replied, window=window)
