package alerts

import (
	"path"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/schemas"
)

// remarkPrefix is that of the IDs of remarks about schema files: kind, file, and of which rule and stream.
const remarkPrefix = "schema-remark/"

// remarkWords say what is remarkable about a file that is right in itself: what, what it means, what to do.
type remarkWords struct {
	what, means map[schemas.RemarkKind]func(r schemas.Remark) string
	do          map[schemas.RemarkKind]func(r schemas.Remark) string
}

// base is a file's name as people read it.
func base(r schemas.Remark) string { return path.Base(r.File) }

var englishRemarks = remarkWords{
	what: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed: func(r schemas.Remark) string { return base(r) + " never applies" },
		schemas.Ambiguous: func(r schemas.Remark) string {
			return "Two files for one stream: " + base(r) + " and " + path.Base(r.Other)
		},
		schemas.Unmatched:  func(r schemas.Remark) string { return base(r) + " has matched no stream for a day" },
		schemas.Unrunnable: func(r schemas.Remark) string { return "The rule " + r.Rule + " can't run on " + r.Stream },
	},
	means: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed: func(r schemas.Remark) string {
			return r.Other + " is longer and takes every stream of it: the longest glob wins."
		},
		schemas.Ambiguous: func(r schemas.Remark) string {
			return "Both globs are as long. Where both match, the first by name judges: " + r.Other + "."
		},
		schemas.Unmatched: func(schemas.Remark) string { return "What it was written for isn't checked by it." },
		schemas.Unrunnable: func(schemas.Remark) string {
			return "It names old, and the changes come without a before image: it isn't asked."
		},
	},
	do: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed:  func(schemas.Remark) string { return "make its name longer, or remove it." },
		schemas.Ambiguous: func(schemas.Remark) string { return "make the name longer that is to win." },
		schemas.Unmatched: func(r schemas.Remark) string {
			if r.Stream != "" {
				return "rename it; did you mean " + r.Stream + ".json?"
			}
			return "rename it, or remove it: the path is the stream, in its case."
		},
		schemas.Unrunnable: func(schemas.Remark) string {
			return "give the source before images (PostgreSQL: replica identity full or triggers; MongoDB: pre-images), or remove the rule."
		},
	},
}

var vietnameseRemarks = remarkWords{
	what: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed: func(r schemas.Remark) string { return base(r) + " không bao giờ được dùng" },
		schemas.Ambiguous: func(r schemas.Remark) string {
			return "Hai tệp cho một luồng: " + base(r) + " và " + path.Base(r.Other)
		},
		schemas.Unmatched: func(r schemas.Remark) string { return base(r) + " không khớp luồng nào suốt một ngày" },
		schemas.Unrunnable: func(r schemas.Remark) string {
			return "Quy tắc " + r.Rule + " không chạy được trên " + r.Stream
		},
	},
	means: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed: func(r schemas.Remark) string {
			return r.Other + " dài hơn và nhận hết các luồng của nó: mẫu dài nhất thắng."
		},
		schemas.Ambiguous: func(r schemas.Remark) string {
			return "Hai mẫu dài bằng nhau. Nơi cả hai cùng khớp, tệp đứng trước theo tên sẽ kiểm tra: " + r.Other + "."
		},
		schemas.Unmatched: func(schemas.Remark) string {
			return "Dữ liệu mà tệp này nhắm tới không được kiểm tra bằng nó."
		},
		schemas.Unrunnable: func(schemas.Remark) string {
			return "Quy tắc dùng old, mà thay đổi đến không kèm giá trị trước đó: quy tắc không được kiểm tra."
		},
	},
	do: map[schemas.RemarkKind]func(schemas.Remark) string{
		schemas.Shadowed:  func(schemas.Remark) string { return "đặt tên dài hơn, hoặc xóa tệp." },
		schemas.Ambiguous: func(schemas.Remark) string { return "đặt tên dài hơn cho tệp cần thắng." },
		schemas.Unmatched: func(r schemas.Remark) string {
			if r.Stream != "" {
				return "đổi tên tệp; có phải ý bạn là " + r.Stream + ".json?"
			}
			return "đổi tên hoặc xóa tệp: đường dẫn chính là luồng, phân biệt hoa thường."
		},
		schemas.Unrunnable: func(schemas.Remark) string {
			return "cho nguồn gửi giá trị trước (PostgreSQL: replica identity full hoặc trigger; MongoDB: pre-image), hoặc xóa quy tắc."
		},
	},
}

func remarkID(r schemas.Remark) string {
	id := remarkPrefix + string(r.Kind) + "/" + r.File
	if r.Kind == schemas.Unrunnable {
		id += " " + r.Rule + " " + r.Stream
	}
	return id
}

func remarkTrouble(r schemas.Remark, now time.Time) *trouble {
	return &trouble{
		severity: event.Warning, last: now, text: r.Other + r.Stream,
		message: func(w writer) telegram.Message { return w.remark(r) },
	}
}

// remark is the message about a file that can't do what its author meant.
func (w writer) remark(r schemas.Remark) telegram.Message {
	words := w.words.remarks
	return telegram.NewMessage(
		telegram.Line(w.sign(), telegram.Bold(words.what[r.Kind](r))),
		telegram.Line(telegram.Plain(words.means[r.Kind](r))),
		telegram.Line(telegram.Plain(w.words.troubles.do+words.do[r.Kind](r))),
		telegram.Line(telegram.Code(r.File)),
	)
}
