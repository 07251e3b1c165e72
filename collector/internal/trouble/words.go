package trouble

import (
	"cmp"
	"fmt"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/telegram"
)

// words are the messages in one language.
type words struct {
	notRead, since, waits, do, check    string
	again, after, moved, removed        string
	notLoadedYet, inForce, mended, file string
	date                                string // Go's layout of a day
	language                            string
}

func wordsIn(language string) words {
	if language == "vi" {
		return words{
			notRead: "%s hiện không được đọc", since: "từ %s",
			waits: "Chưa mất gì: khi đọc lại sẽ tiếp tục từ chỗ đã dừng, miễn là nguồn còn giữ dữ liệu.",
			do:    "Cần làm:", check: "chạy collector check",
			again: "%s đã được đọc lại", after: "sau %s", moved: "%s: một collector khác đang đọc", removed: "%s không còn trong cấu hình",
			notLoadedYet: "%s chưa được nạp", inForce: "Cấu hình của %s vẫn có hiệu lực.", mended: "%s đã được nạp", file: "sửa tệp rồi gửi lại SIGHUP",
			date: "02/01", language: "vi",
		}
	}
	return words{
		notRead: "%s is not being read", since: "since %s",
		waits: "Nothing is lost yet: reading goes on where it stopped, as long as the source still holds what came since.",
		do:    "Do:", check: "run collector check",
		again: "%s is being read again", after: "after %s", moved: "%s: another collector reads it now", removed: "%s is no longer in the configuration",
		notLoadedYet: "%s not loaded", inForce: "The configuration of %s stays in force.", mended: "%s is loaded", file: "mend the file and send SIGHUP again",
		date: "2 Jan", language: "en",
	}
}

func (w words) clock(t time.Time) string {
	if time.Since(t) > 12*time.Hour {
		return t.Format(w.date + " 15:04")
	}
	return t.Format("15:04")
}

func (w words) trouble(m *matter, zone *time.Location) telegram.Message {
	remedy := cmp.Or(m.do.In(w.language), w.check)
	blocks := []telegram.Block{telegram.Line(
		telegram.Plain("🟠 "), telegram.Bold(fmt.Sprintf(w.notRead, m.subject)), telegram.Plain(" "+fmt.Sprintf(w.since, w.clock(m.since.In(zone)))),
	)}
	if !m.why.IsZero() {
		blocks = append(blocks, telegram.Line(telegram.Plain(m.why.Sentence(w.language))))
	}
	return telegram.NewMessage(append(blocks, telegram.Line(telegram.Plain(w.waits)), telegram.Line(telegram.Plain(w.do+" "+remedy)))...)
}

func (w words) over(m *matter) telegram.Message {
	if m.subject == configuration {
		return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(fmt.Sprintf(w.mended, m.subject))))
	}
	lasted := feed.Span(w.language, m.well.Sub(m.since))
	return telegram.NewMessage(telegram.Line(
		telegram.Plain("🟢 "), telegram.Bold(fmt.Sprintf(w.again, m.subject)), telegram.Plain(" "+fmt.Sprintf(w.after, lasted)),
	))
}

func (w words) elsewhere(m *matter) telegram.Message {
	return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(fmt.Sprintf(w.moved, m.subject))))
}

func (w words) unconfigured(m *matter) telegram.Message {
	return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(fmt.Sprintf(w.removed, m.subject))))
}

func (w words) notLoaded(m *matter, loaded time.Time) telegram.Message {
	return telegram.NewMessage(
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(fmt.Sprintf(w.notLoadedYet, m.subject)), telegram.Plain(": "+m.why.In(w.language))),
		telegram.Line(telegram.Plain(fmt.Sprintf(w.inForce, w.clock(loaded)))),
		telegram.Line(telegram.Plain(w.do+" "+w.file)),
	)
}
