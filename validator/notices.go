package validator

import (
	"context"
	"fmt"
	"log/slog"

	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/judge"
)

// notices tells people once of what is no alert of the data.
type notices struct {
	config config.Telegram
	bot    *telegram.Client
	log    *slog.Logger
	waits  chan judge.Stuck
}

func newNotices(c config.Telegram, bot *telegram.Client, log *slog.Logger) *notices {
	return &notices{config: c, bot: bot, log: log, waits: make(chan judge.Stuck, 100)}
}

// stuck has people told; it never blocks. What is too much at once is in the log and the metric alone.
func (n *notices) stuck(s judge.Stuck) {
	if s.Gone() == 0 { // what there is to be told of the others their alerts tell
		return
	}
	select {
	case n.waits <- s:
	default:
		n.log.Warn("too many notices at once: this one isn't sent", "stream", s.Stream)
	}
}

// run sends until ctx is done, and returns its error.
func (n *notices) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-n.waits:
			if _, err := n.bot.Send(ctx, telegram.ChatOf(n.config.Alerts), n.message(s), telegram.Warning); err != nil && ctx.Err() == nil {
				n.log.Warn("a notice couldn't be sent", "stream", s.Stream, "error", err)
			}
		}
	}
}

func (n *notices) message(s judge.Stuck) telegram.Message {
	since := "–"
	if !s.Since.IsZero() {
		since = s.Since.In(n.config.Timezone.Location).Format("2006-01-02 15:04:05")
	}
	source, table := s.Stream.Source(), s.Stream.Readable()
	head := fmt.Sprintf("%d wrong rows of %s / %s can't be judged again", s.Gone(), source, table)
	why := "The schema file changed, and clean doesn't hold their events, or not whole: it reaches back to " + since + ". They stand as they were until their next change."
	do, command := "Do: run ", fmt.Sprintf("collector snapshot --source %s --stream %s", source, s.Stream)
	rest := " to have every row judged."
	if n.config.Language == "vi" {
		head = fmt.Sprintf("%d dòng sai của %s / %s không thể kiểm tra lại", s.Gone(), source, table)
		why = "Tệp schema đã đổi, mà clean không giữ sự kiện của các dòng này, hoặc giữ không đủ: dữ liệu trong đó bắt đầu từ " + since + ". Các dòng này giữ nguyên kết luận cũ cho đến lần thay đổi tiếp theo."
		do, rest = "Cách xử lý: chạy ", " để kiểm tra lại mọi dòng."
	}
	return telegram.NewMessage(
		telegram.Line(telegram.Plain("🟠 "), telegram.Bold(head)).Ranked(telegram.Head),
		telegram.Line(telegram.Plain(why)),
		telegram.Line(telegram.Plain(do), telegram.Code(command), telegram.Plain(rest)),
	)
}
