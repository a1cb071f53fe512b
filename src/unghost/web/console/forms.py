"""What a form of the console sends, read once and checked: the hidden field against forgery too."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Form, HTTPException

from unghost.web.access import FORBIDDEN, Person, right_csrf
from unghost.web.console.environment import profile_address
from unghost.web.console.rendering import UNPROCESSABLE
from unghost.web.internal import Line

Short = Annotated[Line, Form(max_length=200)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """An action as a form sends it: who, once only, and on what was seen."""

    person: Person
    key: str
    seen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionForm:
    """The fields of a form that acts. `seen` is the version of what its page showed."""

    csrf: str
    seen: str
    key: str
    reason: str
    confirmation: str
    allow_share: Decimal | None
    back: str

    def act(self, person: Person) -> Act:
        """The action of this person. Raises HTTPException for a form that is not ours."""
        if not right_csrf(person, self.csrf):
            raise HTTPException(
                FORBIDDEN, "The form was not made for your session. Load the page again."
            )
        if not self.seen or not self.key:
            raise HTTPException(UNPROCESSABLE, "The form is not whole. Load the page again.")
        return Act(person=person, key=self.key, seen=self.seen)

    def back_to(self, profile_id: str) -> str:
        """The page that the form was on; never an address of somebody else's."""
        return "/" if self.back == "/" else profile_address(profile_id)


def filled_form(  # noqa: PLR0917 - the fields of a form
    csrf: Short = "",
    seen: Short = "",
    key: Short = "",
    reason: Short = "",
    confirmation: Short = "",
    allow_share: Annotated[Decimal | None, Form(gt=0, le=1)] = None,
    back: Short = "",
) -> ActionForm:
    """Read the form."""
    return ActionForm(
        csrf=csrf,
        seen=seen,
        key=key,
        reason=reason,
        confirmation=confirmation,
        allow_share=allow_share,
        back=back,
    )


Filled = Annotated[ActionForm, Depends(filled_form)]
