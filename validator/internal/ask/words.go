package ask

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"datawatch/pkg/reason"
)

// words are what answers say in one language, but for what lint and rules say themselves.
type words struct {
	thousands, date                          string
	form, busy, failed, tooLarge, clean      string
	notReplayed, nothingPast, place, already string
	key, got, expected                       string
	more                                     func(n int) string
	unknown, noEvents, which                 func(name string) string
	learned                                  func(n, from, to string) string
	found                                    func(faults, warnings int) string
	wouldFail                                func(failing int, n, of string) string
	wouldChange                              func(failing, passing, of string) string
	events                                   func(from, to string) string
	unrunnable                               func(rule, updates string) string
}

var catalogues = map[string]words{"en": english, "vi": vietnamese}

var english = words{
	thousands: ",", date: "2 Jan",
	form:        "/schema shop-db/public.orders",
	busy:        "Too many questions about schemas wait already: ask again in a minute.",
	failed:      "That can't be answered now: the broker, Telegram or the schema folder can't be reached. Ask again in a while.",
	tooLarge:    "The file is larger than 1 MB: no schema is.",
	clean:       "lint finds nothing",
	notReplayed: "Not replayed: the validator would refuse it.", nothingPast: "No event of the stream is held that it could be tried on.",
	place: "in the schema folder as ", already: "now judged by ",
	key: "key", got: "got", expected: "expected",
	more:     func(n int) string { return fmt.Sprintf("… %d more", n) },
	unknown:  func(name string) string { return "Which stream do you mean by " + name + "?" },
	noEvents: func(name string) string { return "No event of " + name + " is held to learn from." },
	which: func(name string) string {
		return "Which stream is " + name + " for? Send it with the stream beneath, as in shop-db/public.orders"
	},
	learned: func(n, from, to string) string { return "learned from " + n + " events, " + from + " to " + to },
	found: func(faults, warnings int) string {
		return count(faults, "error", "errors") + ", " + count(warnings, "warning", "warnings")
	},
	wouldFail: func(failing int, n, of string) string {
		if failing == 0 {
			return "None of " + of + " events would fail"
		}
		return n + " of " + of + " events would fail"
	},
	wouldChange: func(failing, passing, of string) string {
		return failing + " of " + of + " events would newly fail, " + passing + " newly pass"
	},
	events: func(from, to string) string { return "events from " + from + " to " + to },
	unrunnable: func(rule, updates string) string {
		return rule + " couldn't be asked of " + updates + " updates: the source gives no before"
	},
}

var vietnamese = words{
	thousands: ".", date: "2/1",
	form:        "/schema shop-db/public.orders",
	busy:        "Đang có quá nhiều câu hỏi về schema chờ trả lời: hãy hỏi lại sau một phút.",
	failed:      "Chưa trả lời được: không kết nối được broker, Telegram hoặc thư mục schema. Hãy hỏi lại sau.",
	tooLarge:    "Tệp lớn hơn 1 MB: không schema nào lớn như vậy.",
	clean:       "lint không thấy gì sai",
	notReplayed: "Không chạy thử lại: validator sẽ không nhận tệp này.", nothingPast: "Không còn sự kiện nào của luồng để chạy thử.",
	place: "trong thư mục schema là ", already: "hiện được kiểm tra bằng ",
	key: "khóa", got: "nhận", expected: "cần",
	more:    func(n int) string { return fmt.Sprintf("… còn %d", n) },
	unknown: func(name string) string { return name + " là luồng nào?" },
	noEvents: func(name string) string {
		return "Không còn sự kiện nào của " + name + " để suy ra schema."
	},
	which: func(name string) string {
		return name + " dành cho luồng nào? Hãy gửi lại tệp kèm tên luồng bên dưới, ví dụ shop-db/public.orders"
	},
	learned: func(n, from, to string) string { return "suy ra từ " + n + " sự kiện, " + from + " đến " + to },
	found:   func(faults, warnings int) string { return fmt.Sprintf("%d lỗi, %d cảnh báo", faults, warnings) },
	wouldFail: func(failing int, n, of string) string {
		if failing == 0 {
			return "Không sự kiện nào trong " + of + " bị lỗi"
		}
		return n + " trong " + of + " sự kiện sẽ bị lỗi"
	},
	wouldChange: func(failing, passing, of string) string {
		return failing + " trong " + of + " sự kiện sẽ phát sinh lỗi, " + passing + " sẽ hết lỗi"
	},
	events: func(from, to string) string { return "sự kiện từ " + from + " đến " + to },
	unrunnable: func(rule, updates string) string {
		return rule + " không kiểm tra được ở " + updates + " lần cập nhật: nguồn không cho giá trị trước"
	},
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// number is a number with its thousands set apart.
func (d *Desk) number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + d.words.thousands + text[i:]
	}
	return text
}

// clock is a time of day, with its day where that isn't today.
func (d *Desk) clock(at time.Time) string {
	at = at.In(d.o.Zone)
	if now := time.Now().In(d.o.Zone); at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		return at.Format(d.words.date + " 15:04")
	}
	return at.Format("15:04")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// phrase is what lint or the validator finds wrong, in the language of the answers.
func (d *Desk) phrase(english string) string { return reason.Phrase(english).In(d.o.Language) }
