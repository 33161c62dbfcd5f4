"""Named-entity models of ner-pipe, as fast as its command line runs them.

    from ner_pipe import load
    model = load("artifacts/finetune/model", precision="int8")
    model("Mme Durand habite à Angers.")
"""

import os
from itertools import islice

from . import _native
from ._native import Error, __version__

__all__ = ["Error", "Model", "load", "__version__"]

# The child of a fork has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.forget)


class Model:
    """A token classifier, called with texts."""

    def __init__(self, model, precision="f32", threads=None):
        self._native = _native.Model(os.fspath(model), precision)
        self._name = os.fspath(model)
        self._precision = precision
        self._threads = threads

    @property
    def types(self):
        """The entity types that it finds, such as ["PER", "LOC"]."""
        return self._native.types

    @property
    def parameters(self):
        """How many parameters it has."""
        return self._native.parameters

    def __repr__(self):
        return f"<ner_pipe.Model {self._name!r}, {self._precision}, {self.parameters:,} parameters>"

    def __reduce__(self):
        return (Model, (self._name, self._precision, self._threads))

    def __call__(self, inputs, *, batch_size=256, threads=None):
        """Find the entities of one text, of many, or of a stream.

        A text gives a list of entities, a list or tuple of texts a list of such lists, and any other iterable a
        generator of them that reads `batch_size` texts ahead. An entity is a dict with `entity_group`, `score`, `word`,
        `start` and `end`, as transformers' pipeline gives it with aggregation_strategy="simple"; offsets are characters.
        The order is kept, and other Python threads run meanwhile. `threads` is how many compute (None: as `load` said,
        else one for each core).
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, and must be 1 or more")
        threads = self._threads if threads is None else threads
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, and must be 1 or more")
        threads = threads or 0
        if isinstance(inputs, str):
            return self._native.predict([inputs], threads)[0]
        if isinstance(inputs, (bytes, bytearray)):
            raise TypeError("a text is a str; decode the bytes first, such as data.decode('utf-8')")
        found = self._stream(inputs, batch_size, threads)
        return list(found) if isinstance(inputs, (list, tuple)) else found

    def _stream(self, inputs, batch_size, threads):
        texts = iter(inputs)
        done = 0
        while batch := list(islice(texts, batch_size)):
            for at, text in enumerate(batch, done):
                if not isinstance(text, str):
                    raise TypeError(f"text {at} is a {type(text).__name__}, and must be a str")
            yield from self._native.predict(batch, threads)
            done += len(batch)


def load(model, precision="f32", threads=None):
    """Load a model folder, or a repository of the Hugging Face Hub by its name.

    `precision` is "f32" or "int8", which computes linear layers on bytes: faster, and nearly as well. `threads` is how
    many compute (None: one for each core). Raises `Error` with what is wrong and what helps.
    """
    return Model(model, precision, threads)
