"""Values that the answering tests share."""

from __future__ import annotations

from engine.answering.base import AnswerRequest
from engine.documents.model import Passage, Status
from engine.retrieval.model import Candidate


def source(
    text: str,
    *,
    title: str = "Handbook",
    heading: str = "",
    context: str = "",
    status: Status = "active",
    id: int = 1,
) -> Candidate:
    passage = Passage(
        id=id,
        document_id=id,
        document_title=title,
        document_type="docx",
        document_status=status,
        document_version=1,
        position=0,
        text=text,
        heading=heading,
        context=context,
        page=1,
        start=0,
        end=len(text),
        content_hash=f"{id:064x}",
    )
    return Candidate(passage, lexical=1.0, dense=0.8, fused=0.9, reranked=None, score=0.9)


def ask(question: str, *sources: Candidate, language: str = "en") -> AnswerRequest:
    return AnswerRequest(question, language, sources)


ENGLISH = (
    source(
        "Bids stay valid for 120 days. A bid security of 2% of the price is due. "
        "Late bids are returned unopened.",
        title="Bidding rules",
        heading="Submission",
        id=1,
    ),
    source(
        "Consultants are chosen by quality and cost. Their contracts run for two years at most. "
        "Disputes go to the arbitration court in Singapore.",
        title="Consultants",
        id=2,
    ),
    source(
        "The office opens at 8 o'clock. Visitors sign the book at the gate.",
        title="House rules",
        id=3,
    ),
)
VIETNAMESE = (
    source(
        "Thời hạn nộp hồ sơ dự thầu là 20 ngày kể từ ngày phát hành. "
        "Nhà thầu phải nộp bảo đảm dự thầu bằng 1,5% giá gói thầu. Hồ sơ nộp muộn bị trả lại nguyên trạng.",
        title="Luật Đấu thầu",
        heading="Điều 45. Thời gian tổ chức đấu thầu",
        id=1,
    ),
    source(
        "Nhà thầu tư vấn được lựa chọn theo chất lượng và chi phí. "
        "Tranh chấp được giải quyết tại tòa án có thẩm quyền.",
        title="Nghị định 214",
        id=2,
    ),
)
