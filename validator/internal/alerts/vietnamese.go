package alerts

import (
	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts/life"
)

var vietnamese = &words{
	language: "vi", thousands: ".", date: "02/01 15:04",
	severities: map[event.Severity]string{event.Warning: "cảnh báo", event.Critical: "nghiêm trọng"},
	ops: map[event.Op]string{
		event.Insert: "thêm", event.Update: "sửa", event.Delete: "xóa", event.Read: "đọc", event.Message: "bản ghi", event.Truncate: "xóa sạch bảng",
	},
	units: [4]func(int64) string{unit("giây"), unit("phút"), unit("giờ"), unit("ngày")},
	at:    "tại", got: "nhận được", expected: "phải là", key: "khóa", since: "từ",
	times: func(span string) string {
		if span == "" {
			return " lần"
		}
		return " lần trong " + span
	},
	keys:      func(n string) string { return n + " khóa" },
	wrongNow:  func(n string) string { return n + " dòng đang sai" },
	mendedAt:  func(n, at string) string { return "đã sửa xong: " + n + " dòng đều đúng lại, " + at },
	ruleError: "Quy tắc không chạy được", value: "giá trị", others: "Nhiều loại lỗi hơn mức phân biệt được", runbook: "hướng dẫn xử lý",
	is: func(subject, predicate string) string { return subject + " " + predicate },
	predicates: map[string]string{
		"required": "bị thiếu", "type": "sai kiểu", "enum": "không nằm trong các giá trị cho phép", "const": "không đúng giá trị quy định",
		"format": "sai định dạng", "pattern": "không khớp mẫu", "minimum": "quá nhỏ", "exclusiveMinimum": "quá nhỏ", "maximum": "quá lớn",
		"exclusiveMaximum": "quá lớn", "multipleOf": "không phải bội số quy định", "minLength": "quá ngắn", "maxLength": "quá dài",
		"minItems": "có quá ít phần tử", "maxItems": "có quá nhiều phần tử", "uniqueItems": "có phần tử trùng nhau",
		"additionalProperties": "có trường không khai báo", "anyOf": "không khớp dạng nào được phép", "oneOf": "không khớp đúng một dạng",
		"not": "là điều không được phép", string(event.LimitError): "vượt quá giới hạn kiểm tra",
	},
	notLoaded: "chưa nạp được", loaded: "đã nạp lại được", line: "dòng",
	stays:     func(at string) string { return "Bản lúc " + at + " vẫn có hiệu lực." },
	unchecked: "Chưa có bản nào trước đó: luồng này không được kiểm tra.",
	buttons: map[string]string{
		"ack": "Đã nhận", "unack": "Bỏ nhận", "mute 1h": "Tắt 1 giờ", "mute 8h": "Tắt 8 giờ", "unmute": "Bật lại", "resolve": "Đã xong", "reopen": "Mở lại",
		"unaccept": "Bỏ chấp nhận", "samples": "Ví dụ", "rows": "Các dòng",
	},
	done: map[life.Verb]string{
		life.Ack: "Đã ghi nhận", life.Unack: "Đã bỏ ghi nhận", life.Mute: "Đã tắt", life.Unmute: "Đã bật lại", life.Resolve: "Đã xong",
		life.Reopen: "Đã mở lại", life.Accept: "Đã chấp nhận", life.Unaccept: "Đã bỏ chấp nhận", life.Noted: "Đã ghi chú",
	},
	ackBy:        func(user, at string) string { return user + " đã nhận, " + at },
	mutedUntil:   func(at, user string) string { return user + " đã tắt đến " + at },
	unknownAlert: "Cảnh báo này không còn nữa",
	hushed:       "Không chuông: nhóm đã nhận đủ số tin có chuông trong 10 phút. Tin này sẽ reo khi có chỗ, nếu chưa ai nhận xử lý.",

	quietSince: func(at string) string { return "không có thêm từ " + at },
	isBack:     func(at string) string { return "xuất hiện lại (đã hết từ " + at + ")" },
	comesAndGoes: func(n, at string) string {
		return "lúc có lúc không: " + n + " lần trong một ngày, báo lại lúc " + at
	},
	resolvedBy:    func(user, at string) string { return user + " đã xử lý xong, " + at },
	acceptedUntil: func(at, user, reason string) string { return user + " chấp nhận đến " + at + ": " + reason },
	acceptedRows: func(n, at, user, reason string) string {
		return user + " chấp nhận " + n + " khóa đến " + at + ": " + reason
	},
	mutedForSchema: func(user string) string { return user + " đã tắt đến khi schema thay đổi" },
	shareOf:        func(percent string) string { return percent + " luồng" },
	stillWrong:     func(n, of string) string { return n + " trong " + of + " dòng vẫn sai" },
	escalated:      func(n, _ string) string { return "gấp 10 lần một giờ trước: " + n },
	reminder: func(n, since string) string {
		if n == "" {
			return "chưa ai nhận xử lý từ " + since
		}
		return n + " dòng sai từ " + since + ", chưa ai nhận xử lý"
	},
	folded: "nay nằm trong một tin khác",
	incidents: map[life.Incident]func(string) string{
		life.Transaction: func(n string) string { return n + " dòng sai do một giao dịch" },
		life.Actor:       func(n string) string { return n + " dòng sai do một chương trình mới xuất hiện" },
		life.Schema:      func(n string) string { return n + " dòng sai từ khi schema thay đổi" },
		life.Burst:       func(n string) string { return n + " loại lỗi cùng lúc" },
		life.Reads:       func(n string) string { return n + " dòng sai trong dữ liệu có sẵn" },
	},
	streamInvalid: func(percent, stream string) string { return percent + " " + stream + " không hợp lệ" },
	totals:        func(n, of string) string { return "(" + n + " trên " + of + ")" },
	more:          func(n string) string { return "thêm " + n },
	decimal:       ",",
	troubles:      vietnameseTroubles, remarks: vietnameseRemarks, answers: vietnameseAnswers, digest: vietnameseDigest,
}
