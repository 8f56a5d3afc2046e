"""Brain scores with the Trainer of Hugging Face transformers, also to choose the best checkpoint.

pip install transformers accelerate
python examples/score_in_hf_trainer.py
"""

import torch
from torch.utils.data import Dataset
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments

import cornet
from cornet import brain


class BrainTrainer(Trainer):
    """A Trainer whose evaluation also measures brain scores, as metrics named eval_brain/<benchmark>."""

    def __init__(self, *arguments, benchmarks, **options):
        super().__init__(*arguments, **options)
        self.benchmarks = brain.open_benchmarks(benchmarks)

    def evaluate(self, *arguments, **options):
        metrics = super().evaluate(*arguments, **options)
        layers = {"V4": "resnet.encoder.stages.2", "IT": "resnet.encoder.stages.3"}
        table = cornet.score(self.model, on=self.benchmarks, layers=layers, size=64)
        scores = {f"eval_brain/{row.benchmark}": row.value for row in table.itertuples()}
        self.log(scores)
        return metrics | scores


class MyImages(Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        numbers = torch.Generator().manual_seed(index)
        return {"pixel_values": torch.randn(3, 64, 64, generator=numbers), "labels": index % 10}


def main():
    config = ResNetConfig(
        hidden_sizes=[16, 32, 64, 128],
        depths=[1, 1, 1, 1],
        embedding_size=16,
        layer_type="basic",
        num_labels=10,
    )
    arguments = TrainingArguments(
        output_dir="hf-run",
        num_train_epochs=2,
        per_device_train_batch_size=8,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_brain/simulated.IT",
        greater_is_better=True,
        report_to="none",
    )
    trainer = BrainTrainer(
        ResNetForImageClassification(config),
        arguments,
        train_dataset=MyImages(),
        eval_dataset=MyImages(),
        benchmarks=["simulated.V4", "simulated.IT"],
    )
    trainer.train()
    print(f"Most brain-like checkpoint: {trainer.state.best_model_checkpoint}")


if __name__ == "__main__":
    main()
