import json
import math

import pytest
from probe_servers import answer, careful_model, inference, metadata

from roadworthy.base.errors import InputError, ParameterError, TargetAnswer, TargetUnreachable
from roadworthy.probes.http import Answer
from roadworthy.probes.open_inference import OpenInference, Tensor, infer_body, read_inference

ROWS = [{"age": 50.0, "weight": 71.5, "sex": "f"}, {"age": 30.0, "weight": 80.0, "sex": "m"}]
NUMBERS = [{"age": 50.0, "weight": 71.5, "sex": 1.0}, {"age": 30.0, "weight": 80.0, "sex": 0.0}]


def model(server, **more):
    return OpenInference(server.url + "/v2/models/triage", **more)


def fixed(body, status=200):
    """A server with good metadata that gives one answer to every inference."""
    return lambda asked: answer(200, metadata()) if asked.method == "GET" else answer(status, body)


def test_health_of_a_good_server(serve):
    """Server live, server ready, model ready."""
    target = model(serve(careful_model))
    assert target.live()
    assert target.ready()
    assert target.model_ready()


def test_health_of_a_bad_server(serve):
    """Any other status is no; no answer at all is an error."""
    target = model(serve(lambda _: answer(503)))
    assert not target.live()
    assert not target.ready()
    assert not target.model_ready()


def test_health_of_no_server(closed_port):
    """RW-401."""
    with pytest.raises(TargetUnreachable):
        OpenInference(f"http://127.0.0.1:{closed_port}/v2/models/triage").live()


def test_paths_follow_the_protocol(serve):
    """Under a prefix and with a version; infer is below the model."""
    server = serve(lambda _: answer(200, inference("score", "FP64", [0], [])))
    target = OpenInference(server.url + "/gate/v2/models/triage/versions/3/")
    target.live()
    target.model_ready()
    target.infer([], request_id="r1")
    assert [asked.path for asked in server.asked] == [
        "/gate/v2/health/live",
        "/gate/v2/models/triage/versions/3/ready",
        "/gate/v2/models/triage/versions/3/infer",
    ]
    assert json.loads(server.asked[2].body) == {"id": "r1", "inputs": []}


def test_metadata_is_read(serve):
    """Names, datatypes and shapes of what the model takes and gives."""
    read = model(serve(careful_model)).metadata()
    assert (read.name, read.versions, read.platform) == ("triage", ("1",), "toy")
    assert [(each.name, each.datatype, each.shape) for each in read.inputs] == [
        ("age", "FP64", (-1,)),
        ("weight", "FP64", (-1, 1)),
        ("sex", "BYTES", (-1,)),
    ]
    assert read.outputs[0].name == "score"


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"inputs": None},
        {"inputs": ["age"]},
        {"inputs": [{"name": "age", "datatype": "DOUBLE", "shape": [-1]}]},
        {"inputs": [{"name": "age", "datatype": "FP64", "shape": [-2]}]},
        {"outputs": [{"name": "score", "datatype": "FP64", "shape": "[1]"}]},
        {"versions": "1"},
    ],
)
def test_metadata_that_breaks_the_protocol_is_refused(serve, change):
    """RW-402."""
    with pytest.raises(TargetAnswer):
        model(serve(lambda _: answer(200, metadata() | change))).metadata()


def test_scores_of_one_input_for_each_column(serve):
    """One score a row, with the shapes that the metadata asks for."""
    server = serve(careful_model)
    scores = model(server).predict(ROWS)
    assert scores == pytest.approx([1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-0.3))])
    sent = json.loads(server.asked[-1].body)["inputs"]
    assert sent == [
        {"name": "age", "datatype": "FP64", "shape": [2], "data": [50.0, 30.0]},
        {"name": "weight", "datatype": "FP64", "shape": [2, 1], "data": [71.5, 80.0]},
        {"name": "sex", "datatype": "BYTES", "shape": [2], "data": ["f", "m"]},
    ]


def test_scores_of_one_wide_input(serve):
    """Rows in the order of the columns named."""
    server = serve(lambda asked: careful_model(asked, wide=True))
    scores = model(server).predict(NUMBERS, columns=("age", "weight", "sex"))
    assert scores == pytest.approx([1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-0.3))])
    sent = json.loads(server.asked[-1].body)["inputs"][0]
    assert (sent["shape"], sent["data"]) == ([2, 3], [50.0, 71.5, 1.0, 30.0, 80.0, 0.0])


@pytest.mark.parametrize("missing", [{"age": None}, {"age": math.nan}, "absent"])
def test_a_missing_value_travels_as_null_and_a_declined_score_is_nan(serve, missing):
    """None, NaN and an absent key are the same null; a null score is NaN."""
    row = {key: value for key, value in ROWS[0].items() if key != "age"} if missing == "absent" else ROWS[0] | missing
    server = serve(careful_model)
    assert all(math.isnan(score) for score in model(server).predict([row]))
    assert json.loads(server.asked[-1].body)["inputs"][0]["data"] == [None]


def test_rows_that_do_not_fit_are_refused(serve):
    """RW-114 for an unknown column, infinity, and a wide input whose columns are not named or too many."""
    with pytest.raises(ParameterError, match="height"):
        model(serve(careful_model)).predict([{"height": 1.0}])
    with pytest.raises(ParameterError, match="Infinity"):
        model(serve(careful_model)).predict([ROWS[0] | {"age": math.inf}])
    wide = model(serve(lambda asked: careful_model(asked, wide=True)))
    for columns in (None, ("age",)):
        with pytest.raises(ParameterError, match="shape"):
            wide.predict(NUMBERS, columns=columns)


def test_of_two_columns_the_last_is_the_score(serve):
    """Class probabilities: that of the positive class; nested data is flattened row by row."""
    target = model(serve(fixed(inference("p", "FP32", [2, 2], [[0.9, 0.1], [0.2, 0.8]]))))
    assert target.predict(ROWS) == (0.1, 0.8)


def test_an_output_is_chosen_by_name_or_by_type(serve):
    """The label comes first here, so the first floating-point output is taken; the whole numbers when named."""
    answers = inference("label", "BYTES", [2], ["a", "b"])
    answers["outputs"] += [
        {"name": "score", "datatype": "FP64", "shape": [2, 1], "data": [0.25, 1]},
        {"name": "class", "datatype": "INT64", "shape": [2], "data": [0, 1]},
    ]
    target = model(serve(fixed(answers)))
    assert target.predict(ROWS) == (0.25, 1.0)
    assert target.predict(ROWS, output="class") == (0.0, 1.0)
    with pytest.raises(TargetAnswer, match="holds text"):
        target.predict(ROWS, output="label")
    with pytest.raises(TargetAnswer, match="No output other"):
        target.predict(ROWS, output="other")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (inference("score", "FP64", [1], [0.5]), "for 2 rows"),
        (inference("score", "FP64", [2, 3], [0.5] * 6), "for 2 rows"),
        (inference("score", "FP64", [2, 1, 1], [0.5, 0.5]), "for 2 rows"),
        (inference("score", "FP64", [], [0.5]), "for 2 rows"),
        (inference("score", "FP64", [2, 0], []), "for 2 rows"),
        (inference("score", "FP64", [2], [0.5, 10**400]), "no score"),
        (inference("label", "BYTES", [2], ["a", "b"]), "No output"),
    ],
)
def test_scores_of_another_shape_are_refused(serve, body, words):
    """One score for each row, or RW-402."""
    with pytest.raises(TargetAnswer, match=words):
        model(serve(fixed(body))).predict(ROWS)


def test_another_status_is_refused(serve):
    """The target's own words are shown."""
    with pytest.raises(TargetAnswer, match=r"Status 500 .*boom"):
        model(serve(fixed({"error": "boom"}, status=500))).predict(ROWS)


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("FP32", 1, "1"),
        ("FP64", 0.5, True),
        ("BOOL", True, 1),
        ("BYTES", "x", 1),
        ("INT8", -128, 128),
        ("INT64", 2**63 - 1, 2**63),
        ("UINT8", 255, -1),
        ("UINT16", 0, 0.5),
        ("INT32", 0, False),
    ],
)
def test_values_must_be_of_their_datatype(datatype, good, bad):
    """In range and of the type; null stands for a value that the model declined to give."""
    for value in (good, None):
        read = read_body(inference("x", datatype, [1], [value]))
        assert read.outputs[0].data == (value,)
    with pytest.raises(TargetAnswer, match=f"not {datatype}"):
        read_body(inference("x", datatype, [1], [bad]))


def read_body(body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_inference(Answer(status=200, headers={}, content=content, elapsed_s=0.0), "here")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        [],
        {"outputs": []},
        {"model_name": "m", "outputs": []},
        {"model_name": "m"},
        {"model_name": "m", "outputs": [1]},
        {"outputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1]}]},
        inference("x", "FP64", [2], [1.0]),
        inference("x", "FP64", [-1], [1.0]),
        inference("x", "FP64", [True], [1.0]),
        inference("x", "FP64", [1], 1.0),
        inference("x", "FLOAT", [1], [1.0]),
        inference("", "FP64", [1], [1.0]),
        b'{"model_name":"m","outputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[1e999]}]}',
        inference("x", "FP64", [1], [1.0], parameters=[1]),
    ],
)
def test_answers_that_break_the_protocol_are_refused(body):
    """RW-402, never a KeyError."""
    with pytest.raises(TargetAnswer):
        read_body(body)


def test_deeply_nested_data_is_no_trap():
    """The target chooses the depth; reading it does not recurse."""
    nested = [0.5]
    for _ in range(400):
        nested = [nested]
    assert read_body(inference("x", "FP64", [1], nested)).outputs[0].data == (0.5,)


def test_parameters_of_tensors_travel_both_ways():
    """Sent when there are any, read when there are any."""
    tensor = Tensor(name="x", datatype="FP64", shape=(1,), data=(1.0,), parameters={"content_type": "np"})
    assert infer_body([tensor])["inputs"][0]["parameters"] == {"content_type": "np"}
    answered = inference("x", "FP64", [1], [1.0], parameters={"flagged": True})
    assert read_body(answered).parameters == {"flagged": True}


@pytest.mark.parametrize("url", ["http://127.0.0.1/triage", "http://127.0.0.1/v2/models/", "ftp://x/v2/models/m"])
def test_a_url_that_names_no_model_is_refused(url):
    """RW-100."""
    with pytest.raises(InputError):
        OpenInference(url)


def test_headers_go_with_every_question(serve):
    """Health, metadata and inference."""
    server = serve(careful_model)
    target = model(server, headers={"authorization": "Bearer rw_x_1"})
    assert target.ready()
    target.predict(ROWS)
    assert {each.headers["authorization"] for each in server.asked} == {"Bearer rw_x_1"}


def test_the_answer_of_a_fallback_is_no_score_of_the_model(serve):
    """RW-402, by the header with which a gateway says so."""
    said = inference("score", "FP64", [2], [0.5, 0.5])
    told = "x-roadworthy-rung: rules\r\n"
    target = model(
        serve(lambda asked: answer(200, metadata()) if asked.method == "GET" else answer(200, said, extra=told))
    )
    with pytest.raises(TargetAnswer, match="fallback 'rules'"):
        target.predict(NUMBERS)
