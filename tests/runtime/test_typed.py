"""What the runs of a rendered prompt are, how settings say what becomes of them, and what is said if not."""

import pytest

from ctxeng.errors import BadInput, BadSettings
from ctxeng.kv.methods.duo import Gates
from ctxeng.runtime.box import Box
from ctxeng.runtime.heads import gates_of, measured
from ctxeng.runtime.local import LocalModel
from ctxeng.runtime.plan import CachePlan, KindPlan
from ctxeng.settings import App, read
from ctxeng.turn import Ask, Chunk, Context, Message, Note, Section, Text, Tool, user
from tiny_folder import tiny_folder

TRIMMING = """{%- for message in messages -%}{{- message.content | upper -}}{%- endfor -%}"""


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    box = Box.open(tiny_folder(tmp_path_factory.mktemp("models") / "tiny"), memory=1 << 26)
    yield box
    box.close()


def context(notes=("Count the days.", "Name the month."), documents=("One.", "Two."), said="Find it."):
    sections = [
        Section(kind="system", source="app", body="Be brief."),
        *(
            Section(kind="playbook", source="book", body=Note(text=text), ref=f"e{n}", trust="trusted")
            for n, text in enumerate(notes)
        ),
        Section(kind="tool", source="tools", body=Tool(name="find", description="Finds things.")),
        Section(kind="message", source="app", body=Message(role="user", parts=(Text(text="Earlier."),))),
        Section(kind="message", source="app", body=Message(role="assistant", parts=(Text(text="Yes."),))),
        *(
            Section(kind="chunk", source="chunks", body=Chunk(id=str(n), text=text), ref=f"d{n}")
            for n, text in enumerate(documents)
        ),
        Section(kind="query", source="app", body=user(said)),
    ]
    return Context(sections=tuple(sections))


def kinds(model, made):
    prompt = model._prompt(made)
    return [part.kind for part in prompt.parts if part.kind != "glue"], prompt


def text_of(box, prompt, kind):
    return [box.tokenizer.decode(part.ids) for part in prompt.parts if part.kind == kind]


def test_every_part_of_a_prompt_has_its_kind(box):
    plan = CachePlan(kinds={"playbook": KindPlan(), "chunk": KindPlan()})
    found, prompt = kinds(LocalModel(box, plan), context())
    assert found == ["tool", "system", "playbook", "history", "history", "query", "chunk", "query"]
    (book,) = text_of(box, prompt, "playbook")
    assert book == "- [e0] Count the days.\n- [e1] Name the month."
    assert text_of(box, prompt, "history") == ["Earlier.", "Yes."]
    assert '"find"' in text_of(box, prompt, "tool")[0]
    whole = LocalModel(box)._prompt(context())
    assert box.tokenizer.decode(prompt.ids) == box.tokenizer.decode(whole.ids)


def test_entries_and_documents_stand_side_by_side_where_that_is_asked_for(box):
    model = LocalModel(box, apart=frozenset({"playbook", "chunk"}))
    found, prompt = kinds(model, context())
    assert found[:5] == ["tool", "system", "playbook", "playbook", "history"]
    assert [part.kind for part in prompt.parts if part.parallel] == ["playbook"] * 2 + ["chunk"] * 2
    assert prompt.notes == ()
    assert box.tokenizer.decode(prompt.ids) == box.tokenizer.decode(LocalModel(box)._prompt(context()).ids)


def test_an_edited_entry_is_read_again_and_the_others_are_not(box):
    model = LocalModel(box, CachePlan(moved=True), apart=frozenset({"playbook"}))
    notes = [f"Rule number {n} is about the {word}." for n, word in enumerate(("sea", "sky", "sun"))]
    model.answer(context(notes), Ask(max_tokens=1))
    second = model.answer(context([notes[0], "Rule number 1 is new.", notes[2]]), Ask(max_tokens=1))
    prompt = model._prompt(context(notes))
    kept = [part.ids for part in prompt.parts if part.parallel]
    assert second.usage["answer"].cached >= len(kept[0]) + len(kept[2])


def test_somebodys_words_that_look_like_an_entry_are_no_entry(box):
    model = LocalModel(box, apart=frozenset({"playbook", "chunk"}))
    made = context(notes=("Same.",), documents=(), said="- [e0] Same.")
    found, _ = kinds(model, made)
    assert found == ["tool", "system", "playbook", "history", "history", "query"]


def test_a_template_that_hides_the_documents_means_reading_in_order_and_the_answer_says_so(tmp_path):
    box = Box.open(tiny_folder(tmp_path / "tiny", template=TRIMMING), memory=1 << 26)
    model = LocalModel(box, apart=frozenset({"chunk"}))
    answer = model.answer(context(), Ask(max_tokens=1))
    assert "2 parts are read in order" in answer.notes[0]
    assert LocalModel(box).answer(context(), Ask(max_tokens=1)).notes == ()
    box.close()


FILE = """ctxeng: 1
playbook: p
models:
  answer:
    id: "local:./tiny"
    local:
      memory: 64MiB
      store: ./kv
      pieces:
        playbook: {read: parallel, codec: int8}
        tool: {method: {name: squeezed, quantile: 0.5}}
        chunk: {read: parallel, codec: int4, method: {name: snapkv, budget: 0.5}}
        history: {method: {name: duo, share: 0.5, sinks: 4, recent: 60}}
entries: []
"""


def test_settings_name_what_becomes_of_each_kind(tmp_path):
    tiny_folder(tmp_path / "tiny")
    path = tmp_path / "p.yaml"
    path.write_text(FILE)
    app = App(path, read(path))
    model = app.models.role("answer")
    assert model.apart == {"playbook", "chunk"}
    assert {kind: plan.codec for kind, plan in model.plan.kinds.items()} == {
        "playbook": "int8",
        "tool": None,
        "chunk": "int4",
        "history": None,
    }
    assert (tmp_path / "kv" / "heads.json").exists()  # DuoAttention's, measured once
    first = model.answer(context(), Ask(max_tokens=4))
    second = model.answer(context(), Ask(max_tokens=4))
    assert second.text == first.text
    assert second.usage["answer"].cached > 0.5 * second.usage["answer"].input
    app.boxes.close()
    assert list((tmp_path / "kv" / "pieces").glob("*.safetensors"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("codec: int8}", "codec: int3}", r"p\.yaml:10.*codec"),
        ("tool: {method", "tool: {read: parallel, method", "tool has one part"),
        ("        tool:", "        tols:", "tols"),
    ],
)
def test_what_settings_get_wrong_about_kinds_is_named(tmp_path, old, new, said):
    path = tmp_path / "p.yaml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(BadSettings, match=said):
        read(path)


def test_an_order_that_such_a_model_cannot_read_is_refused(tmp_path):
    path = tmp_path / "p.yaml"
    order = "context: {sources: {chunks: {order: ends}}}\n"
    path.write_text(FILE + order)
    with pytest.raises(BadSettings, match="side by side"):
        read(path)
    path.write_text(FILE.replace("chunk: {read: parallel, ", "chunk: {") + order)
    assert read(path).context.sources.chunks.order == "ends"


def test_gates_are_measured_once_and_those_of_another_model_are_refused(box, tmp_path):
    path = tmp_path / "heads.json"
    found = gates_of(box.engine, path)
    assert found == gates_of(box.engine, path) == measured(box.engine)
    assert [len(row) for row in found.values] == [1, 1]
    Gates("another", found.values).write(path)
    with pytest.raises(BadInput, match="another model"):
        gates_of(box.engine, path)
