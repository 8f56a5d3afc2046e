"""Train a network of the ventral stream.

uv run train.py                                   the embedded demo: minutes on two cores
uv run train.py --help                            choices, keys, examples
uv run train.py data=imagenet data.folder=/path/to/imagenet model=cornet_s recipe=s_2019
uv run train.py experiment=tiny_z                 200 classes of small photographs
uv run train.py -m model.bottleneck=1,2,4 seed=0,1,2    a sweep; repeat it to run what is missing
"""

import hydra
from omegaconf import DictConfig

from cornet.cli.program import conf_folder
from cornet.cli.trainings.train import start, train_one

CONF = conf_folder()


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def train(config: DictConfig) -> float | None:
    """Train one configuration. Returns the best monitored value, for Hydra's sweepers."""
    return train_one(config)


def main() -> None:
    start(train, CONF)


if __name__ == "__main__":
    main()
