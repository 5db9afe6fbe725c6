"""The page itself, where Gradio is installed."""

import pytest

from umzoo.downstream.app import Limits, make_app
from umzoo.errors import ConfigError

try:
    import gradio
except ImportError:
    gradio = None


@pytest.mark.skipif(gradio is not None, reason="Gradio is installed")
def test_who_lacks_gradio_is_told(plain):
    with pytest.raises(ConfigError, match="pip install gradio"):
        make_app(str(plain))


@pytest.mark.skipif(gradio is None, reason="Gradio is not installed")
@pytest.mark.parametrize("task", ["", "segmentation", "classification", "regression"])
def test_a_visitor_gets_an_answer_or_one_line(task, plain, tuned, upload):
    app = make_app(str(tuned(task) if task else plain), Limits())
    run = next(it for it in app.fns.values() if it.fn.__name__ == "run").fn
    told = {it.label: value for it, value in next(run([str(upload)], "ct")).items() if getattr(it, "label", None)}
    assert told["Status"] and not upload.exists()
    assert told.get("Download", "").endswith({"": "vector.csv", "segmentation": "mask.nii.gz"}.get(task, ""))
    told = {it.label: value for it, value in next(run([], "ct")).items() if getattr(it, "label", None)}
    assert "choose one file first" in told["Status"]
