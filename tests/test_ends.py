"""The ends of a search: found, verified, moved. Without them a bisect answers another question."""

from __future__ import annotations

import random
from typing import Any

import pytest

from keras_bisect.builds.build import Build
from keras_bisect.errors import Inconclusive, NotReproduced, UsageError
from keras_bisect.events import Notice
from keras_bisect.outcome import Outcome
from keras_bisect.probe.prober import Task
from keras_bisect.search.ends import Ends, find_ends
from keras_bisect.verdict import Signature, learn
from worlds import OUTCOMES, SCRIPT, World


class Moody(World):
    """Bad builds show it in some runs only."""

    seed = 0
    shows = 0.5

    def outcome(self, task: Task) -> Outcome:
        if not hasattr(self, "random"):
            self.random = random.Random(self.seed)
        behaviour = self.behaviour(task.source.files)
        if behaviour == "B" and self.random.random() > self.shows:
            behaviour = "G"
        return OUTCOMES[behaviour]


def ends(world: World, good: Any = None, bad: Any = None, **options: Any) -> Ends:
    return find_ends(world.lab(), SCRIPT, good, bad, recognise=learn, **options)


def names(found: Ends) -> tuple[str, str]:
    return found.good.name, found.bad.name


def notices(world: World) -> str:
    return "\n".join(event.text for event in world.events if isinstance(event, Notice))


@pytest.mark.parametrize(
    ("line", "good"), [("GGGB", "3.2.0"), ("GGBB", "3.1.0"), ("GGBBBBBBBB", "3.1.0")]
)
def test_a_good_release_is_looked_for_in_growing_steps(line: str, good: str) -> None:
    """Lost otherwise: whoever knows only that it fails today would have to guess."""
    world = World("")
    releases = world.release_line(line)
    assert names(ends(world)) == (good, releases[-1].name)


def test_a_failure_that_is_not_the_one_of_the_case_is_no_bad_end() -> None:
    """Lost otherwise: --find-fix would stop at the first release that fails in any way."""
    world = World("")
    world.release_line("GGBBDG")

    def recognise(outcome: Outcome) -> Signature | None:
        return learn(outcome) if outcome.raised is None else None

    found = find_ends(world.lab(), SCRIPT, None, None, recognise=recognise, find_fix=True)
    assert names(found) == ("3.5.0", "3.3.0")


def test_a_good_release_between_the_steps_is_found() -> None:
    """Lost otherwise: a failure that came twice would be said to have been there for ever."""
    world = World("")
    releases = world.release_line("BBBBGBBBBB")
    assert names(ends(world)) == ("3.4.0", releases[-1].name)


def test_a_bad_release_in_luck_is_not_taken_for_a_good_one() -> None:
    """Lost otherwise: of a race, the release where it first passed by chance would be dated."""
    found, refused = 0, 0
    for seed in range(30):
        world = Moody("")
        world.seed, world.shows = seed, (0.3, 0.5, 0.9)[seed % 3]
        world.release_line("G" * 12 + "B" * 12)
        try:
            good = ends(world).good
        except NotReproduced:
            refused += 1
            continue
        assert good.version is not None and good.version.minor < 12
        found += 1
    assert refused <= 4


def test_where_nothing_passes_it_is_said_with_the_verdicts_seen() -> None:
    """Lost otherwise: a person would not know what was tried."""
    world = World("")
    world.release_line("BBDUB")
    with pytest.raises(
        NotReproduced, match=r"3\.3\.0 untestable, 3\.2\.0 different, 3\.0\.0 bad, 3\.1"
    ):
        ends(world)


def test_wrong_ends_are_refused_with_what_they_showed() -> None:
    """Lost otherwise: a bisect of a mistake would end with a culprit."""
    world = World("")
    good, bad, other = world.release_line("GBD")
    with pytest.raises(NotReproduced, match=r"The bad end, 3\.0\.0, passes"):
        ends(world, bad=good)
    with pytest.raises(
        NotReproduced, match=r"The ends are swapped: .*--good 3\.0\.0 --bad 3\.1\.0"
    ):
        ends(world, good=bad, bad=good)
    with pytest.raises(NotReproduced, match=r"The good end, 3\.1\.0, fails in another way"):
        ends(world, good=bad, bad=other)
    with pytest.raises(UsageError, match="are one build"):
        ends(world, good=good, bad="3.0.0")


@pytest.mark.parametrize("flag", [True, False])
def test_a_fix_is_looked_for_from_the_older_end(flag: bool) -> None:
    """Lost otherwise: what mended a bug could not be asked for."""
    world = World("")
    world.release_line("GBBG")
    assert names(ends(world, good="3.3.0", bad="3.1.0", find_fix=flag)) == ("3.3.0", "3.1.0")


def test_a_fix_needs_no_ends() -> None:
    """Lost otherwise: --find-fix alone would look for a failure of the newest release."""
    world = World("")
    world.release_line("GBBGG")
    assert names(ends(world, find_fix=True)) == ("3.4.0", "3.2.0")
    # Which of the two is which is a matter of their age.
    assert names(ends(world, good="3.1.0", bad="3.3.0", find_fix=True)) == ("3.3.0", "3.1.0")
    assert "the older of the two, is taken as the bad end" in notices(world)


def test_an_end_that_cannot_be_tested_moves_outward() -> None:
    """Lost otherwise: one broken build would end the search, or move it past the answer."""
    world = World("")
    world.release_line("GUGBBUUB")
    assert names(ends(world, good="3.1.0", bad="3.5.0")) == ("3.0.0", "3.7.0")
    assert "3.1.0, cannot be tested" in notices(world) and "3.0.0 is taken" in notices(world)
    world = World("")
    world.release_line("UUGB")
    with pytest.raises(Inconclusive, match=r"The good end, 3\.1\.0, cannot be tested"):
        ends(world, good="3.1.0", bad="3.3.0")


def test_a_nightly_that_was_never_made_moves_outward() -> None:
    """Lost otherwise: on days without a nightly a person would have to try dates by hand."""
    world = World("G" * 5 + "B" * 5)
    line = world.nightlies()
    first, last = line[2].name, line[7].name
    missing = first[:-2] + "99", last[:-2] + "01"
    assert names(ends(world, good=missing[0], bad=missing[1])) == (first, last)
    assert "was not made" in notices(world)
    with pytest.raises(UsageError, match="There is no"):
        ends(world, good="3.0.0.dev2023010103", bad=last)


def test_a_bad_end_that_passes_at_first_is_doubted() -> None:
    """Lost otherwise: a failure that shows in every third run would be said not to exist."""
    refused = 0
    for seed in range(40):
        world = Moody("")
        world.seed = seed
        world.release_line("GGBB")
        try:
            found = ends(world, good="3.0.0", bad="3.3.0")
        except NotReproduced:
            refused += 1
            continue
        assert names(found) == ("3.0.0", "3.3.0")
    assert refused <= 1


def test_noise_is_noticed_at_the_ends() -> None:
    """Lost otherwise: the search would trust single runs of a script that guesses."""
    noticed = 0
    for seed in range(40):
        world = Moody("")
        world.seed = seed
        world.release_line("GGBB")
        noticed += ends(world, good="3.0.0", bad="3.3.0").trial.noisy
    # Two runs of the bad end agree in one of two cases; what escapes here is met at the answer.
    assert noticed >= 15


def test_a_build_is_as_good_as_its_name() -> None:
    """Lost otherwise: a program that has builds at hand would have to write them as text."""
    world = World("")
    releases: list[Build] = world.release_line("GB")
    assert names(ends(world, *releases)) == ("3.0.0", "3.1.0")
