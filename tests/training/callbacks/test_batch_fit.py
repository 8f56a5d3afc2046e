"""A batch that does not fit: the size that would is found by trying."""

import pytest
import torch

from cornet.errors import CornetError
from cornet.memory import out_of_memory
from cornet.training.callbacks.batch_fit import BatchFit, smaller_batches
from tests.helpers.training.small_trainings import batches, classifier, fit

# A CPU that runs out of memory ends the process inside its library, so that a small device is made up.


def small_device(module, most):
    """The module, on a device that holds a step of `most` images."""
    loss = module.task.loss

    def limited(predictions, targets):
        if len(targets["label"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss(predictions, targets)

    module.task.loss = limited
    return module


@pytest.mark.slow  # trains many times
def test_the_size_that_fits_is_told():
    module = small_device(classifier(batch_size=24), 7)
    told = (
        "recipe.batch_size=24 does not fit in the memory of cpu: 24 images of 32 pixels at once are too many, "
        "6 fit; set recipe.accumulate=4 to keep the batch, or recipe.batch_size=6."
    )
    with pytest.raises(CornetError) as caught:
        fit(module, batches(2, images=24), callbacks=[BatchFit()])
    assert str(caught.value) == told
    fit(
        small_device(classifier(batch_size=24, accumulate=4), 7), batches(4, images=6), callbacks=[BatchFit()]
    )


def test_parts_of_a_batch_are_told_as_parts():
    module = small_device(classifier(batch_size=24, accumulate=2), 7)
    with pytest.raises(
        CornetError, match=r"12 images .* too many, 6 fit; set recipe.accumulate=4 .*batch_size=12\."
    ):
        fit(module, batches(2, images=12), callbacks=[BatchFit()])


@pytest.mark.slow
def test_not_even_one_image_fits():
    module = small_device(classifier(), 0)
    with pytest.raises(CornetError, match="nor does a single image of 32 pixels; set a smaller"):
        fit(module, batches(2), callbacks=[BatchFit()])


def test_other_errors_stay_what_they_are():
    module = classifier()
    with pytest.raises(IndexError):
        fit(
            module,
            [batch._replace(targets={"label": batch.labels + 9}) for batch in batches(1)],
            callbacks=[BatchFit()],
        )


def test_parts_divide_the_batch():
    assert list(smaller_batches(256)) == [128, 64, 32, 16, 8, 4, 2, 1]
    assert list(smaller_batches(96)) == [48, 24, 12, 6, 3, 1]
    assert list(smaller_batches(7)) == [1]
    assert list(smaller_batches(1)) == []


def test_what_counts_as_out_of_memory():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not out_of_memory(RuntimeError("shapes differ"))
    assert not out_of_memory(ValueError("out of memory"))
