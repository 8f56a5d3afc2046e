"""Short names of models."""

from cornet.report.model_names import short_names


def test_runs_lose_what_they_have_in_common():
    models = [
        "pixels",
        "/a/runs/z/seed0",
        "/a/runs/z/seed0?untrained",
        "/a/runs/s/seed0",
        "cornet_s?untrained",
    ]
    assert list(short_names(models).values()) == ["pixels", "z", "z (untrained)", "s", "cornet_s (untrained)"]
    assert list(short_names(["runs/z/seed0", "runs/z/seed1"]).values()) == ["seed0", "seed1"]
    assert list(short_names(["runs/z/seed0", "runs/s/seed1"]).values()) == ["z/seed0", "s/seed1"]


def test_one_run_and_others():
    assert short_names(["runs/mine/seed0"]) == {"runs/mine/seed0": "mine"}
    assert short_names(["runs/mine/seed0", "runs/mine/seed0?untrained"]) == {
        "runs/mine/seed0": "mine",
        "runs/mine/seed0?untrained": "mine (untrained)",
    }
    same = ["torchvision:resnet18", "cornet_z?width=0.5&untrained", "my.nets:build"]
    assert short_names(same) == {name: name for name in same}


def test_names_stay_different():
    models = ["x", "/b/x/seed0", "/b/y/seed0"]
    assert len(set(short_names(models).values())) == 3
    assert short_names([]) == {}
