"""The stand-in behaves as each of its manners says, so that self-tests of checks mean something."""

import json

import pytest

from roadworthy.base.errors import TargetAnswer
from roadworthy.probes.open_inference import OpenInference
from roadworthy.probes.stand_in import COLUMNS, Manner, good_body, stand_in

ROW = dict.fromkeys(COLUMNS, 0.5)


def test_a_sound_one_answers_alike_and_refuses_nonsense() -> None:
    """Health, metadata, one score a row, and 400 with a reason for anything else."""
    with stand_in(Manner.SOUND) as it:
        model = OpenInference(it.model_url)
        assert model.live()
        assert model.ready()
        assert model.model_ready()
        assert model.predict([ROW, ROW], columns=COLUMNS) == (0.5, 0.5)
        assert model.post(good_body()).content == model.post(good_body()).content
        for body in (
            b"{",
            b"[]",
            b'{"inputs": []}',
            good_body().replace(b"0.5", b"true"),
            good_body().replace(b"[1,", b"[7,"),
        ):
            answer = model.post(body)
            assert answer.status == 400
            assert json.loads(answer.content)["error"]


def test_a_moody_one_never_answers_alike() -> None:
    """What a check of reproducibility must find."""
    with stand_in(Manner.MOODY) as it:
        model = OpenInference(it.model_url)
        assert model.post(good_body()).content != model.post(good_body()).content


def test_a_gullible_one_is_confident_about_anything() -> None:
    """What a check of messy input must find."""
    with stand_in(Manner.GULLIBLE) as it:
        answer = OpenInference(it.model_url).post(b"{")
        assert answer.status == 200
        assert json.loads(answer.content)["outputs"][0]["data"] == [0.99]


def test_a_broken_one_serves_pages() -> None:
    """What a check of health must find."""
    with stand_in(Manner.BROKEN) as it:
        model = OpenInference(it.model_url)
        assert not model.ready()
        with pytest.raises(TargetAnswer):
            model.predict([ROW], columns=COLUMNS)


def test_it_is_as_slow_as_told() -> None:
    """What a check of latency must find."""
    with stand_in(Manner.SOUND, delay_s=0.1) as it:
        assert OpenInference(it.model_url).post(good_body()).elapsed_s >= 0.1
