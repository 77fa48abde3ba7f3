"""Problems: what the server graded, kept and reset, what the browser sent, hints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from families.scene import Act, Scene
from log_cast import Block

_FORMS = ("problem_check", "problem_save", "problem_reset")


def checks(scene: Scene) -> Iterator[Act]:
    """Checks by the server with what the many others lack."""
    yield _server("problem_check", scene.course.problems.draw(), _check(scene))
    helped = _check(scene)
    part = next(iter(helped["answers"])).rpartition("_")[0]
    helped["answers"] |= {f"{part}_1_dynamath": "<math/>", f"{part}_9_comment": "why"}
    yield _server("problem_check", scene.course.problems.draw(), helped)
    library = {"original_usage_key": scene.key("problem"), "original_usage_version": "5f0c"}
    usage_key = scene.course.problems.draw().usage_key
    module = {"display_name": "Of a library", "usage_key": usage_key, **library}
    yield Act("problem_check", _check(scene), context={"module": module})


def problem(scene: Scene) -> Iterator[Act]:
    """All but the checks and pages that the generator writes in great numbers."""
    yield _server("save_problem_check", scene.course.problems.draw(), _check(scene))
    old = _check(scene)  # before inputs had a submission, and with their marks alone
    old |= {"submission": {}, "correct_map": dict.fromkeys(old["answers"], "correct")}
    yield _server("save_problem_check", scene.course.problems.draw(), old | {"attempts": "2"})
    for number, (kind, failure) in enumerate(
        (
            ("problem_check_fail", "closed"),
            ("save_problem_check_fail", "unreset"),
            ("save_problem_fail", "done"),
            ("save_problem_success", None),
        )
    ):
        payload = {name: _check(scene)[name] for name in ("answers", "state", "problem_id")}
        payload["state"] |= {"seed": number, "done": number % 2 == 0, "attempts": number}
        yield _server(kind, scene.course.problems.draw(), payload | _none(failure=failure))
    state = {"seed": 1, "done": True, "attempts": 2, "student_answers": {}, "correct_map": {}}
    for kind, failure in (("reset_problem", None), ("reset_problem_fail", "not_done")):
        block = scene.course.problems.draw()
        payload = {"problem_id": block.usage_key, "old_state": state}
        payload |= _none(failure=failure, new_state=None if failure else state | {"seed": 617})
        yield _server(kind, block, payload)
    for source in ("server", "task"):
        block, check = scene.course.problems.draw(), _check(scene)
        about = {"student": scene.other_name(), "problem_id": block.usage_key}
        regraded = {name: check[name] for name in ("correct_map", "state", "success", "attempts")}
        scores = {"orig_score": 1, "orig_total": 3, "new_score": 2.0, "new_total": 3}
        payload = about | regraded | scores | {"task_id": scene.uuid()}
        yield Act("problem_rescore", payload, source, block=block.usage_key)
        payload = about | {"state": check["state"], "failure": "unexpected"}
        yield Act("problem_rescore_fail", payload, source, block=block.usage_key)
    for kind in ("showanswer", "show_answer"):
        block = scene.course.problems.draw()
        yield _server(kind, block, {"problem_id": block.usage_key})
    yield from _hints(scene)
    block = scene.course.problems.draw()
    yield Act("problem_show", {"problem": block.usage_key}, "browser", "", "text")
    yield Act("problem_graded", [form(scene), "<p/>"], "browser", "", "object")
    yield Act("problem_graded", [form(scene), "<p/>"], "browser", "", "text in text")
    yield Act("problem_reset", {"answers": form(scene)}, "browser", "", "text")
    yield Act("problem_save", "", "browser", "")


def forms(scene: Scene) -> Iterator[Act]:
    """The forms of the browser, bare and as JSON text."""
    for kind in _FORMS:
        for layout in ("object", "text"):
            yield Act(kind, form(scene), "browser", "", layout)


def form(scene: Scene) -> str:
    """The answers to a problem as a browser encodes them."""
    name = f"input_{scene.course.problems.draw().part}"
    odd = quote(scene.rng.choice(("naïve+1 & 2=3", "数", "50 %", "")), safe="")
    return (
        f"{name}_2_1=choice_{scene.below(4)}&{name}_3_1={odd}+m%2Fs"
        f"&{name}_4_1%5B%5D=choice_0&{name}_4_1%5B%5D=choice_2&{name}_5_1%7B%7D=%7B%22a%22%3A1%7D"
    )


def _hints(scene: Scene) -> Iterator[Act]:
    block = scene.course.problems.draw()
    told = {"hint_index": 0, "hint_len": 2, "hint_text": scene.words(6)}
    shown = told | {"module_id": block.usage_key}
    yield Act("edx.problem.hint.demandhint_displayed", shown, block=block.usage_key)
    feedback = {
        "module_id": block.usage_key,
        "problem_part_id": f"{block.part}_2",
        "hint_label": "Nearly",
        "hints": [{"text": scene.words(3)}, {"text": scene.words(3), "choice": "choice_1"}],
        "trigger_type": "single",
        "question_type": "choiceresponse",
        "correctness": False,
        "student_answer": ["choice_1"],
        "choice_all": ["choice_0", "choice_1"],
    }
    yield Act("edx.problem.hint.feedback_displayed", feedback, block=block.usage_key)
    points = {"weighted_earned": 0, "weighted_possible": 1, "problem_id": block.usage_key}
    whose = {"user_id": scene.who.id.strip('"'), "course_id": scene.course.key}
    yield Act("edx.problem.completed", whose | points)


def _check(scene: Scene) -> dict[str, Any]:
    """What the server grades."""
    texts = scene.course.problems.draw().checks
    text = texts[scene.below(len(texts))].replace("@A@", str(scene.below(900) / 4))
    payload: dict[str, Any] = json.loads(text.replace("@N@", str(1 + scene.below(4))))
    return payload


def _server(kind: str, block: Block, payload: dict[str, Any]) -> Act:
    return Act(kind, payload, block=block.usage_key)


def _none(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
