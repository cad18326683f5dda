"""A warm start on the digits of scikit-learn: does what was learnt from few images with wrong labels hinder what follows?

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
    """On test images, after 200 epochs of 300 images; but for `fresh` behind 500 of 100 of them, half of the labels random."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    noisy = torch.where(torch.rand(100) < 0.5, torch.randint(10, (100,)), Y[TRAIN[:100]])
    tasks = [(TRAIN[:100], noisy, 500), (TRAIN[:300], Y[TRAIN[:300]], 200)]
    for images, labels, epochs in tasks[1:] if name == "fresh" else tasks:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        pair = HareTortoise(model, optimizer, decay=0.99, reset_every=100 if name == "hare_tortoise" else None)
        for batch in (part for _ in range(epochs) for part in torch.randperm(len(images)).split(100)):
            loss = nn.functional.cross_entropy(pair.hare(X[images[batch]]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            pair.step()  # the tortoise follows; now and then the hare is set back
    judged = pair.tortoise if name == "hare_tortoise" else pair.hare
    return (judged(X[TEST]).argmax(1) == Y[TEST]).float().mean().item()


if __name__ == "__main__":
    for name in ("warm_started", "fresh", "hare_tortoise"):
        print(name, *(f"{accuracy(name, seed):.3f}" for seed in range(5)))
