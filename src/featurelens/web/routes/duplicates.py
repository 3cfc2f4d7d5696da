"""Groups of images that show the same picture; nothing is ever deleted."""

from __future__ import annotations

import csv
import io
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from featurelens.web.service import Served, Service
from featurelens.web.shown import ShownHit, problems, shown

router = APIRouter(prefix="/api/v1", tags=["duplicates"])


class Member(ShownHit):
    """An image, its similarity to the first of its group, and what it is beside that."""

    how: str


class Group(BaseModel):
    """Copies of one picture; the first (most pixels) is the one to keep."""

    kind: str
    similarity: float
    members: list[Member]


class Groups(BaseModel):
    """What the job `duplicates` found last; `made` is null before it ran."""

    made: str | None
    groups: list[Group]


@router.get("/duplicates", responses=problems(), response_model_exclude_unset=True)
def duplicates(service: Served) -> Groups:
    """The groups that the job `duplicates` found last, largest first."""
    held = service.results.get("duplicates") or {"made": None, "groups": []}
    return Groups(made=held["made"], groups=_groups(service, held))


@router.get(
    "/duplicates.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **problems()},
)
def as_csv(service: Served) -> Response:
    """The groups as a table: group, kind, keep or copy, name, similarity."""
    held = service.results.get("duplicates") or {"groups": []}
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["group", "kind", "suggestion", "name", "similarity", "how", "width", "height"])
    for number, group in enumerate(_groups(service, held), 1):
        for i, one in enumerate(group.members):
            suggestion = "keep" if i == 0 else "copy"
            name = "'" + one.name if one.name[:1] in "=+-@\t\r" else one.name  # a sheet would run it
            row = [number, group.kind, suggestion, name, f"{one.similarity:.4f}", one.how]
            table.writerow([*row, one.width, one.height])
    headers = {"content-disposition": 'attachment; filename="duplicates.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _groups(service: Service, held: dict[str, Any]) -> list[Group]:
    """The groups as they are today: images that are gone are left out."""
    ids = [one["id"] for group in held["groups"] for one in group["members"]]
    known = {hit.id: hit for hit in service.listing.hits(ids)}
    found = []
    for group in held["groups"]:
        members = [
            Member(
                **shown(known[one["id"]]).model_dump(exclude_unset=True)
                | {"similarity": one["similarity"], "how": one["how"]}
            )
            for one in group["members"]
            if one["id"] in known
        ]
        if len(members) > 1:
            least = min(one.similarity for one in members)
            found.append(Group(kind=group["kind"], similarity=least, members=members))
    return found
