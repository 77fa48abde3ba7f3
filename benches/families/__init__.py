"""Families of events: every event type that is known, in the spellings of all years.

Each gives its acts once, one for each spelling and shape, about the scene as it is. No act has
letters from U+0080 to U+00FF: how often these are escaped is the deck's matter.
"""

import itertools
from collections.abc import Mapping

from families.blocks import blocks, content, old_ora, ora
from families.forum import forum
from families.grading import certificates, completion, exams, grades
from families.moves import enrollment, navigation, textbook
from families.people import account, groups, others, staff, study
from families.problem import checks, forms, problem
from families.requests import course_requests, site_requests
from families.scene import Act, Family, Scene
from families.video import apps, video

FAMILIES: Mapping[str, Family] = {
    family.__name__: family
    for family in (
        video,
        apps,
        checks,
        problem,
        forms,
        navigation,
        enrollment,
        textbook,
        course_requests,
        site_requests,
        forum,
        grades,
        completion,
        exams,
        certificates,
        ora,
        old_ora,
        content,
        blocks,
        groups,
        study,
        account,
        staff,
        others,
    )
}
# Those that have no lines of their own in a deck: each act comes in turn.
RARE = (
    "enrollment",
    "exams",
    "certificates",
    "old_ora",
    "content",
    "blocks",
    "groups",
    "study",
    "account",
    "staff",
    "others",
)


def act_at(name: str, place: int, scene: Scene) -> Act:
    """Return one act of a family, by its place, about a scene."""
    return next(itertools.islice(FAMILIES[name](scene), place, None))


__all__ = ["FAMILIES", "RARE", "Act", "Family", "Scene", "act_at"]
