"""The page, as Gradio draws it. What it shows is found by functions that do not know Gradio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import umzoo
from umzoo.backbones.base import Backbone
from umzoo.data.reading.modality import KNOWN
from umzoo.downstream.app.answer import Result, result_of
from umzoo.downstream.app.shown import EDGE, Shown
from umzoo.downstream.app.upload import SUFFIXES, Limits, read_upload
from umzoo.downstream.app.words import introduction, known_modalities, upload_label, usual_modality
from umzoo.downstream.pictures import CLASS_COLORS
from umzoo.errors import ConfigError, UmzooError, in_one_line
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.hub.pulling.references import parse
from umzoo.scans.load import input_of

if TYPE_CHECKING:
    from gradio import Blocks

KEPT = 600
"""Seconds for which pictures, masks and vectors are kept."""
WAITING = 10
"""Visitors that may wait: one scan is answered at a time."""
SESSIONS = 16
"""Visitors whose answers are held in memory, the latest."""
OPACITY = 0.5
"""Of masks over the scan."""


@dataclass(frozen=True)
class _Parts:
    """What visitors fill in and see; parts that the answer of the weights has no use for are None."""

    files: Any
    modality: Any
    button: Any
    status: Any
    probabilities: Any
    numbers: Any
    download: Any
    kept: Any
    row: Any
    scan: Any
    colors: Any

    @property
    def used(self) -> list[Any]:
        """All that an answer changes."""
        parts = (self.files, self.status, self.probabilities, self.numbers, self.download)
        return [it for it in (*parts, self.kept, self.row, self.scan, self.colors) if it is not None]


def make_app(ref: str, limits: Limits | None = None) -> Blocks:
    """Return a page to try the weights *ref* on; :func:`serve` runs it.

    Args:
        ref: as for :func:`umzoo.from_pretrained`; private weights need ``HF_TOKEN``.
        limits: of what may be uploaded.

    Raises:
        ConfigError: if Gradio is not installed.
        WeightsError: if the weights cannot be loaded.
    """
    gradio, limits = _gradio(), limits or Limits()
    model = umzoo.from_pretrained(ref, device=_device())
    answer, spec, info = _answer_of(model), input_of(model), model.weights_info
    names = answer.classes if answer else ()
    with gradio.Blocks(title=info.name, analytics_enabled=False, delete_cache=(60, KEPT)) as app:
        gradio.Markdown(introduction(info, parse(ref).repository, limits, KEPT // 60))
        asked = upload_label(spec.in_channels, answer.channels if answer else ())
        parts = _draw(gradio, answer, asked, usual_modality(info))
        of_channels = known_modalities(answer)

        def run(files: list[str] | None, modality: str | None) -> Iterator[dict[Any, Any]]:
            with TemporaryDirectory() as folder:
                try:
                    scan = read_upload(files or (), spec, of_channels or modality, limits)
                    result = result_of(model, scan, Path(folder))
                    yield _show(gradio, parts, result, names)
                except UmzooError as error:
                    yield _refused(gradio, parts, in_one_line(error, 300))

        def look(shown: Shown | None, row: int) -> dict[Any, Any]:
            return _slice(parts, shown, int(row), names) if shown is not None else {}

        parts.button.click(run, [parts.files, parts.modality], parts.used, api_visibility="private")
        seen = [part for part in (parts.scan, parts.colors) if part is not None]
        parts.row.input(
            look, [parts.kept, parts.row], seen, show_progress="hidden", trigger_mode="always_last",
            concurrency_limit=None, api_visibility="private",
        )  # fmt: skip
    return app


def serve(app: Blocks, limits: Limits | None = None, **options: Any) -> None:
    """Run *app* until it is stopped, and keep nothing of what visitors do.

    Args:
        app: of :func:`make_app`.
        limits: those that it was made with.
        options: of Gradio's ``launch``, such as ``server_port``.
    """
    size = (limits or Limits()).megabytes << 20
    app.queue(max_size=WAITING, default_concurrency_limit=1)
    kept: dict[str, Any] = {"run_history": False, "state_session_capacity": SESSIONS}
    app.launch(max_file_size=size, footer_links=[], **kept, **options)


def _draw(gradio: Any, answer: Answer | None, upload: str, usual: str | None) -> _Parts:
    """Lay out what the *answer* of the weights has use for; *upload* is what is asked for, of the *usual* modality."""
    task = answer.task if answer else ""
    colors = {name: CLASS_COLORS[number % len(CLASS_COLORS)] for number, name in enumerate(_drawn(answer))}
    probabilities = numbers = download = features = None
    with gradio.Row():
        with gradio.Column(scale=1, min_width=300):
            files = gradio.File(label=upload, file_count="multiple", file_types=list(SUFFIXES), height=150)
            modality = gradio.Radio(list(KNOWN), value=usual, label="Modality", visible=not known_modalities(answer))
            button = gradio.Button("Run", variant="primary")
            status = gradio.Textbox(label="Status", interactive=False, lines=2)
            if task in ("classification", "multilabel"):
                probabilities = gradio.Label(label="Answer", show_heading=False)
            elif task in ("regression", "survival"):
                numbers = gradio.Dataframe(headers=["", "value"], label="Answer", interactive=False)
            else:
                download = gradio.File(label="Download", interactive=False)
        with gradio.Column(scale=2, min_width=320):
            row = gradio.Slider(0, 1, step=1, label="Slice, from the feet up", visible=False)
            with gradio.Row():
                look: dict[str, Any] = {"height": EDGE if task else None, "min_width": 280}
                scan = gradio.AnnotatedImage(label="Scan", color_map=colors, show_legend=bool(colors), **look)
                if not task:
                    features = gradio.Image(label="Features", interactive=False, buttons=[], **look)
    kept = gradio.State(None, time_to_live=KEPT)
    return _Parts(files, modality, button, status, probabilities, numbers, download, kept, row, scan, features)


def _drawn(answer: Answer | None) -> tuple[str, ...]:
    """Classes that are drawn over the scan."""
    return answer.classes[1:] if answer is not None and answer.task == "segmentation" else ()


def _show(gradio: Any, parts: _Parts, result: Result, names: tuple[str, ...]) -> dict[Any, Any]:
    """Show *result*: return the changed parts of the page."""
    shown = result.shown
    row = gradio.Slider(0, shown.slices - 1, value=shown.first, step=1, visible=shown.slices > 1)
    changed = {parts.files: None, parts.status: result.summary or "Done.", parts.kept: shown, parts.row: row}
    if parts.probabilities is not None:
        changed[parts.probabilities] = result.values
    if parts.numbers is not None:
        changed[parts.numbers] = [[name, f"{value:.4g}"] for name, value in result.values.items()]
    if parts.download is not None:
        changed[parts.download] = str(result.file)
    return changed | _slice(parts, shown, shown.first, names)


def _slice(parts: _Parts, shown: Shown, row: int, names: tuple[str, ...]) -> dict[Any, Any]:
    """Slice *row* of what is *shown*."""
    masks = [(OPACITY * mask, names[number]) for number, mask in shown.labeled(row).items()]
    seen = {parts.scan: (shown.slice(row), masks)}
    return seen if parts.colors is None else {**seen, parts.colors: shown.colored(row)}


def _refused(gradio: Any, parts: _Parts, why: str) -> dict[Any, Any]:
    """Show why there is no answer: return the changed parts of the page."""
    return dict.fromkeys(parts.used) | {parts.status: why, parts.row: gradio.Slider(visible=False)}


def _answer_of(model: Backbone | Model) -> Answer | None:
    return model.answer if isinstance(model, Model) else None


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _gradio() -> Any:
    try:
        import gradio
    except ImportError:
        raise ConfigError("the page needs Gradio: pip install gradio") from None
    return gradio
