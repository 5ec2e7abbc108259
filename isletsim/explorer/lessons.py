"""Lessons: short guided pages whose questions are answered by running the model, so that they stay right."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.explorer.choices import read_choices
from isletsim.explorer.controls import controls_folder
from isletsim.explorer.days import day_view
from isletsim.explorer.runs import Run, Simulations
from isletsim.language import ExpressionError, KeyPath, TomlDocument, Tree, evaluate, parse, read_document
from isletsim.units import days

__all__ = [
    "Answer",
    "Lesson",
    "LessonStep",
    "Question",
    "answer",
    "answers_view",
    "lessons_view",
    "measured",
    "read_lessons",
]

TABS = ("years", "day", "why")
MEASURE = ("run", "of", "arm", "at", "time_of", "test", "minute", "highest_until", "years")
QUESTION = ("ask", "measures", "options", "answer", "unit", "within", "share", "because")
DIGITS = 3


@dataclass(frozen=True)
class Question:
    """A question and how its answer is computed.

    Attributes
    ----------
    measures : what is measured, by letter. options : texts and the conditions under which they are right.
    answer : the number that is asked for, where there are no options; right within `within`, or within a `share`.
    """

    ask: str
    measures: Mapping[str, Mapping[str, Any]]
    options: tuple[tuple[str, Tree], ...]
    answer: Tree | None
    unit: str
    within: float
    share: float
    because: str


@dataclass(frozen=True)
class LessonStep:
    """A page of a lesson: a text, the run, tab and quantities that it shows, and its questions."""

    title: str
    text: str
    run: str
    tab: str
    day: Mapping[str, Any]
    show: tuple[str, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Lesson:
    """A lesson; `runs` are choices by name."""

    name: str
    title: str
    goal: str
    minutes: int
    runs: Mapping[str, Mapping[str, Any]]
    steps: tuple[LessonStep, ...]


@dataclass(frozen=True)
class Answer:
    """The computed answer of a question: the right option, or a value and how far from it is still right."""

    option: int
    value: float
    within: float
    because: str


# --- reading ----------------------------------------------------------------------------------------------------------


@cache
def read_lessons(folder: Path | None = None) -> tuple[Lesson, ...]:
    """Read all lessons, in the order of their file names; raises `InputError` with every fault of a file."""
    place = folder or controls_folder() / "lessons"
    return tuple(_lesson(path) for path in sorted(place.glob("*.toml")))


def _lesson(path: Path) -> Lesson:
    document = read_document(path)
    data = document.data
    document.only(data, ("title", "goal", "minutes", "runs", "steps"), ())
    runs = document.table(data, "runs", ())
    steps = tuple(
        _step(document, entry, index, runs) for index, entry in enumerate(document.listing(data, "steps", ()))
    )
    lesson = Lesson(
        name=path.stem,
        title=document.word(data, "title", ()),
        goal=document.word(data, "goal", ()),
        minutes=document.integer(data, "minutes", (), 10, 1, 120),
        runs=runs,
        steps=steps,
    )
    document.finish()
    return lesson


def _step(document: TomlDocument, entry: Mapping[str, Any], index: int, runs: Mapping[str, Any]) -> LessonStep:
    keys: KeyPath = ("steps", index)
    document.only(entry, ("title", "text", "run", "tab", "day", "show", "questions"), keys)
    listed = document.listing(entry, "questions", keys)
    return LessonStep(
        title=document.word(entry, "title", keys),
        text=document.word(entry, "text", keys).strip(),
        run=document.one_of(entry, "run", keys, runs),
        tab=document.one_of(entry, "tab", keys, TABS, "years"),
        day=document.table(entry, "day", keys),
        show=document.names(entry, "show", keys),
        questions=tuple(
            _question(document, each, (*keys, "questions", place), runs) for place, each in enumerate(listed)
        ),
    )


def _question(document: TomlDocument, entry: Mapping[str, Any], keys: KeyPath, runs: Mapping[str, Any]) -> Question:
    document.only(entry, QUESTION, keys)
    measures = document.table(entry, "measures", keys)
    for letter, measure in measures.items():
        inner: KeyPath = (*keys, "measures", letter)
        document.only(measure, MEASURE, inner)
        document.one_of(measure, "run", inner, runs)
    options = []
    for option in document.listing(entry, "options", keys):
        condition = _law(document, option.get("when"), keys)
        if condition is not None:
            options.append((str(option.get("text", "")), condition))
    if bool(options) == ("answer" in entry):
        document.fault(keys, "needs either options or an answer.", 'Write answer = "b - a".')
    return Question(
        ask=document.word(entry, "ask", keys),
        measures=measures,
        options=tuple(options),
        answer=_law(document, entry.get("answer"), keys) if "answer" in entry else None,
        unit=document.word(entry, "unit", keys),
        within=float(entry.get("within", 0.0)),
        share=float(entry.get("share", 0.0)),
        because=document.word(entry, "because", keys),
    )


def _law(document: TomlDocument, text: Any, keys: KeyPath) -> Tree | None:
    try:
        return parse(str(text))
    except ExpressionError as reason:
        document.fault(keys, f"{reason.message}.", reason.cure, str(text), reason.span)
        return None


# --- answers ----------------------------------------------------------------------------------------------------------


def answer(simulations: Simulations, lesson: Lesson, question: Question) -> Answer:
    """Compute the answer of a question.

    Raises
    ------
    InputError : no option, or more than one, is right.
    """
    values = {name: measured(simulations, lesson, each) for name, each in question.measures.items()}
    shown = {name: f"{value:.{DIGITS}g}" for name, value in values.items()}
    because = re.sub(r"\{(\w+)\}", lambda match: shown.get(match[1], match[0]), question.because)
    if question.answer is not None:
        value = float(evaluate(question.answer, values))
        return Answer(-1, value, max(question.within, abs(question.share * value)), because)
    right = [place for place, (_, condition) in enumerate(question.options) if evaluate(condition, values)]
    if len(right) != 1:
        message = f"{len(right)} options are right; expected one. Measured: {shown}."
        raise InputError(Fault(f"{lesson.name}: {question.ask}", message))
    return Answer(right[0], math.nan, 0.0, because)


def measured(simulations: Simulations, lesson: Lesson, measure: Mapping[str, Any]) -> float:
    """Return what a measure of a lesson says, in the unit that the page shows; times in years."""
    choices = read_choices(simulations.controls, lesson.runs[measure["run"]])
    if "test" in measure:
        view = day_view(simulations, choices, measure["test"], float(measure.get("years", 0.0)), "")
        names = [arm["name"] for arm in view["arms"]]
        arm = names.index(measure["arm"]) if "arm" in measure else 0
        values = np.array(view["arms"][arm]["curves"][measure["of"]]["values"])
        minutes = np.array(view["minutes"])
        if "minute" in measure:
            return float(np.interp(measure["minute"], minutes, values))
        return float(values[minutes <= measure["highest_until"]].max())
    run = simulations.run(choices)
    time, values = _course(run, measure)
    if "time_of" in measure:
        place = int(values.argmin() if measure["time_of"] == "lowest" else values.argmax())
        return float(time[place]) / 365.25
    return float(np.interp(days(measure["at"]), time, values))


def _course(run: Run, measure: Mapping[str, Any]) -> tuple[Any, Any]:
    column = run.column(measure["of"])
    if column < 0:
        names = [each.name for each in run.variables]
        raise InputError(Fault(measure["of"], "This is not recorded.", did_you_mean(measure["of"], names)))
    names = [arm.name for arm in run.plan.arms]
    arm = names.index(measure["arm"]) if "arm" in measure else run.plan.control
    values = run.values[arm, :, column]
    there = np.isfinite(values)
    return run.time[there], values[there]


# --- for the page -----------------------------------------------------------------------------------------------------


def lessons_view(lessons: tuple[Lesson, ...]) -> list[dict[str, Any]]:
    """Return the lessons as the page shows them, without answers."""
    return [
        {
            "name": lesson.name,
            "title": lesson.title,
            "goal": lesson.goal,
            "minutes": lesson.minutes,
            "steps": [
                {
                    "title": step.title,
                    "text": [" ".join(each.split()) for each in step.text.split("\n\n")],
                    "choices": lesson.runs.get(step.run, {}),
                    "tab": step.tab,
                    "day": dict(step.day),
                    "show": list(step.show),
                    "questions": [
                        {"ask": each.ask, "options": [text for text, _ in each.options], "unit": each.unit}
                        for each in step.questions
                    ],
                }
                for step in lesson.steps
            ],
        }
        for lesson in lessons
    ]


def answers_view(simulations: Simulations, name: str) -> dict[str, Any]:
    """Return the computed answers of a lesson, step by step."""
    known = {each.name: each for each in read_lessons()}
    if name not in known:
        raise InputError(Fault("lesson", f'There is no lesson "{name[:60]}".', did_you_mean(name[:60], known)))
    lesson = known[name]
    found = []
    for step in lesson.steps:
        answers = [answer(simulations, lesson, question) for question in step.questions]
        found.append(
            [
                {"option": each.option, "because": each.because}
                | ({"value": float(f"{each.value:.4g}"), "within": each.within} if each.option < 0 else {})
                for each in answers
            ]
        )
    return {"steps": found}
