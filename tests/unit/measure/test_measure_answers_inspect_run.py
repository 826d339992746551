"""A real Inspect task with its stand-in model: what Inspect writes is what we read."""

import subprocess
import sys

import pytest

from roadworthy.measure.answers.evaluate import summarise
from roadworthy.measure.answers.inspect_log import LogReading, read_inspect_log
from roadworthy.stats.outcomes import Outcome

# Run apart, so that this file can be collected where Inspect is not installed.
_RUN = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes, match

def answer(text):
    output = ModelOutput.from_content("mockllm/model", text)
    # With its use stated, nothing is counted, and so no tokenizer is fetched.
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output

questions = [("a", "2+2? " * 60, "4"), ("b", "3+3?", "6"), ("c", "4+4?", "8")]
samples = [Sample(id=i, input=q, target=t, metadata={"document": f"d-{i}"}) for i, q, t in questions]
texts = ["4", "6", "7", "4", "5", "It is 8, surely. " * 20]
model = get_model("mockllm/model", custom_outputs=[answer(text) for text in texts])
task = Task(name="sums", dataset=MemoryDataset(samples), scorer=[match(), includes()], epochs=2)
log = eval(task, model=model, log_dir=sys.argv[1], log_format=sys.argv[2], display="none", max_samples=1)[0]
assert log.status == "success", log.error
"""


@pytest.mark.extra
@pytest.mark.parametrize("form", ["json", "eval"])
def test_a_log_that_inspect_wrote(tmp_path, form):
    """Both forms of a real log: six outcomes, texts in full, and the accuracy that Inspect itself reports."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path), form], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = tmp_path.glob(f"*.{form}")
    found = read_inspect_log(path, LogReading(scorer="includes", cluster_field="document"))
    assert found.objections == ()
    assert {each.outcome for each in found.scored} == {Outcome.CORRECT, Outcome.INCORRECT}
    assert len(found.scored) == 6 and [item.id for item in found.items] == ["a", "b", "c"]
    assert found.items[0].question == "2+2? " * 60
    assert "It is 8, surely. " * 20 in {each.text for each in found.answers}
    assert found.header["packages"]["inspect_ai"]
    summary = summarise(found.scored)
    assert summary.shares.correct.estimate == pytest.approx(found.reported["accuracy"])
    assert summary.shares.correct.n == 3 and summary.repeats == 2
