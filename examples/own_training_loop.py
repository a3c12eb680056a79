"""Record a network of your own while your own loop trains it, then look at what was recorded."""

import torch
from torch import nn

import axonometry as ax
from axonometry.populations.datasets import load_dataset

data = load_dataset("digits")
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
optimizer = torch.optim.Adam(model.parameters())

with ax.Recorder("runs/own", model, data.train_inputs[:1], resume=True) as recorder:
    done = recorder.restore(optimizer)  # after an interruption: the last whole step, else None
    for epoch in range(0 if done is None else done + 1, 5):
        for batch in torch.randperm(len(data.train_inputs)).split(32):
            loss = nn.functional.cross_entropy(model(data.train_inputs[batch]), data.train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracy = (model(data.test_inputs).argmax(1) == data.test_labels).float().mean()
        recorder.record(epoch, optimizer=optimizer, accuracy=accuracy)

run = ax.load("runs/own")
fluctuation = run.metrics.query("metric == 'layer_fluctuation'").pivot(index="step", columns="group", values="value")
print(fluctuation.assign(accuracy=run.scalars()["accuracy"]).round(3))
