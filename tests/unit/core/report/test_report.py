"""The report of runs: finished, under way, without validation, without matplotlib, damaged."""

import base64
import dataclasses
import html.parser
import importlib.util
import io
import json

import numpy as np
import pytest
from PIL import Image

from hvae_core.config import parse_config
from hvae_core.errors import BadInputError
from hvae_core.report import card_pictures, collect, curves, reporting, write_report
from hvae_core.report.card_pictures import draw_card
from hvae_core.report.curves import draw_optimisation, draw_validation, focus, series, thin
from hvae_core.report.model_images import real_images, scale_ends
from hvae_core.runs.run_folder import RunFolder

LAYERS = 3
CONFIG = {
    "summary": "<b>digits & more</b>",
    "model": {
        "resolutions": [8, 4, 1],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": [2, 0, 1],
        "readout": {"width": 4, "middle_width": 4, "blocks": 1},
    },
    "train": {"batch_size": 32, "epochs": 4},
}


def step_record(step, **figures):
    return {
        "event": "step", "step": step, "epoch": 1 + (step - 1) // 10, "images": 32 * step,
        "learning_rate": 1e-3, "beta": 1.0, "loss": 5.0 / step, "rate": 1.0 / step,
        "distortion": 4.0 / step, "gradient_norm": 0.5, "bits_per_dim": 7.2 / step,
        "kl_per_layer": [0.1, 2.0, 3.0], "skipped": int(step == 10), "images_per_second": 100.0,
        **figures,
    }  # fmt: skip


def epoch_record(step, validation=True):
    figures = {
        "elbo": -200.0 / step, "bits_per_dim": 4.5 / step, "nats": 200.0 / step, "images": 144,
        "elbo_standard_error": 1.0, "kl_per_layer": [0.1, 2.0, 3.0], "active_units": [0, 5, 90],
        "units": [2, 128, 128],
    }  # fmt: skip
    record = {**step_record(step), "event": "epoch", "epoch": step // 10}
    return {**record, "validation": figures if validation else None}


@pytest.fixture
def run(tmp_path):
    """A run of two epochs out of four, resumed once, without a checkpoint."""
    folder = RunFolder(tmp_path / "a<run>")
    folder.create(parse_config(CONFIG), np.arange(12))
    records = [step_record(5), step_record(10), epoch_record(10), step_record(20), epoch_record(20)]
    folder.metrics_path.write_text("".join(json.dumps(r) + "\n" for r in records))
    sessions = [{"started": "Monday", "step": 0, "backend": "jax 0"}, {"started": "T", "step": 10}]
    folder.sessions_path.write_text("".join(json.dumps(r) + "\n" for r in sessions))
    return folder.path


class Page(html.parser.HTMLParser):
    """The tags of a page that are not closed, what it would fetch, its text and its images."""

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.images, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("img", "meta"):
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                is_inside = value.startswith("data:image/png;base64,")
                found = self.images if is_inside else self.fetched
                found.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(path):
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.fetched == []
    assert "url(" not in text
    return page


def test_a_run_under_way_has_its_curves_and_all_that_is_known_of_it(run):
    pytest.importorskip("matplotlib")
    page = read(write_report(run, samples=False))
    assert len(page.images) == 4
    for image in page.images:
        decoded = Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2])))
        assert decoded.size[0] > 800
    files = {path.name for path in (run / "plots").iterdir()}
    assert files == {"loss.png", "validation.png", "optimisation.png", "kl_per_layer.png"}
    for words in ("a<run>", "<b>digits & more</b>", "not finished", "20 of 40", "Monday", "jax 0",
                  "batch_size: 32", "0.2250", "90 of 128"):  # fmt: skip
        assert words in page.text


def test_a_run_that_first_ended_within_an_epoch_is_not_finished_before_its_end(run):
    """As one of some updates, which then goes on for some epochs."""
    for steps, status in ((3, "not finished"), (20, "not finished"), (40, "finished")):
        places = [(1, 3), *((step // 10, step) for step in range(10, steps + 1, 10))]
        records = [{**epoch_record(step), "epoch": epoch} for epoch, step in places]
        (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        if steps > 3:
            assert (collect(run).total_steps, collect(run).status) == (40, status)


def test_a_damaged_last_line_and_a_run_without_validation_or_sessions(run, tmp_path):
    folder = RunFolder(run)
    folder.sessions_path.unlink()
    lines = [step_record(5), epoch_record(10, validation=False), step_record(15, loss=None)]
    text = "".join(json.dumps(r) + "\n" for r in lines) + '{"event": "step", "st'
    folder.metrics_path.write_text(text)
    facts = collect(run)
    assert (len(facts.steps), len(facts.validated), facts.sessions, facts.step) == (2, 0, [], 15)
    page = read(write_report(run, tmp_path / "elsewhere" / "page.html", samples=False))
    assert "15 of 40" in page.text


def test_a_run_without_a_record_or_a_checkpoint_says_so(run):
    RunFolder(run).metrics_path.unlink()
    page = read(write_report(run))
    assert "no update has been logged" in page.text
    assert "no checkpoint yet" in page.text
    assert page.images == []


def test_without_matplotlib_the_page_names_the_extra(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    page = read(write_report(run, samples=False))
    assert "pip install 'hvae[plot]'" in page.text
    assert page.images == []


def test_another_folder_is_no_run(tmp_path):
    with pytest.raises(BadInputError, match="not the folder of a training run"):
        write_report(tmp_path)


def test_skips_and_resumptions_are_marked(run):
    """The picture differs where an update was skipped, and where there was a second session."""
    pytest.importorskip("matplotlib")
    facts = collect(run)
    unskipped = [{**record, "skipped": 0} for record in facts.steps]
    changed = {"steps": unskipped}, {"sessions": facts.sessions[:1]}, {}
    plain, *others = (
        draw_optimisation(dataclasses.replace(facts, **changes)).parts[0][1]
        for changes in ({}, *changed)
    )
    assert [other == plain for other in others] == [False, False, True]


def test_the_hierarchy_is_cut_at_the_scales_that_have_latents(run):
    facts = collect(run)
    assert scale_ends(facts) == [(1, "1x1"), (3, "8x8")]
    prior = {"name": "diffusion-vampprior", "size": 2, "steps": 1}
    config = parse_config({**CONFIG, "model": {**CONFIG["model"], "prior": prior}})
    with_prior = dataclasses.replace(facts, config=config)
    assert scale_ends(with_prior) == [(2, "1x1"), (len(config.model.latent_shapes), "8x8")]


@pytest.fixture
def partial_run(run, request):
    """The same of a second encoder: no record of training has a bound."""
    config = parse_config(
        {**CONFIG, "likelihood": request.param, "measurement": "columns:0.5",
         "train": {**CONFIG["train"], "objective": "partial-posterior"}}
    )  # fmt: skip
    folder = RunFolder(run)
    folder.config_path.write_text(json.dumps(config.to_dict()))
    records = []
    for step, kl in ((10, 9.0), (20, 8.0), (30, 8.5)):
        record = epoch_record(step)
        for key in ("rate", "distortion", "bits_per_dim"):
            del record[key]
        records.append({**record, "validation": {**record["validation"], "posterior_kl": kl}})
    folder.metrics_path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return run


@pytest.mark.parametrize(
    ("partial_run", "unit"),
    [("bernoulli", "nats"), ("logistic-mixture", "bits/dim")],
    indirect=["partial_run"],
)
def test_a_partial_posterior_s_report_shows_what_its_best_checkpoint_is_chosen_by(
    partial_run, unit
):
    pytest.importorskip("matplotlib")
    assert collect(partial_run).unit == unit
    page = read(write_report(partial_run, samples=False))
    assert "posterior KL, lowest (nats)" in page.text
    assert "8.0000" in page.text
    assert f"validation, last ({unit})" in page.text
    names = {path.name for path in (partial_run / "plots").iterdir()}
    assert {"posterior_kl.png", "validation.png", "loss.png"} <= names


def test_real_images_are_not_those_trained_on(run):
    pytest.importorskip("sklearn")
    images, source = real_images(collect(run))
    assert (images.shape, images.dtype, source) == ((10, 8, 8, 1), np.uint8, "test")


def test_long_runs_are_thinned_to_their_last_record():
    records = [{"step": step, "loss": float(step)} for step in range(1, 10_001)]
    assert len(thin(records)) <= 1500
    steps, values = series([*records, {"step": 10_001, "loss": float("nan")}], "loss")
    assert steps[-1] == values[-1] == 10_000


def test_the_first_records_do_not_squash_the_curve():
    low, high = focus([1000.0] + [1.0 + 0.001 * i for i in range(99)])
    assert low < 1.0 < high < 20.0


def test_a_second_encoder_s_first_updates_do_not_squash_a_short_curve():
    """Its KL begins at a hundred times what it becomes, in more than 2 % of few records."""
    falling = [48.0, 5.6, 2.0, *(1.4 - 0.01 * i for i in range(30))]
    low, high = focus([1.0, 0.99], falling)
    assert low < 0.99
    assert 1.4 < high < 2.0
    rising = [0.001, *(1.0 + 0.01 * i for i in range(30))]
    assert focus(rising)[0] < 0.001


def drawn(changes, run, folder):
    """The files of a card, and their captions."""
    from hvae_core.vae import HierarchicalVAE

    folder.mkdir()
    model = HierarchicalVAE(parse_config({**CONFIG, **changes}))
    found = draw_card(model, folder, run)
    assert {path.name for path in folder.iterdir()} == {path.name for path in found}
    return {path.name: (Image.open(path).size, caption) for path, caption in found.items()}


def test_the_pictures_of_a_card(run, tmp_path):
    pytest.importorskip("matplotlib")
    found = drawn({}, run, tmp_path / "card")
    assert list(found) == ["samples.png", "reconstructions.png", "training.png"]
    assert found["samples.png"] == (
        (12 * 66 - 2, 6 * 66 - 2),
        "Samples with seed 0, 2 rows at each of the temperatures 1, 0.85 and 0.7.",
    )
    size, caption = found["reconstructions.png"]
    assert size == (10 * 66 - 2, 4 * 66 - 2)
    assert caption == (
        "Test images; below them their reconstructions from all 3 latents, and from the first 2 "
        "and 1, the rest drawn from the prior."
    )
    assert "held-out images" in found["training.png"][1]


@pytest.mark.parametrize("partial_run", ["bernoulli"], indirect=True)
def test_the_training_of_a_second_encoder_is_drawn_by_its_own_objective(partial_run, tmp_path):
    pytest.importorskip("matplotlib")
    measured = {"measurement": "columns", "train": {"objective": "partial-posterior"}}
    measured["model"] = {**CONFIG["model"], "input_channels": 2}
    _, caption = drawn(measured, partial_run, tmp_path / "card")["training.png"]
    assert caption.startswith("KL of the second encoder's posteriors")


@pytest.mark.parametrize("partial_run", ["bernoulli"], indirect=True)
def test_a_second_encoder_s_kl_is_drawn_in_nats_of_the_image(partial_run, monkeypatch):
    """A logged update has it per dimension, of which there are 64."""
    pytest.importorskip("matplotlib")
    logged = [{"step": step, "posterior_kl": step / 64} for step in (5, 10)]
    figures = []
    monkeypatch.setattr(curves, "_png", lambda figure: figures.append(figure) or b"")
    curves.draw_posterior_kl(dataclasses.replace(collect(partial_run), steps=logged))
    training, validation = figures[0].axes[0].lines[:2]
    assert list(training.get_ydata()) == [5.0, 10.0]
    assert list(validation.get_ydata()) == [9.0, 8.0, 8.5]


def test_of_few_epochs_the_curve_is_drawn_from_the_logged_updates(run):
    """Means of epochs would be one point or two."""
    pytest.importorskip("matplotlib")
    facts = collect(run)
    changed = [{**record, "bits_per_dim": 9.0} for record in facts.steps]
    fine = dataclasses.replace(facts, steps=changed)
    many = [epoch_record(step) for step in range(10, 90, 10)]

    def picture(facts):
        return draw_validation(facts).parts[0][1]

    assert picture(fine) != picture(facts)
    long, long_fine = (dataclasses.replace(each, epochs=many) for each in (facts, fine))
    assert picture(long_fine) == picture(long)


def test_a_card_lacks_what_cannot_be_drawn(run, tmp_path, monkeypatch):
    """A model that sees measurements reconstructs no images, and a preset has no run."""
    measured = {"measurement": "columns", "train": {"objective": "partial-posterior"}}
    measured["model"] = {**CONFIG["model"], "input_channels": 2}
    monkeypatch.setattr(card_pictures, "plots_are_possible", lambda: False)
    assert list(drawn(measured, run, tmp_path / "measured")) == ["samples.png"]
    assert list(drawn({}, None, tmp_path / "preset")) == ["samples.png"]


@pytest.mark.parametrize("name", ["folder", "."])
def test_a_folder_is_refused_before_anything_is_drawn(run, tmp_path, monkeypatch, name):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    monkeypatch.setattr(reporting, "draw", lambda *_: pytest.fail("nothing is to be drawn"))
    output = tmp_path / "folder" if name == "folder" else name
    with pytest.raises(BadInputError) as caught:
        write_report(run, output, samples=False)
    assert caught.value.message == f"Cannot write {output}: it is a folder, not a file."
    assert not list((tmp_path / "folder").iterdir())


def test_plots_that_cannot_be_written(run, tmp_path):
    """The error names their file; a page elsewhere does without them, and says so."""
    pytest.importorskip("matplotlib")
    (run / "plots").write_text("no folder")
    with pytest.raises(BadInputError) as caught:
        write_report(run, samples=False)
    assert caught.value.message.startswith(f"Cannot write {run / 'plots' / 'loss.png'}: ")
    assert not (run / "report.html").exists()
    page = Page(write_report(run, tmp_path / "page.html", samples=False).read_text())
    assert len(page.images) >= 3
    assert f"Cannot write {run / 'plots' / 'loss.png'}: " in page.text
    assert (run / "plots").read_text() == "no folder"
    with pytest.raises(BadInputError, match=r"^Cannot write .*page.html/a.html: "):
        write_report(run, tmp_path / "page.html" / "a.html", samples=False)
