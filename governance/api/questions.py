"""The bodies of AuthZEN 1.0: what is there must have the right form, what is more is ignored.

Unlike our own bodies these let unknown members pass and take null for absent, because the standard says
so. A body that does not fit is a 400 that says where and what, never the value. The items of a batch are
examined one by one, so that a bad one spoils no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from governance.authzen import NOTHING, Entity, Question

MOST_ITEMS: Final = 100
MOST_RESULTS: Final = 100
DEEPEST: Final = 32
"""How deeply a body may be nested; digests are made of it, and no question needs more."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Properties = dict[str, object] | None
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]


class OpenForm(BaseModel):
    """What these bodies share: strict about types, silent about what they do not know, frozen."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class EntityForm(OpenForm):
    """A subject or a resource."""

    type: Name
    id: Id
    properties: Properties = None


class ActionForm(OpenForm):
    """An action."""

    name: Name
    properties: Properties = None


class SoughtForm(OpenForm):
    """What is searched for: its type; an id would be ignored."""

    type: Name
    properties: Properties = None


class QuestionForm(OpenForm):
    """One evaluation."""

    subject: EntityForm
    action: ActionForm
    resource: EntityForm
    context: Properties = None


class OptionsForm(OpenForm):
    """How the items of a batch are gone through."""

    evaluations_semantic: Semantic | None = None


class BatchForm(OpenForm):
    """Up to 100 evaluations with defaults; without any it is a single one."""

    subject: Properties = None
    action: Properties = None
    resource: Properties = None
    context: Properties = None
    evaluations: Annotated[list[object], Field(max_length=MOST_ITEMS)] | None = None
    options: OptionsForm | None = None


class PageForm(OpenForm):
    """Which part of a search's results is wanted."""

    token: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


class SubjectSearchForm(OpenForm):
    """Who can do this with that?"""

    subject: SoughtForm
    action: ActionForm
    resource: EntityForm
    context: Properties = None
    page: PageForm | None = None


class ResourceSearchForm(OpenForm):
    """With what can this one do that?"""

    subject: EntityForm
    action: ActionForm
    resource: SoughtForm
    context: Properties = None
    page: PageForm | None = None


class ActionSearchForm(OpenForm):
    """What can this one do with that?"""

    subject: EntityForm
    resource: EntityForm
    context: Properties = None
    page: PageForm | None = None


class DenialForm(OpenForm):
    """What a denial said about asking for approval, given back as it was."""

    evaluation_id: Id
    binding_token: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class RequestForm(OpenForm):
    """A request for approval of what was denied."""

    subject: EntityForm
    action: ActionForm
    resource: EntityForm
    context: Properties = None
    denial: DenialForm


MEMBERS: Final = frozenset(name for form in OpenForm.__subclasses__() for name in form.model_fields)
"""Every member that some body declares, for error pointers."""


def entity(form: EntityForm) -> Entity:
    """Return a complete subject or resource."""
    return Entity(form.type, form.id, form.properties or NOTHING)


def sought(form: SoughtForm) -> Entity:
    """Return a searched subject or resource: it has a type, and an id is what is searched for."""
    return Entity(form.type, "", form.properties or NOTHING)


def question(
    subject: Entity, action: ActionForm | None, resource: Entity, context: Mapping[str, object] | None
) -> Question:
    """Return a question; None for an action that is searched for."""
    name, properties = ("", None) if action is None else (action.name, action.properties)
    return Question(subject, name, resource, properties or NOTHING, context or NOTHING)


def whole(form: QuestionForm | RequestForm) -> Question:
    """Return the question of a body that has all its parts."""
    return question(entity(form.subject), form.action, entity(form.resource), form.context)
