"""Requests and answers in the shape of OpenAI's embeddings service."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """A network of this service."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "featurelens"


class Models(BaseModel):
    """The networks of this service: the gallery's."""

    object: Literal["list"] = "list"
    data: list[Model]


class Wanted(BaseModel):
    """Images as data URIs, and texts where the network takes them (`input`: one, or a list); how vectors shall come."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "embedded", "input": "data:image/png;base64,iVBORw0KGgo="}]}
    )
    input: str | Annotated[list[str], Field(min_length=1, max_length=256)]
    model: Annotated[str, Field(max_length=4096)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    user: str | None = None


class Embedding(BaseModel):
    """One vector of length one: numbers, or the base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Images have no tokens."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class Embeddings(BaseModel):
    """A vector for each input, in the order sent."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage = Usage()


class OpenAIError(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(BaseModel):
    """OpenAI's envelope of an error."""

    error: OpenAIError


def embedding(index: int, vector: np.ndarray, encoding: str) -> Embedding:
    """A vector as asked for."""
    if encoding == "base64":
        return Embedding(index=index, embedding=base64.b64encode(vector.astype("<f4").tobytes()).decode())
    return Embedding(index=index, embedding=[float(number) for number in vector])
