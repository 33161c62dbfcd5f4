"""A spaCy component: nlp.add_pipe("ner_pipe", config={"model": "artifacts/finetune/model"})."""

from spacy.language import Language
from spacy.util import filter_spans, minibatch

from . import load


@Language.factory("ner_pipe", default_config={"precision": "f32", "threads": None}, assigns=["doc.ents"])
def make(nlp, name, model: str, precision: str, threads):
    """Makes the component; spaCy calls it."""
    return Component(load(model, precision, threads))


class Component:
    """Sets doc.ents. An entity that begins or ends inside of a token takes the whole token."""

    def __init__(self, model):
        self.model = model

    def __call__(self, doc):
        return self._set(doc, self.model(doc.text))

    def pipe(self, docs, batch_size=128):
        for batch in minibatch(docs, batch_size):
            batch = list(batch)
            for doc, entities in zip(batch, self.model([doc.text for doc in batch])):
                yield self._set(doc, entities)

    @staticmethod
    def _set(doc, entities):
        spans = (
            doc.char_span(e["start"], e["end"], label=e["entity_group"], alignment_mode="expand") for e in entities
        )
        doc.ents = filter_spans([span for span in spans if span is not None])
        return doc
