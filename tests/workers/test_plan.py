"""What a supervisor does about the lives of its workers, told as conversations (see conftest)."""

from typing import Any

import pytest

from portway.workers.plan import STACKS, Start

# --- the first start ---


def test_all_are_started_and_the_server_is_up_when_all_serve(talk_of: Any) -> None:
    talk = talk_of(3)
    assert talk.begin() == ["start 1a", "start 2a", "start 3a"]
    assert talk.ready("2a") == []
    assert talk.ready("1a") == []
    assert talk.ready("3a") == ["up"]
    assert talk.plan.count == 3


def test_a_worker_is_ready_once(talk_of: Any) -> None:
    talk = talk_of().up()
    assert talk.ready("1a") == []


def test_a_server_is_up_for_the_first_time_once(talk_of: Any) -> None:
    talk = talk_of().up()
    assert talk.exits("1a") == ["start 1b"]
    assert talk.ready("1b") == []


def test_a_worker_that_cannot_start_ends_the_server(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    assert talk.exits("1a", why="no module named 'shop'") == ["end, failed"]
    assert talk.tells() == ["error: no module named 'shop'"]


def test_of_several_that_cannot_start_one_is_heard(talk_of: Any) -> None:
    talk = talk_of(3)
    talk.begin()
    assert talk.exits("2a", why="no module named 'shop'") == ["kill 1a", "kill 3a"]
    assert talk.exits("1a", why="no module named 'shop'") == []
    assert talk.exits("3a") == ["end, failed"]
    assert [text for text in talk.tells() if text.startswith("error")] == ["error: no module named 'shop'"]


def test_a_worker_that_cannot_start_ends_the_server_although_another_could(talk_of: Any) -> None:
    talk = talk_of(2)
    talk.begin()
    talk.ready("1a")
    assert talk.exits("2a", "ended with exit code 3") == ["kill 1a"]
    assert talk.exits("1a") == ["end, failed"]


def test_a_worker_that_dies_before_it_says_why_is_told_of_all_the_same(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    talk.exits("1a", "was ended by SIGSEGV")
    assert talk.tells() == ["error: was ended by SIGSEGV"]


def test_a_worker_that_is_not_ready_in_time_is_asked_and_killed_and_ends_the_server(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    assert talk.passes(talk.terms.startup - 1) == []
    assert talk.passes(1) == ["ask 1a"]
    assert talk.passes(STACKS - 0.5) == []
    assert talk.passes(0.5) == ["kill 1a"]
    assert talk.exits("1a", "was ended by SIGKILL") == ["end, failed"]
    assert talk.tells() == ["error: Worker 1: it was not ready within 120 s", "error: it was not ready within 120 s"]


def test_a_worker_that_is_ready_at_the_last_moment_lives(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    assert talk.passes(talk.terms.startup) == ["ask 1a"]
    assert talk.ready("1a") == ["up"]
    assert talk.passes(1000) == []


def test_a_beat_does_not_make_a_start_longer(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    assert talk.passes(talk.terms.startup + STACKS) == ["ask 1a", "kill 1a"]


def test_what_a_worker_said_is_why_it_could_not_start_although_it_hung_then(talk_of: Any) -> None:
    talk = talk_of()
    talk.begin()
    talk.plan.failed(talk.workers["1a"], "no database")
    talk.passes(talk.terms.startup + STACKS)
    assert talk.exits("1a", "was ended by SIGKILL") == ["end, failed"]
    assert talk.tells()[-1] == "error: no database"


# --- deaths ---


def test_a_worker_that_dies_is_replaced_at_once(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.exits("2a", "was ended by SIGSEGV") == ["start 2b"]
    assert talk.tells() == ["error: Worker 2 was ended by SIGSEGV"]


def test_pauses_double_up_to_half_a_minute(talk_of: Any) -> None:
    talk = talk_of(2).up()
    name = "2a"
    for generation, pause in zip("bcdefghi", [0, 1, 2, 4, 8, 16, 30, 30], strict=True):
        found = talk.exits(name)
        if pause:
            assert found == []
            assert talk.passes(pause - 0.1) == []
            found = talk.passes(0.1)
        name = f"2{generation}"
        assert found == [f"start {name}"]
        talk.ready(name)
    assert talk.tells()[-1] == "info: Worker 2 is started again in 30 s"


def test_a_worker_may_die_for_ever(talk_of: Any) -> None:
    talk = talk_of(2).up()
    child = talk.workers["2a"]
    for _ in range(2000):
        actions = talk.plan.exited(child, "is gone", talk.now)
        talk.now = talk.now if any(isinstance(each, Start) for each in actions) else talk.plan.due
        actions += talk.plan.heard(talk.workers["1a"], {}, talk.now)
        child = next(each.child for each in actions if isinstance(each, Start))
        talk.plan.ready(child, talk.now)


def test_after_a_minute_of_life_a_death_is_the_first_again(talk_of: Any) -> None:
    talk = talk_of().up()
    assert talk.exits("1a") == ["start 1b"]
    talk.ready("1b")
    assert talk.exits("1b") == []
    assert talk.passes(1) == ["start 1c"]
    talk.ready("1c")
    assert talk.passes(60) == []
    assert talk.exits("1c") == ["start 1d"]


def test_each_place_has_pauses_of_its_own(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.exits("1a")
    talk.ready("1b")
    assert talk.exits("1b") == []
    assert talk.exits("2a") == ["start 2b"]


def test_one_that_cannot_start_again_is_tried_again_while_another_serves(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.exits("2a") == ["start 2b"]
    assert talk.exits("2b", why="no database") == []
    assert talk.passes(1) == ["start 2c"]
    assert talk.exits("2c", why="no database") == []
    assert talk.passes(2) == ["start 2d"]
    assert talk.ready("2d") == []
    assert "error: Worker 2 could not start: no database" in talk.tells()


def test_one_that_cannot_start_again_ends_the_server_where_nobody_serves(talk_of: Any) -> None:
    talk = talk_of().up()
    assert talk.exits("1a") == ["start 1b"]
    assert talk.exits("1b", why="no database") == ["end, failed"]


def test_nobody_dies_twice(talk_of: Any) -> None:
    talk = talk_of().up()
    assert talk.exits("1a") == ["start 1b"]
    assert talk.exits("1a") == []


# --- blocked ---


def test_a_blocked_worker_is_asked_killed_and_replaced(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.blocked.add("2a")
    assert talk.passes(talk.terms.blocked - 0.5) == []
    assert talk.passes(0.5) == ["ask 2a"]
    assert talk.passes(STACKS) == ["kill 2a"]
    assert talk.passes(100) == []
    assert talk.exits("2a", "was ended by SIGKILL") == ["start 2b"]
    assert talk.tells() == [
        "error: Worker 2: its event loop has been blocked for 60 s",
        "error: Worker 2 was ended by SIGKILL",
    ]


def test_a_blocked_worker_that_goes_on_lives(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    assert talk.passes(talk.terms.blocked) == ["ask 1a"]
    talk.passes(1)
    assert talk.beats("1a") == []
    assert talk.tells()[-1] == "info: Worker 1 goes on"
    assert talk.passes(talk.terms.blocked - 1) == []
    assert talk.passes(1) == ["ask 1a"]  # again


def test_a_beat_after_the_kill_comes_too_late(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    talk.passes(talk.terms.blocked + STACKS)
    talk.tells()
    assert talk.beats("1a") == []
    assert talk.tells() == []


def test_figures_are_those_of_the_last_beat(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.beats("1a")
    assert talk.workers["1a"].figures == {"requests": 1}


# --- the machine sleeps ---


def test_a_machine_that_slept_kills_nobody(talk_of: Any) -> None:
    talk = talk_of(4)
    talk.begin()
    talk.ready("1a")
    talk.ready("2a")
    talk.ready("3a")
    talk.passes(20)
    talk.worn("1a")
    assert talk.sleeps(10_000) == []
    assert talk.passes(30) == []


def test_who_was_told_to_go_has_the_rest_of_its_time(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    talk.ready("1b")
    talk.passes(10)
    assert talk.sleeps(10_000) == []
    assert talk.passes(talk.terms.leaving - 11) == []
    assert talk.passes(1) == ["ask 1a"]


def test_who_was_asked_has_the_rest_of_its_time(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    assert talk.passes(talk.terms.blocked) == ["ask 1a"]
    assert talk.sleeps(100) == []
    assert talk.passes(STACKS) == ["kill 1a"]


def test_a_beat_that_comes_before_the_look_does_not_hide_the_sleep(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.passes(10)
    talk.now += 10_000
    assert talk.beats("1a") == []
    assert talk.sleeps(0) == []
    talk.beats("2a")
    assert talk.passes(100) == []


def test_a_look_that_is_a_little_late_is_a_look(talk_of: Any) -> None:
    talk = talk_of(1).up()
    assert talk.sleeps(talk.terms.blocked + 1) == ["ask 1a"]


# --- the end ---


def test_a_stop_tells_all_and_ends_when_they_are_gone(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.stop() == ["stop 1a", "stop 2a"]
    assert talk.stop() == []
    assert talk.exits("1a") == []
    assert talk.exits("2a") == ["end"]
    assert talk.stop() == talk.quit() == []
    assert talk.plan.due == float("inf")


def test_a_retirement_leaves_the_sockets_to_others(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.retire() == ["retire 1a", "retire 2a"]
    talk.exits("1a")
    assert talk.exits("2a") == ["end"]


def test_a_stop_before_the_server_is_up(talk_of: Any) -> None:
    talk = talk_of(2)
    talk.begin()
    talk.ready("1a")
    assert talk.stop() == ["stop 1a", "stop 2a"]
    assert talk.ready("2a") == []
    talk.exits("1a")
    assert talk.exits("2a", why="no database") == ["end"]


def test_a_stop_during_a_roll_tells_the_old_and_the_new(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.roll()
    talk.ready("1b")
    assert talk.stop() == ["stop 2a", "stop 1b", "stop 2b"]
    for name in ("1a", "2a", "1b"):
        assert talk.exits(name) == []
    assert talk.exits("2b") == ["end"]


def test_a_stop_while_a_place_is_empty(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.exits("1a")
    talk.ready("1b")
    talk.exits("1b")
    assert talk.stop() == ["end"]
    assert talk.passes(100) == []


def test_who_does_not_end_in_time_is_asked_and_killed(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.stop()
    assert talk.passes(talk.terms.stopping - 1) == []
    assert talk.passes(1) == ["ask 1a"]
    assert talk.passes(STACKS) == ["kill 1a"]
    assert talk.exits("1a", "was ended by SIGKILL") == ["end"]
    assert talk.tells()[-1] == "warning: Worker 1 was ended by SIGKILL (it did not end in time)"


def test_who_is_replaced_has_less_time_to_end(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    talk.ready("1b")
    assert talk.passes(talk.terms.leaving - 1) == []
    assert talk.passes(1 + STACKS) == ["ask 1a", "kill 1a"]


def test_a_stop_gives_no_more_time_to_who_goes_already(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    talk.ready("1b")
    talk.passes(30)
    assert talk.stop() == ["stop 1b"]
    assert talk.passes(10) == ["ask 1a"]


@pytest.mark.parametrize("phase", ["starting", "ready", "leaving", "late", "blocked"])
def test_an_end_at_once_kills_in_every_phase(talk_of: Any, phase: str) -> None:
    talk = talk_of(1)
    talk.begin()
    if phase == "late":
        talk.passes(talk.terms.startup)
    elif phase != "starting":
        talk.ready("1a")
    if phase == "leaving":
        talk.stop()
    if phase == "blocked":
        talk.blocked.add("1a")
        talk.passes(talk.terms.blocked)
    assert talk.quit() == ["kill 1a"]
    assert talk.quit() == []
    assert talk.passes(100) == []
    assert talk.exits("1a") == ["end"]


@pytest.mark.parametrize("end", ["stop", "retire", "quit"])
def test_an_end_without_workers(talk_of: Any, end: str) -> None:
    talk = talk_of(1, patient=True)
    talk.begin()
    talk.exits("1a", why="invalid syntax")
    assert getattr(talk, end)() == ["end"]
    assert getattr(talk, end)() == []


def test_a_blocked_worker_is_told_to_stop_like_others(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    talk.passes(talk.terms.blocked)
    assert talk.stop() == ["stop 1a"]
    assert talk.passes(talk.terms.stopping + STACKS) == ["ask 1a", "kill 1a"]
    talk.exits("1a")
    assert talk.tells()[-1] == "warning: Worker 1 is gone (it did not end in time)"
