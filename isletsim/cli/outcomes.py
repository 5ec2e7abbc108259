"""The command `outcomes`: complications, life expectancy, QALYs and costs of a study or of one person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from isletsim.cli.group import commands, make_folder
from isletsim.errors import Fault, InputError

__all__ = ["outcomes"]


@commands.command()
@click.argument("target", required=False, metavar="[SCENARIO|RESULT_FOLDER]")
@click.option("--person", default="mt_hood_man", help="Risk factors that a study does not simulate; or the person.")
@click.option("--with", "given", multiple=True, metavar="NAME=NUMBER", help="A risk factor, as in --with sbp=130.")
@click.option("--arm", "arms", multiple=True, metavar="CHANGES", help="Another arm: --arm hba1c-0.5,sbp-10.")
@click.option("--engine", default="ukpds_om2", help="The risk engine.")
@click.option("--progression", help="Yearly equations of risk factors, such as ukpds90; constant when not given.")
@click.option("--economics", default="mt_hood", help="Economic settings, by name or as a file.")
@click.option("--discount", type=click.FloatRange(0, 1), help="Yearly rate for costs and effects.")
@click.option("--price", "prices", multiple=True, metavar="ARM=NUMBER", help="Price of an arm's therapy; no default.")
@click.option("--years", type=click.IntRange(1, 100), default=40, help="How long.")
@click.option("--size", type=click.IntRange(1), default=10_000, help="People in each arm.")
@click.option("--seed", type=click.IntRange(min=0), default=0)
@click.option("--frailty", type=click.FloatRange(0, 3), default=0.0, help="Shared frailty (assumed); 0 is none.")
@click.option("--score", "scores", multiple=True, metavar="ENGINE", help="Print a score too, as in --score kfre.")
@click.option("--region", default="low", help="Risk region of SCORE2-Diabetes.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write tables and figures here.")
def outcomes(
    target: str | None,
    person: str,
    given: tuple[str, ...],
    arms: tuple[str, ...],
    engine: str,
    progression: str | None,
    economics: str,
    discount: float | None,
    prices: tuple[str, ...],
    years: int,
    size: int,
    seed: int,
    frailty: float,
    scores: tuple[str, ...],
    region: str,
    output: Path | None,
) -> None:
    """Say what a course of risk factors means for a person and a payer.

    Without TARGET for one person with constant risk factors and changes of them; else for the arms of a study.

    \b
    isletsim outcomes --person mt_hood_man --arm hba1c-0.5 --arm sbp-10
    isletsim outcomes --with age=60 --with 'hba1c=[9, 8, 7.5]' --discount 0.035
    isletsim outcomes t2d_msc --price msc=20000 -o out
    isletsim outcomes --with age=60 --with egfr=30 --with uacr=300 --score kfre
    """
    from dataclasses import replace

    from isletsim.outcomes import load_economics, load_engine
    from isletsim.outcomes.assessment import assess
    from isletsim.outcomes.people import load_person, numbers_of

    make_folder("-o", output)
    base = {**load_person(person), **numbers_of(given, "--with")}
    for each in scores:
        _say_scores(each, base, region)
    if scores and target is None and not arms:
        return
    settings = load_economics(economics)
    if discount is not None:
        settings = replace(settings, discount_costs=discount, discount_effects=discount)
    people, courses, assumed = _arms(target, base, arms, years, size)
    cost = numbers_of(prices, "--price")
    if unknown := [name for name in cost if name not in people]:
        raise InputError(Fault(f"--price {unknown[0]}", "There is no such arm.", f"Known are: {', '.join(people)}."))
    found = assess(
        load_engine(engine),
        people,
        settings,
        courses=courses,
        prices=cost,
        assumed=(*assumed, *([f"a shared frailty of {frailty:g}"] if frailty else [])),
        size=None if target else size,
        years=years,
        seed=seed,
        frailty=frailty,
        progression=load_engine(progression) if progression else None,
    )
    click.echo(found.table())
    click.echo("For research and teaching; no treatment decisions.")
    if output is not None:
        from isletsim.outcomes.report import write_assessment

        click.echo("wrote " + " ".join(str(path) for path in write_assessment(found, output)), err=True)


def _say_scores(name: str, person: dict[str, Any], region: str) -> None:
    """Print the scores of an engine for a person, in percent."""
    from isletsim.outcomes import load_engine, risk

    engine = load_engine(name)
    now = {key: value[0] if isinstance(value, list) else value for key, value in person.items()}
    for score, event in engine.scores.items():
        click.echo(f"{name} {score}: {100 * float(risk(engine, score, now, region=region)):.2f} % ({event.about})")


def _arms(
    target: str | None, base: dict[str, Any], changes: tuple[str, ...], years: int, size: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], tuple[str, ...]]:
    """Return people and courses by arm, the comparator first, and what is assumed."""
    from isletsim.outcomes.people import changed

    if target is None:
        everybody = {"base": base} | {text: changed(base, text) for text in changes}
        lists = {
            arm: {name: value for name, value in each.items() if isinstance(value, list)}
            for arm, each in everybody.items()
        }
        people = {
            arm: {name: value[0] if isinstance(value, list) else value for name, value in each.items()}
            for arm, each in everybody.items()
        }
        return people, lists, ()
    if changes:
        raise InputError(Fault(f"--arm {changes[0]}", "A study has arms of its own.", "Leave out --arm or the study."))
    from isletsim.outcomes.of_study import courses_of_study, people_of_study, study_of_folder
    from isletsim.study import load_scenario

    study = study_of_folder(Path(target)) if Path(target).is_dir() else load_scenario(target).run(explain=False)
    constant = {name: value for name, value in base.items() if not isinstance(value, list)}
    subjects = max(1, study.values.shape[1] - 1)
    courses = courses_of_study(study, years, copies=max(1, -(-size // subjects)))
    person = people_of_study(study, constant)
    order = [study.control, *(place for place in range(len(study.arms)) if place != study.control)]
    names = [study.arms[place].name for place in order]
    said = sorted(set(person) - set(courses[names[0]]) - {"age", "female"})
    assumed = (
        f"not simulated, taken from the person: {', '.join(said)}",
        "after the end of the study its last values hold",
    )
    return dict.fromkeys(names, person), {name: courses[name] for name in names}, assumed
