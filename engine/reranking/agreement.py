"""Does a faster form of a reranker's model order passages as the model itself does?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AGREEMENT = 0.95  # least Kendall tau
_EQUAL = 0.01  # of the range of all scores: a smaller difference is no order

_ENGLISH = (
    "Bids shall remain valid for at least ninety days from the deadline for submission.",
    "The bid security amounts to two percent of the contract price and is returned after signing.",
    "A supplier may ask for clarification in writing no later than five days before the deadline.",
    "The purchasing office opens at eight o'clock and closes at five on working days.",
    "Invoices are paid within thirty days after goods were received and accepted.",
    "Travel by train is preferred to travel by air where it takes less than four hours.",
    "The Nile is commonly regarded as the longest river in the world.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
)
_VIETNAMESE = (
    "Hồ sơ dự thầu có hiệu lực ít nhất chín mươi ngày kể từ ngày có thời điểm đóng thầu.",
    "Giá trị bảo đảm dự thầu bằng hai phần trăm giá gói thầu và được hoàn trả sau khi ký hợp đồng.",
    "Nhà thầu gửi văn bản đề nghị làm rõ chậm nhất năm ngày trước thời điểm đóng thầu.",
    "Phòng mua sắm làm việc từ tám giờ sáng đến năm giờ chiều các ngày trong tuần.",
    "Hóa đơn được thanh toán trong vòng ba mươi ngày sau khi nghiệm thu hàng hóa.",
    "Đi công tác bằng tàu hỏa được ưu tiên hơn máy bay nếu dưới bốn giờ.",
    "Sông Mê Kông chảy qua sáu nước trước khi đổ ra Biển Đông.",
    "Lá cây biến ánh sáng, nước và khí cacbonic thành đường và ôxy.",
)
_QUESTIONS = (
    ("How long must a bid be valid?", _ENGLISH),
    ("When are invoices paid?", _ENGLISH),
    ("Which river is the longest?", _ENGLISH),
    ("Hồ sơ dự thầu có hiệu lực bao lâu?", _VIETNAMESE),
    ("Bảo đảm dự thầu là bao nhiêu?", _VIETNAMESE),
    ("How much is the bid security?", _VIETNAMESE),
)

PAIRS = tuple((question, passage) for question, passages in _QUESTIONS for passage in passages)
_EACH = len(_ENGLISH)  # pairs of one question


def agreement(reference: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau of two scorings of PAIRS, over the pairs of passages of one question: -1 to 1.

    Passages that the reference scores alike, within a hundredth of the range of all its scores,
    have no order that could be kept. -1 where a score is no number or nothing has an order.
    """
    first = np.asarray(reference, np.float64).reshape(-1, _EACH)
    second = np.asarray(other, np.float64).reshape(-1, _EACH)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return -1.0
    i, j = np.triu_indices(_EACH, 1)
    before, after = first[:, i] - first[:, j], second[:, i] - second[:, j]
    ordered = np.abs(before) > _EQUAL * np.ptp(first)
    if not ordered.any():
        return -1.0
    return float(np.mean(np.sign(before[ordered]) * np.sign(after[ordered])))
