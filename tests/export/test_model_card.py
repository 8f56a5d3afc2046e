"""The model card: what the hub reads, scores of the checkpoint's own step, simulated ones apart, hostile runs."""

import json

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from markdown_it import MarkdownIt

from cornet import create_model, save_pretrained
from cornet.export.formats.safetensors import write
from cornet.export.model_card.markdown import escape_markdown
from cornet.export.source import open_sources
from tests.helpers.export import finished_runs
from tests.helpers.export.finished_runs import STEP, header_of
from tests.helpers.faults.malformed import TEXTS


def card(text: str, folder, **options) -> str:
    """The card of a network."""
    folder.mkdir()
    write(open_sources([text]), folder, "my-net", **options)
    return (folder / "README.md").read_text()


def results(folder) -> list[EvalResult]:
    return ModelCard.load(folder / "README.md").data.eval_results or []


SIMULATED = {"benchmark": "simulated.IT", "simulated": True, "value": 0.123}
SCORES = [
    {},
    {"benchmark": "majajhong2015.V4", "region": "V4", "value": 0.44, "value_error": 0.02, "ceiling": 0.9},
    {
        "benchmark": "majajhong2015.IT",
        "epoch": 3.0,
        "step": STEP + 20,
        "value": 0.999,
    },  # of another checkpoint
    {"benchmark": "kar2019-ost", "region": "behaviour", "value": float("nan"), "notes": "too few images"},
    {"benchmark": "rajalingham2018-i2n", "failure": "out of memory", "value": 0.888},
    SIMULATED,
]


@pytest.fixture
def run(tmp_path):
    finished_runs.write(tmp_path / "run", scores=SCORES)
    return tmp_path / "run"


def test_the_header_is_what_huggingface_hub_writes_itself(run, tmp_path):
    """Built a second time from its own classes."""
    card(str(run), tmp_path / "x", licence="cc-by-4.0")
    objects = "Rendered objects of eight categories, made by cornet"
    accuracy = ("image-classification", "objects", objects, "accuracy")
    named = {"task_name": "Image classification", "dataset_split": "validation"}
    brain = {"task_type": "image-feature-extraction", "metric_type": "pls"}
    expected = ModelCardData(
        license="cc-by-4.0",
        library_name="cornet",
        tags=["cornet", "cornet_z", "neuroscience", "ventral-stream", "pytorch"],
        pipeline_tag="image-classification",
        metrics=["accuracy", "pls"],
        model_name="my-net",
        eval_results=[
            EvalResult(*accuracy, 0.75, metric_name="top-1", **named),
            EvalResult(*accuracy, 0.99, metric_name="top-5", **named),
            *(
                EvalResult(
                    **brain,
                    dataset_type=name,
                    dataset_name=name,
                    metric_value=value,
                    task_name=f"Comparison with the brain ({region})",
                    metric_args={
                        "scale": "r^2/c",
                        "standard_error": error,
                        "ceiling": ceiling,
                        "stimuli": 2560,
                    },
                )
                for name, region, value, error, ceiling in (
                    ("majajhong2015.IT", "IT", 0.5, 0.01, 0.8),
                    ("majajhong2015.V4", "V4", 0.44, 0.02, 0.9),
                )
            ),
        ],
    )
    assert header_of(tmp_path / "x") == expected.to_dict()


def test_simulated_scores_are_labelled_and_not_among_the_results(run, tmp_path):
    text = card(str(run), tmp_path / "x")
    header, _, body = text.removeprefix("---\n").partition("---\n")
    assert "simulated" not in header
    assert "0.123" not in header
    (line,) = [line for line in body.splitlines() if "0.123" in line]
    assert line.startswith("| simulated.IT (simulated) |")
    assert "not a claim about\nbrains" in body


def test_scores_are_those_of_the_checkpoint(run, tmp_path):
    best, last = card(str(run), tmp_path / "best"), card(f"{run}?last", tmp_path / "last")
    assert "0.999" not in best
    assert "| majajhong2015.IT | IT | 0.500 | 0.010 | 0.800 | 2,560 | pls | r^2/c |" in best
    assert "| majajhong2015.IT | IT | 0.999 |" in last
    assert "| kar2019-ost | behaviour | - |" in best
    assert "kar2019-ost: too few images" in best
    assert "0.888" not in best + last
    assert "| top-1 | 0.750 |" in best
    assert "| top-1 | 0.600 |" in last
    assert "checkpoint `best`, after 40 optimiser steps (2 epochs)" in best
    assert [one.metric_value for one in results(tmp_path / "last")] == [0.6, 0.98, 0.999]
    assert ("biased upwards" in best, "biased upwards" in last) == (True, False)
    file = card(f"{run}/checkpoints/last.ckpt", tmp_path / "file")
    assert file.partition("\n---\n")[2] == last.partition("\n---\n")[2]


def test_averaged_weights_have_the_scores_of_averaged_weights(tmp_path):
    rows = [{"weights": "raw", "value": 0.1}, {"weights": "averaged", "value": 0.2}]
    finished_runs.write(tmp_path / "run", "recipe.average=0.9", scores=rows)
    card(str(tmp_path / "run"), tmp_path / "x")
    assert [one.metric_value for one in results(tmp_path / "x")][2:] == [0.2]
    finished_runs.write(tmp_path / "raw", scores=rows)
    card(str(tmp_path / "raw"), tmp_path / "y")
    assert [one.metric_value for one in results(tmp_path / "y")][2:] == [0.1]


def test_the_text_says_what_the_run_recorded(run, tmp_path):
    text = card(str(run), tmp_path / "x")
    for words in (
        "GPUs: A GPU, A GPU",
        "CPU: A processor",
        "321 images per second",
        "| learning\\_rate |",
        "16 training images, 8 validation images",
        "Majaj, Hong, Solomon, DiCarlo 2015 (J Neurosci 35:13402)",
        "Kubilius et al. 2018 (bioRxiv 408385)",
        "Schrimpf, Kubilius et al. 2018",
        "| V4 | V4 | 1 | 90 to 190 |",
        "mean 0.5, 0.5, 0.5 and standard deviation 0.19, 0.19, 0.19",
        "Licence of the weights: mit.",
    ):
        assert words in text, words
    assert str(tmp_path) not in text  # nothing of this machine


def test_the_code_of_the_card_runs(run, tmp_path):
    import torch

    text = card(str(run), tmp_path / "x")
    code = text.partition("```python\n")[2].partition("```")[0].replace("USER/NAME", str(tmp_path / "x"))
    names = {"images": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)}
    exec(code, names)
    assert names["logits"].shape == (2, 8)
    assert names["states"]["IT"].shape[:2] == (1, 2)


@pytest.mark.parametrize(
    ("text", "said", "licence"),
    [
        ("cornet_z?untrained&seed=4&width=0.02", "Untrained: weights drawn with seed 4.", "mit"),
        ("hmax?size=32&per_size=8", "Not trained: its areas are fixed", "mit"),
        (
            "cornet_z?weights=W&width=0.02",
            "Read from the file w.safetensors; how it was made is not known",
            "unknown",
        ),
        ("W", "Read from the file", "unknown"),
    ],
)
def test_a_network_without_a_run_says_what_is_not_known(text, said, licence, tmp_path):
    import torch
    from safetensors.torch import save_file

    net = create_model("cornet_z", width=0.02)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    if text == "W":  # a file from which the width can be told
        net = create_model("cornet_z", width=0.125)
        torch.save(net.state_dict(), tmp_path / "cornet_z-1.pth")
        text = str(tmp_path / "cornet_z-1.pth")
    found = card(text.replace("=W", f"={tmp_path / 'w.safetensors'}"), tmp_path / "x")
    assert said in found
    assert header_of(tmp_path / "x")["license"] == licence
    assert "model-index" not in found
    assert "None were measured for these weights." in found
    assert "which were not measured for this export" in found
    assert str(tmp_path) not in found


def test_untrained_weights_of_a_run_have_none_of_its_scores(run, tmp_path):
    text = card(f"{run}?untrained&seed=2", tmp_path / "x")
    assert "Untrained: weights drawn with seed 2." in text
    assert "majajhong2015" not in text
    assert results(tmp_path / "x") == []


@pytest.mark.parametrize(
    "override", ["model.pretrained=/secret/place/w.pth", "ckpt_path=/secret/place/w.pth"]
)
def test_the_licence_of_weights_that_began_with_others_is_not_known(override, tmp_path):
    finished_runs.write(tmp_path / "run", override)
    text = card(str(tmp_path / "run"), tmp_path / "x")
    assert header_of(tmp_path / "x")["license"] == "unknown"
    assert "The training started from the weights of w.pth." in text
    assert "/secret" not in text
    assert "The licence of these weights is not known" in text


def test_saved_from_python(tmp_path):
    net = create_model("cornet_z", width=0.02, num_classes=2)
    folder = save_pretrained(net, tmp_path / "x", name="My-net", classes=["a", "b"])
    assert "Given by a program" in (folder / "README.md").read_text()
    assert header_of(folder)["license"] == "unknown"


def rendered(text: str) -> str:
    """HTML of a card, by the rules of GitHub's Markdown."""
    body = text.removeprefix("---\n").partition("\n---\n")[2]
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(body)


HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "a | b |",
    "x\n\n# Title\n\n* list",
    "`code` **bold** ~~gone~~",
    "---\nlicense: other\n---",
    "https://evil.example www.evil.example @someone",
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    """The card of a network without a run."""
    folder = tmp_path_factory.mktemp("plain") / "card"
    return rendered(card("cornet_z?untrained&width=0.125&num_classes=8", folder))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_run_becomes_markup(hostile, plain, tmp_path):
    row = dict.fromkeys(("benchmark", "region", "metric", "scale", "notes"), hostile)
    files = {
        "finished": {"data": hostile, "train_images": 3},
        "versions": {"cpu": hostile, "gpus": [hostile], "torch": hostile},
    }
    finished_runs.write(tmp_path / "run", scores=[row, {**row, "simulated": True}], **files)
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    config["recipe"][hostile] = hostile
    config["losses"] = {hostile: {}}
    config["seed"] = hostile
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    text = card(str(tmp_path / "run"), tmp_path / "x")
    assert header_of(tmp_path / "x")["license"] == "mit"  # the header is read as one
    html = rendered(text)
    for tag in ("<script", "<img", "<strong>", "<s>", 'javascript:alert(1)"'):
        allowed = plain.count(tag) + (2 if tag == "<strong>" else 0)  # of our own text
        assert html.count(tag) <= allowed, tag
    assert html.count("<a ") == plain.count("<a ")
    assert html.count("<h1") == plain.count("<h1") == 1


@pytest.mark.parametrize("text", [*TEXTS, *HOSTILE])
def test_escaped_text_is_read_as_it_was(text):
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).renderInline(escape_markdown(text))
    assert "<" not in html
    assert "\n" not in html


def test_the_config_is_plain_json(run, tmp_path):
    card(str(run), tmp_path / "x")
    content = json.loads((tmp_path / "x" / "config.json").read_text())
    assert content["model"]["name"] == "cornet_z"
    assert content["format"] == 1
