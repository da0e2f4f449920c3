"""What language models cost, as far as it is known.

Standard list prices of platform.openai.com/docs/pricing as quoted in June 2026, US dollars per
million tokens, without discounts for batches or cached prompts. A model behind another endpoint
counts as the one of OpenAI's whose name it has.
"""

from __future__ import annotations

import re

PRICES: dict[str, tuple[float, float]] = {  # prompt, completion
    "gpt-4-turbo": (10.0, 30.0),
    "gpt-4o": (2.50, 10.0),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.40, 1.60),
    "gpt-4.1-nano": (0.10, 0.40),
}
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


def cost_usd(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """US dollars; None for a model whose price is not known. A dated name costs as its family."""
    price = PRICES.get(_DATE.sub("", model))
    if price is None:
        return None
    return (prompt_tokens * price[0] + completion_tokens * price[1]) / 1_000_000
