"""Texts that the scales of a reranker's activations are fixed on: of several kinds, scripts, lengths.

None of those of `agreement`, on which the result is judged.
"""

from __future__ import annotations

_TEXTS = (
    (
        "How is the pump restarted after an overload?",
        "If the motor stops and the red lamp blinks twice, the overload switch has opened. Wait ten minutes, "
        "press the button marked RESET, then turn the main valve a quarter to the left before you start the "
        "pump again. Never restart it more than three times an hour; the winding would overheat (> 130 °C).",
    ),
    (
        "What did the council decide about the bridge?",
        "On 14 March 1887 the council voted, by nineteen to four, to replace the wooden bridge with one of "
        "iron. Its engineer, who had built two such spans in Leeds, estimated the cost at £12,450; in the "
        "end it came to nearly twice that, and the opening was put off until the spring of 1891.",
    ),
    (
        "default port",
        'server:\n  host: 0.0.0.0\n  port: 8443  # default\n  tls: {cert: "/etc/ssl/a.pem"}\nretries=3; '
        "if (retries > MAX) { throw new Error('E_LIMIT_17'); } // see https://example.org/docs?id=42#ports",
    ),
    (
        "Which region sold most in the second quarter?",
        "| Region | Q1 | Q2 | Q3 |\n| --- | --- | --- | --- |\n| North | 1,204.50 | 998.10 | 1,377.00 |\n"
        "| South | 860.25 | 1,912.75 | 1,020.40 |\n| East | 77 | 81 | n/a |\nTotal 2,141.75 2,991.85 "
        "2,397.40",
    ),
    (
        "boundary layer transition at hypersonic speed",
        "The transition of the boundary layer on a slightly blunted cone was investigated at Mach 7.3 "
        "for wall "
        "temperature ratios between 0.2 and 0.8. Cooling delayed the transition at first, but below a "
        "ratio of "
        "about 0.35 the Reynolds number of transition fell again, a reversal that small disturbance theory "
        "does not predict.",
    ),
    (
        "Người lao động được nghỉ phép bao nhiêu ngày?",
        "Người lao động làm việc đủ mười hai tháng cho một người sử dụng lao động thì được nghỉ hằng "
        "năm, hưởng "
        "nguyên lương theo hợp đồng: 12 ngày đối với công việc bình thường, 14 ngày đối với công việc "
        "nặng nhọc, "
        "16 ngày đối với công việc đặc biệt nặng nhọc. Cứ đủ năm năm thì số ngày nghỉ tăng thêm một ngày.",
    ),
    (
        "Thành phố Huế nổi tiếng vì điều gì?",
        "Huế từng là kinh đô của triều Nguyễn từ năm 1802 đến năm 1945. Quần thể di tích gồm Hoàng "
        "thành, các "
        "lăng tẩm và chùa chiền nằm hai bên bờ sông Hương, được UNESCO công nhận là Di sản văn hóa thế "
        "giới năm "
        "1993. Ẩm thực cung đình và nhã nhạc cũng làm nên tên tuổi của thành phố này.",
    ),
    (
        "Điều 7 khoản 2 quy định gì",
        "Điều 7. Thanh toán\n1. Bên A tạm ứng 30% giá trị hợp đồng trong vòng 07 ngày.\n2. Phần còn lại "
        "(1.250.000.000 đồng) được chuyển khoản sau khi hai bên ký biên bản bàn giao số 18/BB-KT ngày "
        "05/9/2024.",
    ),
    (
        "Qui a inventé la pile électrique ?",
        "C'est en 1800 qu'Alessandro Volta présenta à la Royal Society sa colonne de disques de cuivre et de "
        "zinc, séparés par du carton imbibé d'eau salée : la première source de courant continu.",
    ),
    (
        "Wann verjährt der Anspruch?",
        "Die regelmäßige Verjährungsfrist beträgt drei Jahre. Sie beginnt mit dem Schluss des Jahres, in "
        "dem der "
        "Anspruch entstanden ist und der Gläubiger von den Umständen Kenntnis erlangt hat (§ 199 Abs. 1).",
    ),
    (
        "¿Qué comen los flamencos?",
        "Los flamencos filtran el agua con el pico para atrapar algas, larvas y pequeños crustáceos; de los "
        "carotenoides de estos proviene el color rosado de sus plumas.",
    ),
    (
        "长城有多长？",
        "据2012年公布的测量结果，历代长城总长度为21196.18千米，分布在十五个省、自治区和直辖市。其中明长城约8851千米，"
        "大部分墙体由砖石、夯土建成，许多地段已经损毁。",
    ),
    (
        "Когда отменили крепостное право?",
        "Манифест об отмене крепостного права был подписан императором Александром II 19 февраля 1861 года; "
        "крестьяне получили личную свободу, но за землю должны были платить выкуп.",
    ),
    (
        "ما هي عاصمة الأردن؟",
        "عمّان هي عاصمة المملكة الأردنية الهاشمية وأكبر مدنها، ويبلغ عدد سكانها أكثر من أربعة ملايين نسمة.",
    ),
    (
        "富士山の高さは",
        "富士山は静岡県と山梨県にまたがる標高3776メートルの活火山で、日本で最も高い。2013年に世界文化遺産に登録された。",
    ),
    ("ok", "…"),
)
_LONG = 4  # passages that stand in a row in a long one

CALIBRATION = (
    *_TEXTS,
    *((question, _TEXTS[(n + 5) % len(_TEXTS)][1]) for n, (question, _) in enumerate(_TEXTS)),
    *(
        (_TEXTS[n][0], "\n".join(passage for _, passage in (*_TEXTS[n:], *_TEXTS)[:_LONG]))
        for n in range(0, len(_TEXTS), 2)
    ),
)
"""Pairs of a question and a passage: such as belong together, such as do not, long ones."""
