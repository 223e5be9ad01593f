"""Breakers and groups from tables and the environment; changing them while they run."""

from __future__ import annotations

import threading
from types import MappingProxyType

import pytest

from recloser import (
    Backoff,
    CircuitBreaker,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    Policy,
    Ramp,
    State,
    TimeWindow,
    Wait,
    get_breaker,
)
from recloser.settings import Settings
from recloser.testing import force

TABLE = {
    "defaults": {"recovery": 60},
    "breakers": {
        "payments": {
            "trip": [5, {"failure_rate": 0.5, "window": {"seconds": 60}}],
            "probes": 2,
        },
        "search": {"initial_state": "disabled", "recovery": {"backoff": 5}},
    },
    "groups": {"hosts": {"max_size": 7, "trip": 3}},
}

TOML = """
[recloser.defaults]
recovery = 60

[recloser.breakers.payments]
trip = [5, { failure_rate = 0.5, window = { seconds = 60 } }]
probes = 2

[recloser.breakers.search]
initial_state = "disabled"
recovery = { backoff = 5 }

[recloser.groups.hosts]
max_size = 7
trip = 3

[tool.ours]
breakers = { payments = { trip = 9 } }
"""


@pytest.fixture(autouse=True)
def _alone(recloser_registry):
    """No breaker of one test is found in another."""


# -- from a mapping --------------------------------------------------------------------


def test_breaker_has_its_table_over_the_defaults():
    payments = Settings(TABLE).breaker("payments")

    assert payments.policy == Policy(
        trip=ConsecutiveFailures(5) | FailureRate(0.5, window=TimeWindow(60)),
        recovery=60,
        probes=2,
    )


def test_value_of_a_breaker_replaces_that_of_the_defaults_whole():
    search = Settings(TABLE).breaker("search")

    assert search.policy == Policy(recovery=Backoff(5))
    assert search.state is State.DISABLED


def test_group_has_its_size_and_policy():
    hosts = Settings(TABLE).group("hosts")

    assert hosts.policy == Policy(trip=3, recovery=60)
    assert repr(hosts).endswith("at most 7>")


def test_group_can_begin_in_another_state():
    hosts = Settings({"groups": {"hosts": {"initial_state": "metrics_only"}}})

    assert hosts.group("hosts")["a"].state is State.METRICS_ONLY


def test_name_that_is_nowhere_gets_the_defaults():
    settings = Settings(TABLE)

    assert settings.breaker("other").policy == Policy(recovery=60)
    assert Settings().breaker("another").policy == Policy()


def test_policy_is_told_without_making_the_breaker():
    settings = Settings(TABLE)

    assert settings.policy("payments").probes == 2
    assert settings.breakers == []
    assert get_breaker("payments") is None


def test_any_mapping_will_do_and_none_is_changed():
    inner = MappingProxyType({"trip": MappingProxyType({"failure_rate": 0.5})})
    table = {"breakers": MappingProxyType({"payments": inner})}

    settings = Settings(table, environ={"RECLOSER_PAYMENTS__TRIP__MINIMUM_CALLS": "3"})

    assert settings.policy("payments").trip == FailureRate(0.5, minimum_calls=3)
    assert inner == {"trip": {"failure_rate": 0.5}}


def test_breaker_is_made_once():
    settings = Settings(TABLE)

    assert settings.breaker("payments") is settings.breaker("payments")
    assert settings.group("hosts") is settings.group("hosts")
    assert settings.breakers == [get_breaker("payments")]
    assert settings.groups == [settings.group("hosts")]


def test_breaker_is_made_once_by_many_threads():
    settings, made = Settings(TABLE), []
    together = threading.Barrier(8)

    def ask():
        together.wait()
        made.append(settings.breaker("payments"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert len({id(breaker) for breaker in made}) == 1


def test_options_of_the_code_go_to_the_breaker():
    payments = Settings(TABLE).breaker("payments", ignore=(KeyError,))

    with pytest.raises(KeyError):
        payments.call({}.__getitem__, "missing")

    assert payments.snapshot().totals.neutral == 1


def test_options_are_given_at_one_place():
    settings = Settings(TABLE)
    made = settings.breaker("payments", ignore=(KeyError,))

    assert settings.breaker("payments") is made
    assert settings.breaker("payments", ignore=(KeyError,)) is made
    with pytest.raises(ValueError, match="'payments' was made with other options"):
        settings.breaker("payments", ignore=(ValueError,))


@pytest.mark.parametrize("option", ["trip", "recovery", "policy", "initial_state"])
def test_what_belongs_in_the_settings_is_refused_in_the_code(option):
    text = f"{option} belongs in the settings: breakers.payments.{option}"

    with pytest.raises(TypeError, match=text):
        Settings().breaker("payments", **{option: None})


def test_size_of_a_group_belongs_in_the_settings():
    with pytest.raises(TypeError, match=r"max_size belongs .* groups.hosts.max_size"):
        Settings().group("hosts", max_size=5)


def test_names_that_nobody_asks_for_are_told():
    settings = Settings(
        TABLE,
        environ={
            "RECLOSER_SEARCH__PROBES": "2",
            "RECLOSER_PAYMETS__TRIP": "5",
            "RECLOSER_MAIL__TRIP": "5",
        },
    )
    settings.breaker("search")
    settings.breaker("mail")

    assert settings.unused == ["breakers.payments", "groups.hosts", "RECLOSER_PAYMETS"]


# -- from TOML -------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "app.toml"
    path.write_text(TOML, "utf-8")
    return path


def test_toml_says_what_the_mapping_says(file):
    from_file, from_mapping = Settings.from_toml(file), Settings(TABLE)

    for name in ("payments", "search", "other"):
        assert from_file.policy(name) == from_mapping.policy(name)
    assert repr(from_file.group("hosts")) == repr(from_mapping.group("hosts"))


def test_table_can_have_another_name(file):
    settings = Settings.from_toml(str(file), table="tool.ours")

    assert settings.policy("payments") == Policy(trip=9)


def test_environment_is_stronger_than_the_file(file):
    settings = Settings.from_toml(file, environ={"RECLOSER_PAYMENTS__PROBES": "4"})

    assert settings.policy("payments").probes == 4
    assert settings.policy("payments").recovery == Wait(60)


@pytest.mark.parametrize(
    ("content", "table", "kind", "message"),
    [
        (b"a = [", "recloser", ValueError, "Invalid value"),
        (b"\xff", "recloser", ValueError, "can't decode byte 0xff"),
        (b"a = 1", "recloser", ValueError, r"has no table \[recloser\]"),
        (b"tool = 1", "tool.ours", ValueError, r"has no table \[tool.ours\]"),
        (b"recloser = 1", "recloser", TypeError, "settings: must be a mapping"),
        (
            b"[recloser.breakers.payments]\nprobes = 0",
            "recloser",
            ValueError,
            "breakers.payments.probes must be at least 1, got 0",
        ),
    ],
)
def test_error_in_a_file_names_the_file(tmp_path, content, table, kind, message):
    path = tmp_path / "app.toml"
    path.write_bytes(content)

    with pytest.raises(kind, match=rf"app\.toml: .*{message}"):
        Settings.from_toml(path, table=table)


def test_missing_file_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Settings.from_toml(tmp_path / "none.toml")


# -- errors have a path ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "kind", "message"),
    [
        ([], TypeError, "settings: must be a mapping with string keys, got []"),
        ({"breaker": {}}, ValueError, "breaker: unknown; known here: breakers, def"),
        ({"breakers": []}, TypeError, "breakers: must be a mapping with string keys"),
        ({"groups": {"hosts": 5}}, TypeError, "groups.hosts: must be a mapping"),
        ({"breakers": {5: {}}}, TypeError, "breakers: must be a mapping with string"),
        (
            {"breakers": {"payments": {"trip": {"failure_rate": 50}}}},
            ValueError,
            (
                "breakers.payments.trip.failure_rate: rate must be in (0, 1], "
                "got 50 (rates are fractions: did you mean 0.5?)"
            ),
        ),
        (
            {"breakers": {"payments": {"probes": 1, "probe_concurrency": 3}}},
            ValueError,
            "breakers.payments.probe_concurrency must be at most probes (1), got 3",
        ),
        (
            {"breakers": {"payments": {"recovery": "soon"}}},
            ValueError,
            "breakers.payments.recovery: must be a number, got 'soon'",
        ),
        (
            {"breakers": {"payments": {"max_size": 3}}},
            ValueError,
            "breakers.payments.max_size: unknown; known here: initial_state, probe_",
        ),
        (
            {"groups": {"hosts": {"max_size": 0}}},
            ValueError,
            "groups.hosts.max_size must be at least 1, got 0",
        ),
        (
            {"groups": {"hosts": {"max_size": "many"}}},
            TypeError,
            "groups.hosts.max_size must be a whole number, got 'many'",
        ),
        (
            {"breakers": {"payments": {"initial_state": "half_open"}}},
            ValueError,
            "breakers.payments.initial_state: must be one of closed, open, ",
        ),
        (
            {"breakers": {"payments": {"initial_state": []}}},
            ValueError,
            "breakers.payments.initial_state: must be one of closed, open, ",
        ),
        (
            {"defaults": {"trip": -1}, "breakers": {"payments": {}}},
            ValueError,
            "defaults.trip must be at least 1, got -1",
        ),
        (
            {"defaults": {"max_size": 5}},
            ValueError,
            "defaults.max_size: unknown",
        ),
    ],
)
def test_error_begins_with_the_path_to_the_bad_value(table, kind, message):
    with pytest.raises(kind) as caught:
        Settings(table)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "settings",
    [
        {"trip": {"failure_rate": 50}},
        {"trip": [5, {"slow_call_rate": 0.5}]},
        {"probes": 2.5},
        {"recovery": {"wait": 1, "backoff": 2}},
        {"probe_lease": True},
    ],
)
def test_errors_are_those_of_the_policy(settings):
    with pytest.raises((TypeError, ValueError)) as ours:
        Settings({"breakers": {"payments": settings}})
    with pytest.raises((TypeError, ValueError)) as original:
        Policy.from_mapping(settings)

    assert type(ours.value) is type(original.value)
    assert str(ours.value) == f"breakers.payments.{original.value}"


# -- from the environment --------------------------------------------------------------


def test_environment_alone_is_enough():
    settings = Settings.from_environment(
        {
            "RECLOSER_PAYMENTS__TRIP": "3",
            "RECLOSER_PAYMENTS__RECOVERY__BACKOFF": "5",
            "RECLOSER_PAYMENTS__RECOVERY__MAXIMUM": "100",
            "RECLOSER_PAYMENTS__INITIAL_STATE": " metrics_only ",
            "RECLOSER_HOSTS__MAX_SIZE": "50",
            "RECLOSER_DEFAULTS__PROBES": "2",
            "RECLOSER_DISABLED": "",
            "RECLOSERX__TRIP": "no setting",
            "PATH": "no setting",
        }
    )

    payments, hosts = settings.breaker("payments"), settings.group("hosts")

    assert payments.policy == Policy(trip=3, recovery=Backoff(5, maximum=100), probes=2)
    assert payments.state is State.METRICS_ONLY
    assert hosts.policy == Policy(probes=2)
    assert repr(hosts).endswith("at most 50>")


def test_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("RECLOSER_PAYMENTS__PROBES", "6")

    assert Settings.from_environment().policy("payments").probes == 6
    assert Settings().policy("payments").probes == 1


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("payments", "PAYMENTS"),
        ("payments-eu", "PAYMENTS_EU"),
        ("payments.eu/1", "PAYMENTS_EU_1"),
        ("a--b", "A_B"),
        ("[api]", "API"),
        ("größe", "GR_SSE"),
    ],
)
def test_name_is_found_by_its_capitals(name, token):
    settings = Settings.from_environment({f"RECLOSER_{token}__PROBES": "9"})

    assert settings.policy(name).probes == 9


def test_name_without_letters_has_no_variables():
    settings = Settings.from_environment({"RECLOSER_X__PROBES": "9"})

    assert settings.policy("---").probes == 1


def test_value_can_be_json():
    settings = Settings.from_environment(
        {
            "RECLOSER_A__TRIP": '[5, {"failure_rate": 0.5, "window": {"calls": 100}}]',
            "RECLOSER_B__TRIP": ' {"failure_rate": 0.5}',
        }
    )

    assert settings.policy("a").trip == ConsecutiveFailures(5) | FailureRate(
        0.5, window=CountWindow(100)
    )
    assert settings.policy("b").trip == FailureRate(0.5)


def test_variable_goes_inside_a_value_of_the_table():
    table = {"trip": {"failure_rate": 0.5, "window": {"calls": 100}}}

    settings = Settings(
        {"breakers": {"payments": table}},
        environ={"RECLOSER_PAYMENTS__TRIP__WINDOW__CALLS": "50"},
    )

    assert settings.policy("payments").trip == FailureRate(0.5, window=CountWindow(50))


def test_variable_replaces_a_value_of_another_shape():
    settings = Settings(
        {"breakers": {"payments": {"trip": 5, "recovery": {"backoff": 5}}}},
        environ={
            "RECLOSER_PAYMENTS__TRIP__FAILURE_RATE": "0.5",
            "RECLOSER_PAYMENTS__RECOVERY": "7",
        },
    )

    assert settings.policy("payments") == Policy(trip=FailureRate(0.5), recovery=7)


def test_order_of_strength_is_variable_table_default_variable_default_table():
    settings = Settings(
        {
            "defaults": {"probes": 2, "recovery": 2, "probe_lease": 2, "trip": 2},
            "breakers": {"payments": {"probes": 4, "recovery": 4}},
        },
        environ={
            "RECLOSER_DEFAULTS__PROBES": "3",
            "RECLOSER_DEFAULTS__RECOVERY": "3",
            "RECLOSER_DEFAULTS__PROBE_LEASE": "3",
            "RECLOSER_PAYMENTS__PROBES": "5",
        },
    )

    assert settings.policy("payments") == Policy(
        probes=5, recovery=4, probe_lease=3, trip=2
    )


@pytest.mark.parametrize(
    ("environ", "kind", "message"),
    [
        (
            {"RECLOSER_PAYMENTS__TRIP__FAILURE_RATE": "50"},
            ValueError,
            (
                "RECLOSER_PAYMENTS__TRIP__FAILURE_RATE: rate must be in (0, 1], "
                "got 50 (rates are fractions: did you mean 0.5?)"
            ),
        ),
        (
            {"RECLOSER_PAYMENTS__TRIP": '{"failure_rate": 50}'},
            ValueError,
            "RECLOSER_PAYMENTS__TRIP: rate must be in (0, 1], got 50",
        ),
        (
            {"RECLOSER_PAYMENTS__TRIP": '{"failure_rate": '},
            ValueError,
            "RECLOSER_PAYMENTS__TRIP: must be JSON, got '{\"failure_rate\": '",
        ),
        (
            {"RECLOSER_PAYMENTS__PROBES": "0"},
            ValueError,
            "RECLOSER_PAYMENTS__PROBES: probes must be at least 1, got 0",
        ),
        (
            {"RECLOSER_PAYMENTS__PROBS": "3"},
            ValueError,
            "RECLOSER_PAYMENTS__PROBS: unknown; known here: initial_state, probe_",
        ),
        (
            {"RECLOSER_PAYMENTS__INITIAL_STATE": "off"},
            ValueError,
            "RECLOSER_PAYMENTS__INITIAL_STATE: must be one of closed, ",
        ),
        (
            {"RECLOSER_DEFAULTS__RECOVERY": "soon"},
            ValueError,
            "RECLOSER_DEFAULTS__RECOVERY: must be a number, got 'soon'",
        ),
        (
            {"RECLOSER_STRANGER__RECOVERY": "soon"},
            ValueError,
            "RECLOSER_STRANGER__RECOVERY: must be a number, got 'soon'",
        ),
        (
            {"RECLOSER_PAYMENTS__TRIP": "5", "RECLOSER_PAYMENTS__TRIP__WITHIN": "5"},
            ValueError,
            "RECLOSER_PAYMENTS__TRIP__WITHIN: RECLOSER_PAYMENTS__TRIP is set",
        ),
        (
            {"RECLOSER_PAYMENTS__": "5"},
            ValueError,
            "RECLOSER_PAYMENTS__: must be RECLOSER_<NAME>__<SETTING>",
        ),
        (
            {"RECLOSER___TRIP": "5"},
            ValueError,
            "RECLOSER___TRIP: must be RECLOSER_<NAME>__<SETTING>",
        ),
    ],
)
def test_error_names_the_variable(environ, kind, message):
    with pytest.raises(kind) as caught:
        Settings({"breakers": {"payments": {}}}, environ=environ)

    assert str(caught.value).startswith(message)


def test_error_of_the_table_is_not_blamed_on_a_variable_beside_it():
    table = {"breakers": {"payments": {"recovery": {"backoff": 5, "factor": 0}}}}

    with pytest.raises(ValueError, match=r"^breakers\.payments\.recovery\.backoff: "):
        Settings(table, environ={"RECLOSER_PAYMENTS__RECOVERY__MAXIMUM": "9"})


def test_two_names_for_one_variable_are_refused():
    settings = Settings.from_environment({"RECLOSER_PAYMENTS_EU__PROBES": "2"})
    settings.breaker("payments-eu")

    with pytest.raises(
        ValueError,
        match=r"RECLOSER_PAYMENTS_EU__.* both 'payments-eu' and 'payments_eu",
    ):
        settings.breaker("payments_eu")
    assert get_breaker("payments_eu") is None


def test_names_that_only_look_alike_are_fine_without_variables():
    settings = Settings({"breakers": {"payments-eu": {"probes": 2}}})

    assert settings.breaker("payments-eu").policy.probes == 2
    assert settings.breaker("payments_eu").policy.probes == 1


# -- while running ---------------------------------------------------------------------


def test_new_settings_keep_state_and_evidence():
    settings = Settings({"breakers": {"payments": {"trip": 3}, "search": {"trip": 3}}})
    payments, search = settings.breaker("payments"), settings.breaker("search")
    force(payments, State.OPEN)
    search.acquire().failure()

    changed = settings.update(
        Settings({"breakers": {"payments": {"trip": 2}, "search": {"trip": 2}}})
    )

    assert changed == ["payments", "search"]
    assert payments.state is State.OPEN
    assert search.snapshot().streak == 1
    search.acquire().failure()
    assert search.state is State.OPEN


def test_new_settings_reach_groups_and_what_is_made_later():
    settings = Settings({"groups": {"hosts": {"trip": 3}}})
    held = settings.group("hosts")["a"]

    changed = settings.update(
        Settings({"groups": {"hosts": {"trip": 2}}, "breakers": {"late": {"trip": 9}}})
    )

    assert changed == ["hosts"]
    assert held.policy == settings.group("hosts")["b"].policy == Policy(trip=2)
    assert settings.breaker("late").policy == Policy(trip=9)


def test_settings_that_say_the_same_change_nothing():
    settings = Settings(TABLE)
    before = settings.breaker("payments").policy

    assert settings.update(Settings(TABLE)) == []
    assert settings.breaker("payments").policy is before


def test_settings_win_over_what_code_reconfigured():
    settings = Settings(TABLE)
    payments = settings.breaker("payments")
    payments.reconfigure(probes=9)

    assert settings.update(Settings(TABLE)) == ["payments"]
    assert payments.policy.probes == 2


def test_name_that_is_no_longer_mentioned_falls_back_to_the_defaults():
    settings = Settings(TABLE)
    payments = settings.breaker("payments")

    settings.update(Settings())

    assert payments.policy == Policy()


def test_initial_state_is_for_the_making_only():
    settings = Settings()
    payments = settings.breaker("payments")

    settings.update(Settings({"breakers": {"payments": {"initial_state": "open"}}}))

    assert payments.state is State.CLOSED


def test_size_that_changes_is_refused_and_nothing_is_changed():
    settings = Settings(TABLE)
    payments, hosts = settings.breaker("payments"), settings.group("hosts")
    before = payments.policy, hosts.policy

    with pytest.raises(
        ValueError, match=r"groups\.hosts\.max_size: cannot change .* \(7\), got 8"
    ):
        settings.update(Settings({"groups": {"hosts": {"max_size": 8, "trip": 1}}}))

    assert (payments.policy, hosts.policy) == before
    assert settings.policy("payments").probes == 2


def test_size_that_is_no_longer_mentioned_stays_what_it_was():
    settings = Settings(TABLE)
    hosts = settings.group("hosts")

    settings.update(Settings())

    assert hosts.policy == Policy()
    with pytest.raises(ValueError, match=r"max_size: cannot change .* \(7\), got 8"):
        settings.update(Settings({"groups": {"hosts": {"max_size": 8}}}))


def test_file_can_be_read_again(tmp_path):
    path = tmp_path / "app.toml"
    path.write_text("[recloser.breakers.payments]\ntrip = 3", "utf-8")
    settings = Settings.from_toml(path)
    payments = settings.breaker("payments")

    path.write_text("[recloser.breakers.payments]\ntrip = 4", "utf-8")
    settings.update(Settings.from_toml(path))

    assert payments.policy == Policy(trip=4)


def test_breaker_lives_as_long_as_its_settings():
    settings = Settings()
    settings.breaker("payments")

    found = get_breaker("payments")

    assert isinstance(found, CircuitBreaker)


# -- the return of traffic -----------------------------------------------------------


def test_ramp_comes_from_the_table_and_from_the_environment():
    settings = Settings(
        {
            "defaults": {"ramp": True},
            "breakers": {"payments": {"ramp": {"steps": [0.1, 1], "round": 2}}},
        },
        environ={"RECLOSER_PAYMENTS__RAMP__PATIENCE": "7", "RECLOSER_QUEUE__RAMP": "0"},
    )

    assert settings.policy("payments").ramp == Ramp((0.1, 1), round=2, patience=7)
    assert settings.policy("search").ramp == Ramp()
    assert settings.policy("queue").ramp is None


def test_ramp_belongs_in_the_settings():
    with pytest.raises(TypeError, match=r"settings: breakers\.payments\.ramp"):
        Settings().breaker("payments", ramp=True)


# -- what is no setting --------------------------------------------------------------


def test_environment_that_is_no_mapping_is_refused():
    with pytest.raises(
        TypeError, match="environ must be a mapping of variables, got 'PATH'"
    ):
        Settings(environ="PATH")


@pytest.mark.parametrize("name", [5, None, b"payments"])
def test_name_that_is_no_string_is_refused(name):
    settings = Settings()

    with pytest.raises(TypeError, match="name must be a string, got"):
        settings.breaker(name)

    assert settings.breakers == []


def test_update_takes_settings_and_no_table():
    settings = Settings({"breakers": {"payments": {"trip": 3}}})

    with pytest.raises(TypeError, match=r"new must be Settings, got \{\}"):
        settings.update({})

    assert settings.policy("payments").trip == ConsecutiveFailures(3)
