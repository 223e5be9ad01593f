"""The pytest plugin, in test runs of its own."""

from __future__ import annotations

import os
import sys

import pytest

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "recloser.testing.plugin")


@pytest.fixture(autouse=True)
def inner(monkeypatch):
    """Let runs in another folder find what this one finds, with no plugin but ours."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, sys.path)))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(pytester):
    """Run the given tests with the plugin."""

    def run_tests(tests: str, *options: str, failed: int = 0, passed: int = 0):
        pytester.makepyfile(tests)
        result = pytester.runpytest_subprocess(
            *PLUGIN, "--strict-markers", "-W", "error", *options
        )
        result.assert_outcomes(failed=failed, passed=passed)
        return result

    return run_tests


def test_error_of_a_callback_fails_the_test_in_which_it_happened(run):
    result = run(
        """
        from recloser import CircuitBreaker

        def test_with_a_broken_predicate():
            payments = CircuitBreaker("payments", failure_result=lambda r: r.status)
            assert payments.call(lambda: "answer") == "answer"

        def test_with_a_broken_listener():
            payments = CircuitBreaker("payments", listeners=[lambda event: 1 / 0])
            payments.trip()

        def test_without():
            assert CircuitBreaker("payments").call(lambda: "answer") == "answer"
        """,
        failed=2,
        passed=1,
    )

    result.stdout.fnmatch_lines(
        [
            "*AttributeError*status*",
            "*breaker 'payments': its failure_result raised AttributeError*",
            "*breaker 'payments': its listeners raised ZeroDivisionError*",
        ]
    )


def test_marked_test_may_have_callbacks_that_raise(run):
    run(
        """
        import pytest
        from recloser import CircuitBreaker

        @pytest.mark.recloser_allow_callback_errors
        def test_with_a_broken_predicate():
            payments = CircuitBreaker("payments", failure_result=lambda r: r.status)
            payments.call(lambda: "answer")
            assert payments.snapshot().callback_errors == 1
        """,
        passed=1,
    )


def test_own_failure_of_a_test_is_shown_rather_than_the_callbacks(run):
    result = run(
        """
        from recloser import CircuitBreaker

        def test_that_fails_anyway():
            CircuitBreaker("payments", listeners=[lambda event: 1 / 0]).trip()
            assert "mine" == "yours"
        """,
        failed=1,
    )

    result.stdout.fnmatch_lines(["E*assert 'mine' == 'yours'"])


def test_error_of_a_callback_does_not_fail_the_next_test(run):
    run(
        """
        from recloser import CircuitBreaker
        broken = CircuitBreaker("payments", listeners=[lambda event: 1 / 0])

        def test_with_the_broken_one():
            broken.trip()

        def test_with_another():
            CircuitBreaker("payments").trip()
        """,
        failed=1,
        passed=1,
    )


LEAKS = """
    import pytest
    from recloser import CircuitBreaker, breakers, get_breaker

    module_level = CircuitBreaker("module")
    older = CircuitBreaker("twice")
    newer = CircuitBreaker("twice")
    held = []

    @pytest.mark.parametrize("number", range(8))
    def test_begins_with_no_breakers(recloser_registry, number):
        assert breakers() == []
        held.append(CircuitBreaker(f"payments-{number}"))
        assert get_breaker(f"payments-{number}") is held[-1]
        assert list(recloser_registry) == [held[-1]]

    def test_after_them_everything_is_as_before():
        assert breakers() == [module_level, older, newer]
        assert get_breaker("twice") is newer
    """


def test_registry_fixture_gives_a_clean_registry_and_puts_the_old_one_back(run):
    run(LEAKS, passed=9)


def test_nothing_leaks_between_tests_under_xdist(run):
    pytest.importorskip("xdist")

    run(LEAKS, "-p", "xdist", "-n", "2", passed=9)


def test_disabled_fixture_lets_everything_through_and_ends(run):
    run(
        """
        from recloser import CircuitBreaker, State

        payments = CircuitBreaker("payments", trip=1)
        made = []

        def test_disabled(recloser_disabled):
            payments.acquire().failure()
            assert payments.state is State.DISABLED
            made.append(CircuitBreaker("made inside"))
            assert made[0].state is State.DISABLED

        def test_enabled_again():
            assert payments.state is State.CLOSED
            assert made[0].state is State.CLOSED
            assert CircuitBreaker("new").state is State.CLOSED
        """,
        passed=2,
    )


def test_fake_clock_fixture_is_a_clock_of_its_own_for_each_test(run):
    run(
        """
        import pytest
        from recloser import CircuitBreaker, State

        @pytest.mark.parametrize("number", range(2))
        def test_time(fake_clock, number):
            assert fake_clock() == 0.0
            payments = CircuitBreaker("payments", trip=1, clock=fake_clock)
            payments.acquire().failure()
            fake_clock.advance(33)
            payments.acquire().success()
            assert payments.state is State.CLOSED
        """,
        passed=2,
    )


def test_whole_suite_is_disabled_by_the_environment(run, monkeypatch):
    monkeypatch.setenv("RECLOSER_DISABLED", "1")

    run(
        """
        from recloser import CircuitBreaker, State
        from recloser.testing import disabled

        payments = CircuitBreaker("payments", trip=1)

        def test_nothing_trips():
            for _ in range(10):
                payments.acquire().failure()
            assert payments.state is State.DISABLED

        def test_end_of_a_block_does_not_enable():
            with disabled():
                pass
            assert payments.state is State.DISABLED
        """,
        passed=2,
    )


def test_test_that_asks_for_nothing_is_left_alone(run):
    run(
        """
        from recloser import CircuitBreaker, get_breaker

        payments = CircuitBreaker("payments")

        def test_one():
            payments.trip()

        def test_two():
            assert get_breaker("payments").state == "open"
        """,
        passed=2,
    )


def test_fixtures_of_the_plugin_are_documented(pytester):
    result = pytester.runpytest_subprocess(*PLUGIN, "--fixtures")

    result.stdout.fnmatch_lines(
        ["fake_clock*", "recloser_registry*", "recloser_disabled*"]
    )
