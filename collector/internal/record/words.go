package record

import (
	"strings"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/event"
)

// words are what a page says in one language. Forms with %s take a number in the language's form.
type words struct {
	language, title, heading             string
	changes, changesOne                  string
	transactions, transactionsOne        string
	broken, brokenOne, beyond, beyondOne string
	left, leftOne                        string
	tag, expected                        string
	ops                                  map[event.Op]string
}

var catalogues = map[string]*words{
	"en": {
		language: "en", title: "datawatch recording", heading: "Recording", changes: "%s changes", changesOne: "%s change",
		transactions: "in %s transactions and records", transactionsOne: "in %s transaction or record",
		broken: "%s rules broken", brokenOne: "%s rule broken", beyond: "%s more changes didn't fit", beyondOne: "%s more change didn't fit",
		left: "… %s more transactions and records: the file with JSON Lines has them.", leftOne: "… %s more transaction or record: the file with JSON Lines has it.",
		tag: "tag", expected: "expected",
		ops: map[event.Op]string{"insert": "insert", "update": "update", "delete": "delete", "truncate": "truncate", "read": "read", "message": "message"},
	},
	"vi": {
		language: "vi", title: "bản ghi datawatch", heading: "Bản ghi", changes: "%s thay đổi", changesOne: "%s thay đổi",
		transactions: "trong %s giao dịch và bản ghi Kafka", transactionsOne: "trong %s giao dịch hoặc bản ghi Kafka",
		broken: "%s quy tắc bị vi phạm", brokenOne: "%s quy tắc bị vi phạm", beyond: "còn %s thay đổi không chứa hết", beyondOne: "còn %s thay đổi không chứa hết",
		left: "… còn %s giao dịch và bản ghi Kafka: xem trong tệp JSON Lines.", leftOne: "… còn %s giao dịch hoặc bản ghi Kafka: xem trong tệp JSON Lines.",
		tag: "tag", expected: "đúng ra là",
		ops: map[event.Op]string{"insert": "thêm", "update": "sửa", "delete": "xóa", "truncate": "xóa sạch", "read": "đọc", "message": "bản ghi"},
	},
}

// wordsIn are those of a language; "" is English.
func wordsIn(language string) *words {
	if w := catalogues[language]; w != nil {
		return w
	}
	return catalogues["en"]
}

// some fills a count into a form for one or for many.
func (w *words) some(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return strings.Replace(many, "%s", feed.Number(w.language, n), 1)
}
