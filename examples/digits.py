"""Warm start on the digits of scikit-learn: what a network has learnt from few and noisy labels, does it hinder it later?

python examples/digits.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from hare_tortoise import HareTortoise

digits, targets = load_digits(return_X_y=True)
X, Y = torch.tensor(digits, dtype=torch.float32) / 16, torch.tensor(targets)
TRAIN, TEST = torch.randperm(len(X), generator=torch.Generator().manual_seed(0)).split([1_400, len(X) - 1_400])


def accuracy(name: str, seed: int) -> float:
    """Test accuracy after training on all images, but for `fresh` behind a tenth of which half of the labels are random."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    noisy = torch.where(torch.rand(140) < 0.5, torch.randint(10, (140,)), Y[TRAIN[:140]])
    tasks = [(TRAIN[:140], noisy, 500), (TRAIN, Y[TRAIN], 150)]
    for images, labels, epochs in tasks[1:] if name == "fresh" else tasks:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        pair = HareTortoise(model, optimizer, decay=0.99, reset_every=100 if name == "hare_tortoise" else None)
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(140):
                loss = nn.functional.cross_entropy(pair.hare(X[images[batch]]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                pair.step()  # the tortoise follows; now and then the hare is set back
    judged = pair.tortoise if name == "hare_tortoise" else pair.hare
    return (judged(X[TEST]).argmax(1) == Y[TEST]).float().mean().item()


if __name__ == "__main__":
    for name in ("warm_started", "fresh", "hare_tortoise"):
        scores = [accuracy(name, seed) for seed in range(5)]
        print(f"{name:14} {sum(scores) / len(scores):.4f}  {' '.join(f'{score:.4f}' for score in scores)}")
