import json

import pytest
from probe_servers import Reset, answer, careful_model, careless_model, inference, metadata, slowly

from roadworthy.base.errors import EmptyData, ParameterError, TargetAnswer, TargetUnreachable
from roadworthy.probes.messy import Verdict, is_flagged, run_messy
from roadworthy.probes.messy_cases import Acceptable, good_case, messy_cases
from roadworthy.probes.open_inference import Inference, OpenInference, Tensor

ROWS = [{"age": 50.0, "weight": 71.5, "sex": "f"}, {"age": 30.0, "weight": 80.0, "sex": "m"}]
NUMBERS = [{"age": 50.0, "weight": 71.5, "sex": 1.0}, {"age": 30.0, "weight": 80.0, "sex": 0.0}]
COLUMNS = ("age", "weight", "sex")
IDS = {
    "null", "wrong_type", "boolean", "text_in_number", "unit_in_number", "extreme_high", "extreme_low", "negative",
    "all_null", "missing_field", "conflicting_fields", "extra_column", "empty_batch", "wrong_shape", "wrong_datatype",
    "no_inputs", "malformed_json", "no_body", "not_an_object", "deep_nesting", "bare_nan", "latin_1", "utf_16",
    "byte_order_mark", "huge_batch",
}  # fmt: skip


def run(server, *, wide=False, timeout_s=5.0, only=None, seed=1):
    model = OpenInference(server.url + "/v2/models/triage", timeout_s=timeout_s)
    rows, columns = (NUMBERS, COLUMNS) if wide else (ROWS, None)
    described = model.metadata()
    cases = messy_cases(described, rows, seed=seed, columns=columns, huge_rows=50)
    chosen = [case for case in cases if only is None or case.id in only]
    return run_messy(model, good_case(described, rows, columns=columns), chosen)


def verdicts(report):
    return {outcome.case: outcome.verdict for outcome in report.outcomes}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_careful_model_handles_everything(serve, wide, seed):
    """In both layouts and whichever column is spoilt: rejected or flagged, and alive afterwards."""
    report = run(serve(lambda asked: careful_model(asked, wide=wide)), wide=wide, seed=seed)
    assert set(verdicts(report)) == IDS
    assert [outcome for outcome in report.outcomes if outcome.verdict is not Verdict.HANDLED] == []
    assert report.handled_share == 1.0
    assert report.alive_after


def test_a_careless_model_is_silent_where_the_input_is_impossible(serve):
    """It says 0.5 to everything: caught wherever an answer cannot be right, and by the number of rows."""
    report = run(serve(careless_model))
    answerable = {"null", "extra_column", "utf_16", "byte_order_mark"}
    assert {case for case, verdict in verdicts(report).items() if verdict is Verdict.HANDLED} == answerable
    assert report.count(Verdict.SILENT) == len(IDS) - len(answerable)
    assert report.handled_share == len(answerable) / len(IDS)


def spoil_after_good(reply):
    """Good to the good row, ``reply`` to anything else."""
    good = []

    def respond(asked):
        if asked.method == "GET":
            return careful_model(asked)
        good.append(asked.body) if not good else None
        return careful_model(asked) if asked.body == good[0] else reply()

    return respond


@pytest.mark.parametrize(
    ("reply", "verdict", "status"),
    [
        (lambda: answer(500, {"error": "boom"}), Verdict.CRASHED, 500),
        (lambda: answer(302, {}), Verdict.CRASHED, 302),
        (lambda: Reset, Verdict.CRASHED, None),
        (lambda: b"rubbish\r\n\r\n", Verdict.CRASHED, None),
        (lambda: answer(400, b"<h1>Bad Request</h1>", "text/html"), Verdict.CRASHED, 400),
        (lambda: answer(400, b'"bad"'), Verdict.CRASHED, 400),
        (lambda: answer(200, b"<h1>Welcome</h1>", "text/html"), Verdict.CRASHED, 200),
        (lambda: answer(200, {"score": 0.5}), Verdict.SILENT, 200),
        (lambda: answer(200, inference("score", "FP64", [1], [None])), Verdict.HANDLED, 200),
        (lambda: answer(200, inference("score", "FP64", [1], [0.5])), Verdict.SILENT, 200),
        (lambda: answer(200, inference("score", "FP64", [], [0.5])), Verdict.SILENT, 200),
        (lambda: answer(422, {"error": "no"}), Verdict.HANDLED, 422),
        (lambda: slowly([answer(422, {"error": "no"})], 1.2), Verdict.HUNG, None),
    ],
)
def test_every_kind_of_answer_has_its_verdict(serve, reply, verdict, status):
    """An impossible input, and what the target made of it."""
    report = run(serve(spoil_after_good(reply)), only={"text_in_number"}, timeout_s=0.6)
    outcome = report.outcomes[0]
    assert (outcome.verdict, outcome.status) == (verdict, status)
    assert outcome.detail
    assert report.alive_after


def test_a_flag_is_not_enough_for_what_cannot_be_read(serve):
    """A broken body must be rejected: an undecided answer to it is silent."""
    report = run(serve(spoil_after_good(lambda: answer(200, inference("score", "FP64", [1], [None])))))
    silent = {case for case, verdict in verdicts(report).items() if verdict is Verdict.SILENT}
    assert silent == {"malformed_json", "no_body", "not_an_object", "deep_nesting"}


def test_a_target_that_dies_is_not_alive_after(serve):
    """From the first messy input on it answers 503."""
    dead = []

    def respond(asked):
        if asked.method != "GET" and b"unknown" in asked.body:
            dead.append(1)
        return answer(503) if dead else careful_model(asked)

    report = run(serve(respond), only={"text_in_number", "boolean", "extreme_high"})
    assert not report.alive_after


def test_a_target_that_rejects_everything_is_refused(serve):
    """It would handle every messy case; the good row shows it."""
    server = serve(lambda asked: careful_model(asked) if asked.method == "GET" else answer(422, {"error": "no"}))
    with pytest.raises(TargetAnswer, match="good row"):
        run(server)


def test_a_target_that_is_down_is_an_error_not_a_verdict(closed_port, serve):
    """RW-401 before any case."""
    described = OpenInference(serve(careful_model).url + "/v2/models/triage").metadata()
    down = OpenInference(f"http://127.0.0.1:{closed_port}/v2/models/triage")
    with pytest.raises(TargetUnreachable):
        run_messy(down, good_case(described, ROWS), [])


def read_metadata(serve, *, wide=False):
    server = serve(lambda _: answer(200, metadata(wide=wide)))
    return OpenInference(server.url + "/v2/models/triage").metadata()


def test_the_cases_are_deterministic_and_each_is_spoilt(serve):
    """Same seed same bytes; no case is the good request; ids are unique."""
    described = read_metadata(serve)
    cases = messy_cases(described, ROWS, seed=4)
    assert cases == messy_cases(described, ROWS, seed=4)
    assert any(cases != messy_cases(described, ROWS, seed=seed) for seed in range(20))
    good = good_case(described, ROWS).content
    assert all(case.content != good for case in cases)
    assert len({case.id for case in cases}) == len(cases)
    assert all(case.acceptable and case.description for case in cases)


def test_each_case_spoils_what_it_says(serve):
    """A few of them, looked at closely."""
    by_id = {case.id: case for case in messy_cases(read_metadata(serve), ROWS, seed=1)}
    assert len(json.loads(by_id["missing_field"].content)["inputs"]) == 2
    names = [each["name"] for each in json.loads(by_id["conflicting_fields"].content)["inputs"]]
    assert len(names) == 4 and len(set(names)) == 3
    assert all(
        each["data"] == [] and each["shape"][0] == 0 for each in json.loads(by_id["empty_batch"].content)["inputs"]
    )
    assert by_id["empty_batch"].rows == 0
    assert b"1e+308" in by_id["extreme_high"].content
    assert b"NaN" in by_id["bare_nan"].content
    assert by_id["huge_batch"].rows == 5_000
    with pytest.raises(UnicodeDecodeError):
        by_id["latin_1"].content.decode("utf-8")
    assert Acceptable.ANSWER not in by_id["all_null"].acceptable


def test_a_wide_input_loses_a_column(serve):
    """In the wide layout a missing field is a shape of one column less."""
    cases = messy_cases(read_metadata(serve, wide=True), NUMBERS, seed=1, columns=COLUMNS)
    wide = json.loads(next(case.content for case in cases if case.id == "missing_field"))["inputs"][0]
    assert wide["shape"] == [1, 2] and len(wide["data"]) == 2


def test_a_column_that_may_be_negative_gets_no_negative_case(serve):
    """Only what no example contradicts counts as impossible; absent and NaN examples say nothing."""
    rows = [row | {"age": -5.0, "weight": -1.0} for row in ROWS] + [{"age": None, "weight": float("nan"), "sex": "f"}]
    assert "negative" not in {case.id for case in messy_cases(read_metadata(serve), rows, seed=1)}


def test_nothing_to_spoil_is_refused(serve):
    """RW-104 without rows, RW-114 for a model of text alone."""
    described = read_metadata(serve)
    with pytest.raises(EmptyData):
        messy_cases(described, [], seed=1)
    with pytest.raises(EmptyData):
        good_case(described, [])
    text = metadata() | {"inputs": [{"name": "sex", "datatype": "BYTES", "shape": [-1]}]}
    server = serve(lambda _: answer(200, text))
    with pytest.raises(ParameterError, match="takes no number"):
        messy_cases(OpenInference(server.url + "/v2/models/triage").metadata(), [{"sex": "f"}], seed=1)


def answered(*outputs, **parameters):
    return Inference(model_name="m", outputs=outputs, parameters=parameters, elapsed_s=0.0)


def tensor(name, datatype, *data, **parameters):
    return Tensor(name=name, datatype=datatype, shape=(len(data),), data=data, parameters=parameters)


@pytest.mark.parametrize(
    ("inference", "flagged"),
    [
        (answered(tensor("score", "FP64", 0.5)), False),
        (answered(tensor("score", "FP64", 0.5, None)), True),
        (answered(tensor("score", "FP64", 0.5), undecided=True), True),
        (answered(tensor("score", "FP64", 0.5), undecided=False), False),
        (answered(tensor("score", "FP64", 0.5, flagged=True)), True),
        (answered(tensor("label", "BYTES", "Undecided")), True),
        (answered(tensor("label", "BYTES", "benign")), False),
        (answered(tensor("score", "FP64", 0.5), tensor("flagged", "BOOL", True)), True),
        (answered(tensor("score", "FP64", 0.5), tensor("flagged", "BOOL", False)), False),
        (answered(tensor("positive", "BOOL", True)), False),
    ],
)
def test_the_ways_to_say_undecided(inference, flagged):
    """A null, a word, a parameter, or a true output of that name; nothing else."""
    assert is_flagged(inference) is flagged


def test_a_report_without_cases_handled_nothing(serve):
    """Zero, not a division by zero."""
    assert run(serve(careful_model), only=set()).handled_share == 0.0
