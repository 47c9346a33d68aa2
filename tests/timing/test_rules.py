"""The stop rules as a table: period, budget, latches, step limits (protocol of the benchmark,
versions 0.5 and 0.6).
"""

from dataclasses import replace
from signal import SIGINT, SIGTERM

import pytest

from algoperf_pt.spec import WorkloadSpec
from timing.rules import (
    Action,
    Decision,
    Latches,
    Moment,
    Reason,
    Rules,
    after_evaluation,
    after_step,
    latch,
    may_evaluate,
)

SPEC = WorkloadSpec(
    name="w",
    version="0.6",
    metric="accuracy",
    direction="max",
    strict=True,
    validation_target=0.9,
    test_target=0.8,
    max_runtime=100.0,
    budget_factor=1.0,
    eval_period=10.0,
    step_hint=1000,
    num_examples={},
    eval_batch_size=1,
    baseline_batch_size=1,
    loss_type="softmax_cross_entropy",
)
RULES = Rules(SPEC)
TRAIN, EVALUATE, STOP = Action.TRAIN, Action.EVALUATE, Action.STOP


@pytest.mark.parametrize(
    "change, moment, expected",
    [
        ({}, Moment(0.1, 1, None), Decision(EVALUATE)),  # always after the first step
        ({"evaluate_after_first_step": False}, Moment(0.1, 1, None), Decision(TRAIN)),
        ({"evaluate_after_first_step": False}, Moment(10.0, 9, None), Decision(EVALUATE)),
        ({}, Moment(19.9, 5, 10.0), Decision(TRAIN)),
        ({}, Moment(20.0, 5, 10.0), Decision(EVALUATE)),  # at least the period
        ({}, Moment(99.99, 5, 95.0), Decision(TRAIN)),
        ({}, Moment(100.0, 5, 95.0), Decision(STOP, Reason.BUDGET)),  # tested at every step
        (
            {},
            Moment(100.0, 5, 80.0),
            Decision(STOP, Reason.BUDGET),
        ),  # no evaluation after the budget
        (
            {"late_evaluation": True},
            Moment(100.0, 5, 80.0),
            Decision(EVALUATE, Reason.BUDGET),
        ),  # version 0.5
        ({"late_evaluation": True}, Moment(100.0, 5, 95.0), Decision(STOP, Reason.BUDGET)),
        (
            {"spec": replace(SPEC, budget_factor=1.5)},
            Moment(149.0, 5, 145.0),
            Decision(TRAIN),
        ),  # self-tuning
        (
            {"spec": replace(SPEC, budget_factor=1.5)},
            Moment(150.0, 5, 145.0),
            Decision(STOP, Reason.BUDGET),
        ),
        ({"max_steps": 7}, Moment(11.0, 7, 10.0), Decision(EVALUATE, Reason.STEP_LIMIT)),
        (
            {"max_steps": 7},
            Moment(11.0, 9, 10.0),
            Decision(EVALUATE, Reason.STEP_LIMIT),
        ),  # resumed beyond it
        ({"max_steps": 7}, Moment(101.0, 7, 10.0), Decision(STOP, Reason.BUDGET)),
        ({}, Moment(11.0, 5, 10.0, submission_done=True), Decision(EVALUATE, Reason.DONE)),
        ({}, Moment(101.0, 5, 10.0, submission_done=True), Decision(STOP, Reason.BUDGET)),
        ({}, Moment(11.0, 5, 10.0, diverged=True), Decision(STOP, Reason.DIVERGED)),
        ({}, Moment(20.0, 5, 10.0, stop_signal=SIGINT), Decision(STOP, Reason.USER)),
        ({}, Moment(20.0, 5, 10.0, stop_signal=SIGTERM), Decision(STOP, Reason.TERMINATED)),
        ({"eval_every_steps": 5}, Moment(1.0, 1, None), Decision(TRAIN)),
        ({"eval_every_steps": 5}, Moment(1.0, 5, None), Decision(EVALUATE)),
        ({"eval_every_steps": 5}, Moment(50.0, 6, 1.0), Decision(TRAIN)),
        ({"pause_at": 15.0}, Moment(14.9, 5, 10.0), Decision(TRAIN)),
        ({"pause_at": 15.0}, Moment(15.0, 5, 10.0), Decision(STOP, Reason.PAUSED)),
        ({"pause_at": 15.0}, Moment(20.0, 5, 10.0), Decision(EVALUATE, Reason.PAUSED)),
        ({"pause_at": 15.0}, Moment(100.0, 5, 95.0), Decision(STOP, Reason.BUDGET)),
        (
            {"pause_at": 15.0, "max_steps": 5},
            Moment(16.0, 5, 15.9),
            Decision(EVALUATE, Reason.STEP_LIMIT),
        ),
    ],
)
def test_after_step(change, moment, expected):
    assert after_step(replace(RULES, **change), moment) == expected


def test_prepare_for_eval_may_use_up_the_budget():
    assert may_evaluate(RULES, 99.9)
    assert not may_evaluate(RULES, 100.0)
    assert may_evaluate(replace(RULES, late_evaluation=True), 100.1)


def metrics(validation, test):
    return {"validation/accuracy": validation, "test/accuracy": test}


def test_targets_are_latched_apart():
    latches = latch(RULES, Latches(), 1.0, 10, metrics(0.95, 0.5))
    assert latches == Latches(validation=(1.0, 10))
    assert (
        after_evaluation(RULES, latches, None) is None
    )  # the validation target alone does not stop the run
    latches = latch(RULES, latches, 2.0, 20, metrics(0.1, 0.85))
    assert latches == Latches(validation=(1.0, 10), test=(2.0, 20))
    assert after_evaluation(RULES, latches, None) is Reason.TARGETS
    assert latch(RULES, latches, 3.0, 30, metrics(0.99, 0.99)) == latches  # the first time counts


@pytest.mark.parametrize(
    "change, value, reached",
    [
        ({}, 0.9, False),  # strictly better
        ({"strict": False}, 0.9, True),
        ({}, 0.9001, True),
        ({}, float("nan"), False),
        ({"direction": "min"}, 0.89, True),
        ({"direction": "min"}, 0.9, False),
        ({"direction": "min", "strict": False}, 0.9, True),
        ({"direction": "min"}, 0.91, False),
    ],
)
def test_when_a_target_counts_as_reached(change, value, reached):
    rules = replace(RULES, spec=replace(SPEC, **change))
    assert (latch(rules, Latches(), 1.0, 1, metrics(value, 0.0)).validation is not None) is reached


def test_a_workload_without_a_test_target_stops_at_the_validation_target():
    rules = replace(RULES, spec=replace(SPEC, test_target=None))
    latches = latch(rules, Latches(), 4.0, 40, {"validation/accuracy": 0.95})
    assert after_evaluation(rules, latches, None) is Reason.TARGETS


def test_an_ending_keeps_its_reason_unless_the_targets_were_reached():
    assert after_evaluation(RULES, Latches(), Reason.STEP_LIMIT) is Reason.STEP_LIMIT
    both = Latches((1.0, 1), (1.0, 1))
    assert after_evaluation(RULES, both, Reason.STEP_LIMIT) is Reason.TARGETS
