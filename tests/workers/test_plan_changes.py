"""What a supervisor changes about its workers, told as conversations (see conftest)."""

from typing import Any

from portway.workers.plan import STACKS

# --- all are replaced ---


def test_one_is_replaced_at_a_time_and_goes_when_the_new_one_is_ready(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.roll() == ["start 1b"]
    assert talk.passes(30) == []
    assert talk.ready("1b") == ["retire 1a", "start 2b"]
    assert talk.exits("1a") == []
    assert talk.ready("2b") == ["retire 2a", "rolled"]
    assert talk.exits("2a", "ended with exit code 0") == []
    assert talk.tells()[-1] == "info: Worker 2 ended with exit code 0"


def test_the_next_is_replaced_while_the_one_before_still_goes(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.roll()
    assert talk.ready("1b") == ["retire 1a", "start 2b"]
    assert talk.ready("2b") == ["retire 2a", "rolled"]
    assert talk.exits("2a") == []
    assert talk.exits("1a") == []


def test_a_newcomer_that_cannot_start_leaves_the_old_ones(talk_of: Any) -> None:
    talk = talk_of(3).up()
    talk.roll()
    talk.ready("1b")
    error = "Worker 2 could not be replaced: invalid syntax"
    assert talk.exits("2b", why="invalid syntax") == [f"rolled, but {error}"]
    assert talk.tells() == [f"error: {error}"]
    assert talk.passes(1000) == ["ask 1a", "kill 1a"]  # it alone was told to go
    assert talk.worn("2a") == ["start 2c"]  # nothing is the matter with it


def test_a_newcomer_that_is_late_leaves_the_old_ones(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    assert talk.passes(talk.terms.startup + STACKS) == ["ask 1b", "kill 1b"]
    assert talk.exits("1b") == ["rolled, but Worker 1 could not be replaced: it was not ready within 120 s"]
    assert talk.roll() == ["start 1c"]
    assert talk.ready("1c") == ["retire 1a", "rolled"]


def test_a_second_roll_kills_what_is_starting_with_obsolete_code(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.roll()
    talk.ready("1b")
    assert talk.roll() == ["kill 2b"]
    assert talk.ready("2b") == []  # too late
    assert talk.exits("2b", "was ended by SIGKILL") == ["start 2c"]
    assert talk.tells() == ["info: Worker 2 was ended by SIGKILL (it started with what has changed meanwhile)"]
    assert talk.ready("2c") == ["retire 2a", "start 1c"]
    assert talk.ready("1c") == ["retire 1b", "rolled"]


def test_a_roll_before_the_server_is_up_starts_all_anew(talk_of: Any) -> None:
    talk = talk_of(2)
    talk.begin()
    talk.ready("1a")
    assert talk.roll() == ["kill 2a", "start 2b"]
    assert talk.exits("2a") == []
    assert talk.ready("2b") == ["start 1b", "up"]
    assert talk.ready("1b") == ["retire 1a", "rolled"]


def test_a_late_start_that_a_roll_does_away_with_is_no_failure(talk_of: Any) -> None:
    talk = talk_of(1)
    talk.begin()
    assert talk.passes(talk.terms.startup) == ["ask 1a"]
    assert talk.roll() == ["kill 1a", "start 1b"]
    assert talk.exits("1a") == []
    assert talk.ready("1b") == ["rolled", "up"]


def test_a_late_newcomer_that_was_killed_already_does_not_end_the_next_roll(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    talk.passes(talk.terms.startup + STACKS)
    assert talk.roll() == []
    assert talk.exits("1b") == ["start 1c"]
    assert talk.ready("1c") == ["retire 1a", "rolled"]


def test_an_old_one_that_dies_leaves_its_place_to_the_newcomer(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    assert talk.exits("1a") == []
    assert talk.ready("1b") == ["rolled"]


def test_an_old_one_that_dies_while_its_newcomer_is_killed_is_replaced(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.roll()
    talk.roll()
    assert talk.exits("1a") == ["start 1c"]
    assert talk.exits("1b") == []
    assert talk.ready("1c") == ["start 2b"]
    assert talk.ready("2b") == ["retire 2a", "rolled"]


def test_a_roll_waits_for_those_that_are_started_after_a_pause_anyway(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.exits("2a")
    talk.ready("2b")
    assert talk.exits("2b") == []
    assert talk.roll() == ["start 2c"]  # without the pause
    assert talk.ready("2c") == ["start 1b"]
    assert talk.ready("1b") == ["retire 1a", "rolled"]


def test_a_roll_is_over_when_a_place_is_filled_that_became_empty(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    assert talk.ready("1b") == ["retire 1a", "rolled"]
    assert talk.exits("1b") == ["start 1c"]
    talk.ready("1c")
    talk.roll()
    assert talk.exits("1c") == []
    assert talk.ready("1d") == ["rolled"]


def test_a_newcomer_that_is_ready_while_the_old_one_is_being_killed_stays_alone(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    talk.passes(talk.terms.blocked - 10)
    talk.roll()
    assert talk.passes(10 + STACKS) == ["ask 1a", "kill 1a"]
    assert talk.ready("1b") == ["rolled"]
    assert talk.exits("1a") == []


def test_one_that_is_being_killed_is_replaced_once(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.blocked.add("1a")
    talk.passes(talk.terms.blocked + STACKS)
    assert talk.roll() == ["start 1b"]
    assert talk.exits("1a") == []
    assert talk.ready("1b") == ["rolled"]


def test_while_the_server_stops_nothing_is_replaced(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.stop()
    assert talk.roll() == []
    assert talk.scale(3) == []


# --- worn ---


def test_worn_workers_are_replaced_one_at_a_time(talk_of: Any) -> None:
    talk = talk_of(3).up()
    assert talk.worn("3a", "10,000 requests") == ["start 3b"]
    assert talk.worn("1a", "512 MiB") == []
    assert talk.worn("3a") == []
    assert talk.tells() == ["info: Worker 3 is replaced: 10,000 requests", "info: Worker 1 is replaced: 512 MiB"]
    assert talk.ready("3b") == ["retire 3a", "start 1b"]
    assert talk.ready("1b") == ["retire 1a"]


def test_a_worn_worker_whose_newcomer_cannot_start_goes_on_and_may_ask_again(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.worn("1a")
    assert talk.exits("1b", why="no database") == []
    assert talk.tells()[-1] == "error: Worker 1 could not be replaced: no database"
    assert talk.worn("1a") == ["start 1c"]
    assert talk.ready("1c") == ["retire 1a"]


def test_a_worn_worker_that_dies_before_its_turn_is_replaced_as_one_that_died(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.worn("1a")
    talk.worn("2a")
    assert talk.exits("2a") == ["start 2b"]
    assert talk.ready("1b") == ["retire 1a"]
    assert talk.ready("2b") == []


def test_who_starts_or_goes_is_not_worn(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.worn("1a")
    assert talk.worn("1b") == []
    talk.ready("1b")
    assert talk.worn("1a") == []


# --- more and fewer ---


def test_more_are_started_at_once(talk_of: Any) -> None:
    talk = talk_of(1).up()
    assert talk.scale(3) == ["start 2a", "start 3a"]
    assert talk.plan.count == 3
    assert talk.ready("2a") == []


def test_fewer_are_those_of_the_last_places_and_nobody_has_their_sockets_then(talk_of: Any) -> None:
    talk = talk_of(3).up()
    assert talk.scale(1) == ["stop 2a", "stop 3a"]
    assert talk.exits("2a") == []
    assert talk.exits("3a") == []
    assert talk.plan.count == 1


def test_one_is_the_least(talk_of: Any) -> None:
    talk = talk_of(2).up()
    assert talk.scale(0) == ["stop 2a"]
    assert talk.scale(-1) == []


def test_who_starts_in_a_place_that_goes_is_killed(talk_of: Any) -> None:
    talk = talk_of(2)
    talk.begin()
    talk.ready("1a")
    assert talk.scale(1) == ["kill 2a", "up"]
    assert talk.exits("2a", "was ended by SIGKILL") == []
    assert talk.tells() == ["info: Worker 2 was ended by SIGKILL (it is not needed any more)"]


def test_a_late_start_in_a_place_that_goes_and_comes_back_is_no_failure(talk_of: Any) -> None:
    talk = talk_of(2)
    talk.begin()
    talk.ready("1a")
    assert talk.passes(talk.terms.startup) == ["ask 2a"]
    assert talk.scale(1) == ["kill 2a", "up"]
    assert talk.scale(2) == ["start 2b"]
    assert talk.exits("2a") == []
    assert talk.ready("2b") == []


def test_a_place_that_comes_back_has_one_worker_whatever_becomes_of_the_one_before(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.blocked.add("2a")
    talk.passes(talk.terms.blocked + STACKS)
    talk.scale(1)
    assert talk.scale(2) == ["start 2b"]
    assert talk.exits("2a") == []
    talk.ready("2b")
    talk.scale(1)
    assert talk.scale(2) == ["start 2c"]
    assert talk.exits("2b") == []


def test_a_pause_ends_with_its_place(talk_of: Any) -> None:
    talk = talk_of(2).up()
    talk.exits("2a")
    talk.ready("2b")
    assert talk.exits("2b") == []
    talk.scale(1)
    assert talk.passes(100) == []


def test_fewer_during_a_roll(talk_of: Any) -> None:
    talk = talk_of(3).up()
    talk.roll()
    talk.ready("1b")
    talk.exits("1a")
    assert talk.scale(1) == ["stop 2a", "kill 2b", "stop 3a"]
    assert talk.exits("2b") == ["rolled"]


def test_more_during_a_roll(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.roll()
    assert talk.scale(2) == ["start 2a"]
    assert talk.ready("1b") == ["retire 1a"]
    assert talk.ready("2a") == ["rolled"]


def test_a_newcomer_of_a_greater_number_that_cannot_start_is_tried_again(talk_of: Any) -> None:
    talk = talk_of(1).up()
    talk.scale(2)
    assert talk.exits("2a", why="no memory") == ["start 2b"]
    assert talk.exits("2b", why="no memory") == []
    assert talk.passes(1) == ["start 2c"]


# --- what one does for all ---


def test_the_first_that_serves_is_elected(talk_of: Any) -> None:
    talk = talk_of(2, elects=True)
    assert talk.begin() == ["start 1a", "start 2a"]
    assert talk.ready("2a") == ["elect 2a"]
    assert talk.ready("1a") == ["up"]


def test_nobody_is_elected_where_there_is_nothing_to_do(talk_of: Any) -> None:
    talk = talk_of(1)
    talk.begin()
    assert talk.ready("1a") == ["up"]


def test_another_is_elected_when_that_one_dies(talk_of: Any) -> None:
    talk = talk_of(2, elects=True).up()
    assert talk.exits("1a") == ["start 1b", "elect 2a"]
    assert talk.ready("1b") == []


def test_another_is_elected_when_that_one_has_left_off_and_not_before(talk_of: Any) -> None:
    talk = talk_of(1, elects=True).up()
    talk.roll()
    assert talk.ready("1b") == ["retire 1a", "rolled"]
    assert talk.resigns("1a") == ["elect 1b"]
    assert talk.exits("1a") == []


def test_another_is_elected_when_that_one_is_gone_without_a_word(talk_of: Any) -> None:
    talk = talk_of(1, elects=True).up()
    talk.roll()
    talk.ready("1b")
    assert talk.exits("1a") == ["elect 1b"]


def test_who_is_to_be_replaced_soon_is_not_elected(talk_of: Any) -> None:
    talk = talk_of(3, elects=True).up()
    talk.roll()
    assert talk.ready("1b") == ["retire 1a", "start 2b"]
    assert talk.resigns("1a") == ["elect 1b"]


def test_what_is_done_is_done(talk_of: Any) -> None:
    talk = talk_of(2, elects=True).up()
    assert talk.resigns("1a", done=True) == []
    assert talk.exits("1a") == ["start 1b"]
    assert talk.ready("1b") == []
    assert talk.passes(1000) == []


def test_what_failed_is_begun_again_after_its_pause(talk_of: Any) -> None:
    talk = talk_of(1, elects=True).up()
    assert talk.resigns("1a", pause=8) == []
    assert talk.passes(7.9) == []
    assert talk.passes(0.1) == ["elect 1a"]


def test_a_pause_is_kept_whoever_dies(talk_of: Any) -> None:
    talk = talk_of(2, elects=True).up()
    talk.resigns("1a", pause=8)
    assert talk.exits("1a") == ["start 1b"]
    assert talk.passes(7) == []
    assert talk.passes(1) == ["elect 2a"]


def test_without_a_candidate_one_is_waited_for_in_peace(talk_of: Any) -> None:
    talk = talk_of(1, elects=True).up()
    talk.resigns("1a", pause=8)
    assert talk.exits("1a") == ["start 1b"]
    assert talk.passes(10) == []
    assert talk.plan.due > talk.now
    assert talk.ready("1b") == ["elect 1b"]


def test_who_is_not_elected_cannot_resign(talk_of: Any) -> None:
    talk = talk_of(2, elects=True).up()
    assert talk.resigns("2a", done=True) == []
    assert talk.exits("1a") == ["start 1b", "elect 2a"]


def test_nobody_is_elected_at_the_end(talk_of: Any) -> None:
    talk = talk_of(2, elects=True).up()
    talk.stop()
    assert talk.resigns("1a") == []
    assert talk.exits("1a") == []


# --- patient: the code is being written ---


def test_who_cannot_start_waits_for_the_next_roll(talk_of: Any) -> None:
    talk = talk_of(1, patient=True)
    talk.begin()
    assert talk.exits("1a", why="invalid syntax") == []
    assert talk.tells() == ["error: Worker 1 could not start: invalid syntax"]
    assert talk.passes(1000) == []
    assert talk.roll() == ["start 1b"]
    assert talk.exits("1b", why="invalid syntax") == ["rolled, but Worker 1 could not start: invalid syntax"]
    assert talk.roll() == ["start 1c"]
    assert talk.ready("1c") == ["rolled", "up"]


def test_patience_leaves_the_old_one_when_the_newcomer_cannot_start(talk_of: Any) -> None:
    talk = talk_of(1, patient=True).up()
    talk.roll()
    assert talk.exits("1b", why="invalid syntax") == ["rolled, but Worker 1 could not be replaced: invalid syntax"]
    assert talk.roll() == ["start 1c"]
    assert talk.ready("1c") == ["retire 1a", "rolled"]


def test_patience_replaces_who_dies(talk_of: Any) -> None:
    talk = talk_of(1, patient=True).up()
    assert talk.exits("1a") == ["start 1b"]
    assert talk.exits("1b", why="invalid syntax") == []
    assert talk.passes(1000) == []
    assert talk.roll() == ["start 1c"]
