import os
from typing import Iterable, Iterator, TypedDict, overload

__version__: str

class Error(Exception): ...

class Entity(TypedDict):
    entity_group: str
    score: float
    word: str
    start: int
    end: int

class Model:
    def __init__(
        self, model: str | os.PathLike[str], precision: str = "f32", threads: int | None = None
    ) -> None: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def parameters(self) -> int: ...
    @overload
    def __call__(self, inputs: str, *, batch_size: int = 256, threads: int | None = None) -> list[Entity]: ...
    @overload
    def __call__(
        self, inputs: list[str] | tuple[str, ...], *, batch_size: int = 256, threads: int | None = None
    ) -> list[list[Entity]]: ...
    @overload
    def __call__(
        self, inputs: Iterable[str], *, batch_size: int = 256, threads: int | None = None
    ) -> Iterator[list[Entity]]: ...

def load(
    model: str | os.PathLike[str], precision: str = "f32", threads: int | None = None
) -> Model: ...
