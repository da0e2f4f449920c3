"""The same passages in two languages: what sets their vectors apart is the language alone."""

from __future__ import annotations

PARALLEL: dict[str, tuple[str, ...]] = {
    "en": (
        "A bid stays valid for ninety days after the closing date. Whoever withdraws it within that time "
        "loses the bid security, unless the contracting authority has agreed to it in writing.",
        "Before opening the cover, switch the machine off and pull the plug. Wait five minutes until the "
        "capacitors have lost their charge; the red lamp must no longer be lit.",
        "The river rises in the mountains in the north of the province and flows into the sea after 318 "
        "kilometres. Its delta is one of the most densely settled regions of the country.",
        "In 1921 she was the first woman to be appointed professor at that university. Her research on the "
        "structure of crystals won her several prizes and changed how chemistry is taught.",
        "The company's revenue grew by 12 percent to 4.5 million dollars last year, while its costs fell "
        "slightly. The board proposes to pay half of the profit to the shareholders.",
        "Patients should take one tablet in the morning and one in the evening, with a glass of water. "
        "Common side effects are headache and nausea; if a rash appears, see a doctor at once.",
        "The server writes its settings to a file when it is started for the first time. To change the port, "
        "edit that file and start the service again.",
        "The battle lasted three days and ended with the retreat of the northern army. Historians still "
        "argue about how many soldiers died.",
        "Employees who have worked for twelve months are entitled to twelve days of paid leave. Those who do "
        "heavy or dangerous work are given fourteen.",
        "Plants take carbon dioxide from the air and turn it into sugar with the help of light. The oxygen "
        "that is set free by this is what animals breathe.",
        "The team won the championship in the last minute of the final game. Its captain, who scored twice, "
        "was chosen as the best player of the season.",
        "The old town was founded in the fifteenth century by merchants. Many of its wooden houses, temples "
        "and assembly halls have been preserved and draw visitors from all over the world.",
        "This law comes into force on 1 January 2024. Decisions made before that date under the former law "
        "remain valid until they are replaced.",
        "Light needs a little more than eight minutes to travel from the Sun to the Earth. The distance "
        "between them is about 150 million kilometres.",
        "The school teaches four hundred children in sixteen classes. Lessons begin at half past seven, and "
        "lunch is served in the canteen at eleven.",
        "Inflation is measured by the change of prices of a basket of goods that a household usually buys. "
        "If it rises too fast, the central bank raises its interest rate.",
    ),
    "vi": (
        "Hồ sơ dự thầu có hiệu lực trong chín mươi ngày kể từ ngày đóng thầu. Nhà thầu rút hồ sơ trong thời "
        "gian đó sẽ mất bảo đảm dự thầu, trừ khi chủ đầu tư đã đồng ý bằng văn bản.",
        "Trước khi mở nắp, hãy tắt máy và rút phích cắm. Chờ năm phút cho đến khi các tụ điện xả hết điện; "
        "đèn đỏ phải tắt hẳn.",
        "Con sông bắt nguồn từ vùng núi phía bắc của tỉnh và đổ ra biển sau 318 ki-lô-mét. Đồng bằng châu "
        "thổ của nó là một trong những vùng đông dân nhất cả nước.",
        "Năm 1921, bà là người phụ nữ đầu tiên được bổ nhiệm làm giáo sư của trường đại học này. Nghiên cứu "
        "của bà về cấu trúc tinh thể đã giành nhiều giải thưởng và thay đổi cách giảng dạy môn hóa học.",
        "Doanh thu của công ty năm ngoái tăng 12 phần trăm lên 4,5 triệu đô la, trong khi chi phí giảm nhẹ. "
        "Hội đồng quản trị đề nghị chia một nửa lợi nhuận cho các cổ đông.",
        "Bệnh nhân nên uống một viên vào buổi sáng và một viên vào buổi tối với một cốc nước. Tác dụng phụ "
        "thường gặp là đau đầu và buồn nôn; nếu nổi mẩn, hãy đi khám bác sĩ ngay.",
        "Khi khởi động lần đầu, máy chủ ghi các thiết lập vào một tệp. Muốn đổi cổng, hãy sửa tệp đó rồi "
        "khởi động lại dịch vụ.",
        "Trận đánh kéo dài ba ngày và kết thúc bằng cuộc rút lui của đội quân phía bắc. Các nhà sử học vẫn "
        "còn tranh luận về số binh lính đã thiệt mạng.",
        "Người lao động đã làm việc đủ mười hai tháng được nghỉ mười hai ngày hưởng nguyên lương. Người làm "
        "công việc nặng nhọc hoặc nguy hiểm được nghỉ mười bốn ngày.",
        "Thực vật lấy khí các-bô-níc từ không khí và biến nó thành đường nhờ ánh sáng. Khí ô-xy được giải "
        "phóng trong quá trình đó chính là thứ mà động vật hít thở.",
        "Đội bóng giành chức vô địch ở phút cuối cùng của trận chung kết. Đội trưởng, người ghi hai bàn "
        "thắng, được bầu là cầu thủ xuất sắc nhất mùa giải.",
        "Khu phố cổ được các thương nhân lập nên vào thế kỷ mười lăm. Nhiều ngôi nhà gỗ, đền chùa và hội "
        "quán ở đây vẫn được gìn giữ và thu hút du khách từ khắp nơi trên thế giới.",
        "Luật này có hiệu lực từ ngày 01 tháng 01 năm 2024. Các quyết định được ban hành trước ngày đó theo "
        "luật cũ vẫn có hiệu lực cho đến khi được thay thế.",
        "Ánh sáng cần hơn tám phút để đi từ Mặt Trời đến Trái Đất. Khoảng cách giữa hai thiên thể này là "
        "khoảng 150 triệu ki-lô-mét.",
        "Trường có bốn trăm học sinh chia thành mười sáu lớp. Giờ học bắt đầu lúc bảy giờ rưỡi, bữa trưa "
        "được phục vụ tại nhà ăn lúc mười một giờ.",
        "Lạm phát được đo bằng mức thay đổi giá của một giỏ hàng hóa mà một hộ gia đình thường mua. Nếu lạm "
        "phát tăng quá nhanh, ngân hàng trung ương sẽ nâng lãi suất.",
    ),
}
