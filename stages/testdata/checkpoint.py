"""Writes what `torch.save` makes of a few tensors: `python checkpoint.py`, with torch; results in checkpoint.bin (the zip
that torch writes since 1.6) and checkpoint-legacy.bin (what it wrote before), which the tests of `encoder` read."""

import pathlib

import torch

whole = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4
tensors = {
    "module.a.weight": whole,
    "module.transposed": whole.t(),
    "module.row": whole[1],
    "module.half": torch.tensor([1.5, -0.25], dtype=torch.float16),
    "module.brain": torch.tensor([1.5, -0.25], dtype=torch.bfloat16),
    "module.LayerNorm.gamma": torch.ones(2),
    "module.bert.embeddings.position_ids": torch.arange(4).unsqueeze(0),
}
here = pathlib.Path(__file__)
torch.save(tensors, here.with_name("checkpoint.bin"))
torch.save(tensors, here.with_name("checkpoint-legacy.bin"), _use_new_zipfile_serialization=False)
