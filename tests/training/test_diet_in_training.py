"""The visual diet in training: what the network sees in each epoch, and only in training."""

import torch

from cornet.stimuli.diet import VisualDiet
from cornet.training.build import build
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.composed import composed
from tests.helpers.training.small_trainings import MEAN, STD, batches, classifier, fit


class Watched(Learner):
    """Keeps the inputs of its losses and validations."""

    seen: list[torch.Tensor]

    def outputs(self, inputs, *rest):
        self.seen.append(inputs.clone())
        return super().outputs(inputs, *rest)


def test_training_images_grow_and_validation_images_do_not():
    diet = VisualDiet(3, start=1)
    recipe = Recipe(epochs=3, batch_size=8, learning_rate=0.01, schedule="constant")
    module = Watched(classifier().net, recipe, MEAN, STD, diet=diet)
    module.seen = []
    train, val = batches(1), batches(1, images=2, views=True)
    fit(module, train, val)
    shown, validated = module.seen[::2], module.seen[1::2]
    for epoch, inputs in enumerate(shown):
        assert torch.equal(inputs, diet(train[0].inputs, epoch))
    assert torch.equal(shown[2], train[0].inputs)
    assert not torch.equal(shown[0], shown[1])
    assert all(torch.equal(inputs, val[0].inputs[:, 0]) for inputs in validated)


def test_it_is_a_choice_of_the_configuration(tmp_path):
    for overrides, expected in (([], None), (["diet=infant", "diet.start=3", "recipe.epochs=4"], (4, 3.0))):
        config = composed(*overrides, "data.train_images=64", "data.val_images=8", "trainer.accelerator=cpu")
        config.run_folder, config.run_id = str(tmp_path), "token"
        diet = build(config).module.diet
        assert (diet and (diet.epochs, diet.start)) == expected
