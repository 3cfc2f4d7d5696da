"""Embeddings of images for programs that know OpenAI's service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from featurelens.web.openai_shape import Embeddings, Model, Models, OpenAIProblem, Wanted, embedding
from featurelens.web.problems import Problem
from featurelens.web.queries import embed_inputs
from featurelens.web.service import Served
from featurelens.web.shown import EVERYWHERE, WHAT, headers, model_name

router = APIRouter(prefix="/v1", tags=["openai"])


def _errors(*more: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": WHAT[status], "model": OpenAIProblem, **headers(status)}
        for status in sorted({*EVERYWHERE, *more})
    }


@router.get("/models", responses=_errors())
def models(service: Served) -> Models:
    """The gallery's network."""
    return Models(data=[Model(id=model_name(service.gallery.spec.name))])


@router.get("/models/{model:path}", responses=_errors(404))
def model(service: Served, model: str) -> Model:
    """One network."""
    return Model(id=_checked(service.gallery.spec.name, model))


@router.post("/embeddings", responses=_errors(404, 408, 413))
def embeddings(service: Served, wanted: Wanted) -> Embeddings:
    """The unit vectors of images that are given as data URIs, and of texts where the network takes them.

    What several clients send is worked on together.
    """
    spec = service.gallery.spec
    name = _checked(spec.name, wanted.model)
    if wanted.dimensions not in (None, spec.dim):
        raise Problem(
            422, f"'{name}' gives vectors of {spec.dim} numbers, not {wanted.dimensions}.", param="dimensions"
        )
    inputs = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    vectors = embed_inputs(service, inputs)
    return Embeddings(
        data=[embedding(i, vector, wanted.encoding_format) for i, vector in enumerate(vectors)],
        model=name,
    )


def _checked(name: str, asked: str) -> str:
    name = model_name(name)
    if asked != name:
        raise Problem(
            404,
            f"There is no model '{asked[:200]}' here; this service has '{name}'.",
            param="model",
            code="model_not_found",
        )
    return name
