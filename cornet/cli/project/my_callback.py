"""A callback of my own: any callback of Lightning, which conf/experiment/mine.yaml names in `callbacks.mine._target_`.

https://lightning.ai/docs/pytorch/stable/extensions/callbacks.html lists the moments at which it can act.
"""

import pytorch_lightning as pl


class MyCallback(pl.Callback):
    """After every epoch, log the size of the decoder's weights: a column of metrics.csv, and a curve in any logger.

    every: epochs between two printed lines; 0: print nothing.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network = pl_module.get_submodule("net")  # of cornet's module; there, `net` is MyNetwork or MyCORnet
        weights = [value for name, value in network.named_parameters() if name.endswith("decoder.weight")]
        size = sum(float(value.detach().norm()) for value in weights)
        pl_module.log("mine/decoder", size)
        if self.every and (trainer.current_epoch + 1) % self.every == 0 and trainer.is_global_zero:
            print(f"the decoder's weights have the size {size:.3f}")
