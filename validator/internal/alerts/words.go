package alerts

import (
	"fmt"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// words are what messages say in one language, but for the rules' own messages.
type words struct {
	thousands  string
	date       string // of another day, in Go's layout
	severities map[event.Severity]string
	ops        map[event.Op]string
	units      [4]func(n int64) string // seconds, minutes, hours, days

	at, got, expected, key, since     string
	times                             func(span string) string // behind the count
	keys                              func(n string) string
	wrongNow                          func(n string) string
	mendedAt                          func(n, at string) string
	ruleError, value, others, runbook string
	is                                func(subject, predicate string) string
	predicates                        map[string]string // by keyword; where one is missing, the error's own message stands
	notLoaded, loaded, line           string
	stays                             func(at string) string
	unchecked                         string

	buttons, done map[string]string // by verb: what it is called, and what who pressed it is told
	ackBy         func(user, at string) string
	mutedUntil    func(at, user string) string
	unknownAlert  string
}

func plural(one, many string) func(int64) string {
	return func(n int64) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
}

func unit(name string) func(int64) string { return plural(name, name) }

var english = &words{
	thousands: ",", date: "2 Jan 15:04",
	severities: map[event.Severity]string{event.Warning: "warning", event.Critical: "critical"},
	ops: map[event.Op]string{
		event.Insert: "insert", event.Update: "update", event.Delete: "delete", event.Read: "read", event.Message: "message", event.Truncate: "truncate",
	},
	units: [4]func(int64) string{unit("s"), unit("min"), unit("h"), plural("day", "days")},
	at:    "at", got: "got", expected: "expected", key: "key", since: "since",
	times: func(span string) string {
		if span == "" {
			return " times"
		}
		return " in " + span
	},
	keys: func(n string) string { return n + " keys" },
	wrongNow: func(n string) string {
		if n == "1" {
			return "1 row wrong now"
		}
		return n + " rows wrong now"
	},
	mendedAt: func(n, at string) string {
		if n == "1" {
			return "mended: right again, " + at
		}
		return "mended: all " + n + " right again, " + at
	},
	ruleError: "A rule can't run", value: "the value", others: "More kinds of errors than are told apart", runbook: "runbook",
	is:        func(subject, predicate string) string { return subject + " " + predicate },
	notLoaded: "not loaded", loaded: "is loaded again", line: "line",
	stays:     func(at string) string { return "The version of " + at + " stays in force." },
	unchecked: "There is no earlier version: its stream isn't checked.",
	buttons:   map[string]string{verbAck: "Ack", verbUnack: "Undo ack", verbMute: "Mute 1h", verbUnmute: "Unmute"},
	done: map[string]string{
		verbAck: "Acknowledged", verbUnack: "No longer acknowledged", verbMute: "Muted for an hour", verbUnmute: "No longer muted",
	},
	ackBy:        func(user, at string) string { return "acknowledged by " + user + ", " + at },
	mutedUntil:   func(at, user string) string { return "muted until " + at + " by " + user },
	unknownAlert: "This alert isn't known any more",
}

var vietnamese = &words{
	thousands: ".", date: "02/01 15:04",
	severities: map[event.Severity]string{event.Warning: "cảnh báo", event.Critical: "nghiêm trọng"},
	ops: map[event.Op]string{
		event.Insert: "thêm", event.Update: "sửa", event.Delete: "xóa", event.Read: "đọc", event.Message: "tin nhắn", event.Truncate: "xóa sạch bảng",
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
	buttons:   map[string]string{verbAck: "Đã nhận", verbUnack: "Bỏ đã nhận", verbMute: "Tắt 1 giờ", verbUnmute: "Bật lại"},
	done: map[string]string{
		verbAck: "Đã ghi nhận", verbUnack: "Đã bỏ ghi nhận", verbMute: "Đã tắt trong một giờ", verbUnmute: "Đã bật lại",
	},
	ackBy:        func(user, at string) string { return user + " đã nhận, " + at },
	mutedUntil:   func(at, user string) string { return user + " đã tắt đến " + at },
	unknownAlert: "Cảnh báo này không còn nữa",
}

func wordsOf(language string) *words {
	if language == "vi" {
		return vietnamese
	}
	return english
}

// number writes a count by the language's habit: 1,240 or 1.240.
func (w *words) number(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteString(w.thousands)
		}
		b.WriteRune(d)
	}
	return b.String()
}

// span writes a length of time in its largest unit.
func (w *words) span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return w.units[0](int64(d / time.Second))
	case d < time.Hour:
		return w.units[1](int64(d / time.Minute))
	case d < 48*time.Hour:
		return w.units[2](int64(d / time.Hour))
	}
	return w.units[3](int64(d / (24 * time.Hour)))
}
