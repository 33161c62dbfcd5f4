import json
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import ner_pipe
from ner_pipe import Error, Model, load


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_entities_are_those_of_predict_to_the_bit(project, folder, texts, precision):
    out = ner_pipe("predict", "--model", folder, "--precision", precision, cwd=project, input="\n".join(texts))
    said = [json.loads(line) for line in out.stdout.splitlines()]
    found = load(folder, precision=precision)(texts)
    assert sum(map(len, found)) > 20
    for text, right, ours in zip(texts, said, found, strict=True):
        assert right["text"] == text
        assert [
            {"type": e["entity_group"], "text": e["word"], "start": e["start"], "end": e["end"],
             "score": e["score"]} for e in ours
        ] == right["entities"]


def test_offsets_are_characters_of_the_str(model, texts):
    text = "\U0001f1eb\U0001f1f7 é " + next(text for text in texts if model(text))
    entities = model(text)
    assert entities
    for entity in entities:
        assert list(entity) == ["entity_group", "score", "word", "start", "end"]
        assert text[entity["start"] : entity["end"]] == entity["word"]
        assert 0 < entity["score"] <= 1 and entity["entity_group"] in model.types


def test_a_list_gives_a_list_and_a_stream_a_stream_in_order(model, texts):
    right = [model(text) for text in texts[:40]]
    assert model(texts[:40]) == right
    assert model(tuple(texts[:40]), batch_size=7, threads=1) == right
    read = []

    def stream():
        for text in texts[:40]:
            read.append(text)
            yield text

    found = model(stream(), batch_size=4)
    assert next(found) == right[0] and len(read) == 4
    assert [right[0], *found] == right
    assert model([]) == [] and model("") == [] and list(model(iter(()))) == []


def test_what_is_no_text_is_refused_by_its_place(model):
    with pytest.raises(TypeError, match="text 2 is a NoneType"):
        model(["a", "b", None])
    with pytest.raises(TypeError, match="decode"):
        model(b"a")
    with pytest.raises(ValueError, match="batch_size"):
        model(["a"], batch_size=0)
    with pytest.raises(ValueError, match="threads"):
        model("a", threads=0)


def test_errors_say_what_is_wrong_and_what_helps(tmp_path, folder):
    with pytest.raises(Error, match="config.json"):
        load(tmp_path)
    with pytest.raises(Error, match="f32, bf16 or int8"):
        load(folder, precision="int4")
    with pytest.raises(Error, match="f32 or int8"):
        load(folder, precision="bf16")


def test_threads_may_share_a_model(model, texts):
    right = model(texts)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == right for found in pool.map(lambda _: model(texts), range(16)))


def test_other_threads_run_meanwhile(model, texts):
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        # One call, which holds the interpreter only to begin and to end.
        model._native.predict(texts * 20, 1)
        assert counted[0] - before > 1000
    finally:
        stop.set()
        thread.join()


def answer(model, text, out):
    out.put(model(text))


def test_a_child_of_a_fork_finds_the_same(model, texts):
    right = model(texts[:20])
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    children = [context.Process(target=answer, args=(model, texts[:20], out)) for _ in range(3)]
    for child in children:
        child.start()
    assert [out.get(timeout=60) for _ in children] == [right] * 3
    for child in children:
        child.join(10)
        assert child.exitcode == 0
    assert model(texts[:20]) == right


def test_a_model_travels_to_other_processes(model, texts):
    copy = pickle.loads(pickle.dumps(model))
    assert isinstance(copy, Model) and repr(copy) == repr(model)
    assert copy(texts[:5]) == model(texts[:5])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_over_many_calls(model, texts):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    calls = int(os.environ.get("NER_PIPE_CALLS", "20000"))
    some = texts[:50]
    for call in range(calls // 4):
        model(some[call % 50])
    before = resident()
    for call in range(calls):
        model(some[call % 50])
    assert resident() - before < 8_000_000


def test_spacy_gets_the_same_entities(folder, model, texts):
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("fr")
    nlp.add_pipe("ner_pipe", config={"model": str(folder)})
    some = [text for text in texts if model(text)][:20]
    for text, doc in zip(some, nlp.pipe(some), strict=True):
        # A token of spaCy's may be longer than a word of ours.
        found = [(ent.label_, ent.start_char <= e["start"], e["end"] <= ent.end_char) for ent, e in zip(doc.ents, model(text))]
        assert found == [(e["entity_group"], True, True) for e in model(text)]
        assert [(e.label_, e.text) for e in nlp(text).ents] == [(e.label_, e.text) for e in doc.ents]
