"""What the modes of a question are worth, with phrasings that are known to be good.

    python -m benchmarks.modes [--limit 612] [--json]

English questions are asked of xquad-vi, whose passages are Vietnamese. The local server that
stands for the language model answers with the same question as professional translators put
it, as a good model would; thorough adds the answer as its hypothetical passage. So this is
the most that a mode can gain there, not what a given model gains: for that, set OPENAI_API_KEY
and run ``python -m engine evaluate DIR --pipelines hybrid+built-in+balanced``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from pydantic import SecretStr

from benchmarks.tables import SHARED, print_table
from engine.evaluation.collection import Query, TestCollection, read_collection
from engine.evaluation.evaluate import evaluate
from engine.settings import load_settings
from engine.text.normalisation import normalise_question
from tests.openai_server import Messages, OpenAIServer, Reply

PIPELINES = ("bm25", "hybrid+built-in", "hybrid+built-in+balanced", "hybrid+built-in+thorough")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the modes of a question are worth.")
    parser.add_argument("--limit", type=int, default=612)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    vietnamese = read_collection(SHARED / "xquad-vi", options.limit)
    english = read_collection(SHARED / "xquad-en", options.limit)
    known = {
        normalise_question(theirs.text): ours
        for theirs, ours in zip(english.queries, vietnamese.queries, strict=True)
    }
    asked = TestCollection(
        "xquad-vi asked in English",
        vietnamese.corpus,
        tuple(
            Query(own.id, other.text) for own, other in zip(vietnamese.queries, english.queries, strict=True)
        ),
        vietnamese.relevance,
    )

    def reply(messages: Messages) -> str:
        query = known[str(messages[-1]["content"]).removeprefix("Question: ")]
        answer: dict[str, object] = {"phrasings": [query.text]}
        if "hypothetical" in str(messages[0]["content"]):
            answer |= {"parts": [], "hypothetical": f"{query.text} {query.answers[0]}"}
        return json.dumps(answer, ensure_ascii=False)

    with tempfile.TemporaryDirectory() as home, OpenAIServer() as server:
        server.default = Reply(reply)
        settings = load_settings(
            _env_file=None,
            dossier_home=Path(home),
            openai_api_key=SecretStr("local"),
            openai_base_url=server.url,
        )
        figures = asyncio.run(evaluate(settings, asked, PIPELINES)).pipelines
    if options.json:
        print(json.dumps(figures))
        return
    columns = ("ndcg@10", "mrr@10", "p50_ms")
    print_table(
        ["pipeline", *columns], [[name, *(str(of[c]) for c in columns)] for name, of in figures.items()]
    )


if __name__ == "__main__":
    main()
