package alerts

import (
	"path"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

// troubleWords say what is wrong with ourselves: what happened, what it means for the data, what to do.
type troubleWords struct {
	silent            func(service string) string
	silentMeans       map[string]string // by service
	silentDo          func(service string) string
	part              func(service, part string) string
	partMeans, partDo string
	route             func(chat string) string
	routeMeans        string
	routeDo           string
	dead              func(n, stream string) string
	deadMeans, deadDo string
	canary            string
	canaryIn          func(partition string) string
	canaryMeans       string
	canaryDo          string
	do                string
	again             func(name string) string
}

var englishTroubles = troubleWords{
	silent: func(service string) string { return "The " + service + " is silent" },
	silentMeans: map[string]string{
		"collector":    "Nothing is captured. Changes wait at their sources, as long as those hold them.",
		"preprocessor": "Nothing comes into clean. Changes wait in raw.",
		"validator":    "Nothing is being checked. Events wait in clean.",
	},
	silentDo:   func(service string) string { return "is it running? Look at its log, and run " + service + " check." },
	part:       func(service, part string) string { return service + ": " + part + " is out of order" },
	partMeans:  "Until it is mended, nothing new comes through there; what waits comes afterwards, as long as it is held.",
	partDo:     "see its reason above; check tells what is missing, by line.",
	route:      func(chat string) string { return "Alerts can't be delivered to chat " + chat },
	routeMeans: "They come to this chat until they can.",
	routeDo:    "add the bot to that chat, or mend telegram.owners.",
	dead:       func(n, stream string) string { return n + " records of " + stream + " were not understood" },
	deadMeans:  "They aren't in clean, and nothing checks them. They are kept in deadletter.",
	deadDo:     "mend the reason, then run preprocessor deadletters replay.",
	canary:     "Changes don't come through to the verdict",
	canaryIn: func(partition string) string {
		return "The last canary of partition " + partition + " that came back was sent then; one is sent every 10 seconds."
	},
	canaryMeans: "What was written since isn't checked yet, and the feed or the alerts may be behind. Nothing is lost: it waits in raw or in clean.",
	canaryDo:    "see /status; then /readyz and the log of collector, preprocessor and validator, in this order.",
	do:          "Do: ",
	again:       func(name string) string { return name + ": over" },
}

var vietnameseTroubles = troubleWords{
	silent: func(service string) string { return service + " im lặng" },
	silentMeans: map[string]string{
		"collector":    "Không có gì được thu nhận. Thay đổi chờ tại nguồn, chừng nào nguồn còn giữ.",
		"preprocessor": "Không có gì vào clean. Thay đổi chờ trong raw.",
		"validator":    "Không có gì được kiểm tra. Sự kiện chờ trong clean.",
	},
	silentDo: func(service string) string {
		return "dịch vụ có đang chạy không? Xem log và chạy " + service + " check."
	},
	part:       func(service, part string) string { return service + ": " + part + " đang hỏng" },
	partMeans:  "Đến khi sửa xong, không có gì mới đi qua đó; những gì đang chờ sẽ đến sau, chừng nào còn được giữ.",
	partDo:     "xem nguyên nhân ở trên; lệnh check chỉ ra từng chỗ còn thiếu.",
	route:      func(chat string) string { return "Không gửi được cảnh báo đến nhóm " + chat },
	routeMeans: "Cảnh báo đến nhóm này cho tới khi gửi được.",
	routeDo:    "thêm bot vào nhóm đó, hoặc sửa telegram.owners.",
	dead:       func(n, stream string) string { return n + " bản ghi của " + stream + " không hiểu được" },
	deadMeans:  "Chúng không vào clean và không được kiểm tra. Chúng được giữ trong deadletter.",
	deadDo:     "sửa nguyên nhân, rồi chạy preprocessor deadletters replay.",
	canary:     "Thay đổi không đến được khâu kiểm tra",
	canaryIn: func(partition string) string {
		return "Tín hiệu thử cuối cùng của phân vùng " + partition + " quay về được gửi lúc đó; cứ 10 giây có một tín hiệu."
	},
	canaryMeans: "Những gì được ghi từ đó chưa được kiểm tra; tin trực tiếp hoặc cảnh báo có thể đến chậm. Chưa mất gì: dữ liệu chờ trong raw hoặc clean.",
	canaryDo:    "xem /status; rồi xem /readyz và log của collector, preprocessor và validator, theo thứ tự đó.",
	do:          "Cần làm: ",
	again:       func(name string) string { return name + ": đã hết" },
}

// trouble writes what all messages of our own troubles have: what, since when, why, what it means, what to do.
func (w writer) trouble(what string, since time.Time, reason, means, do string) telegram.Message {
	blocks := []telegram.Block{telegram.Line(telegram.Plain("🟠 "), telegram.Bold(what), telegram.Plain(" · "+w.words.since+" "+w.moment(since, "15:04")))}
	for _, text := range []string{telegram.Shorten(reason, 600), means} {
		if text != "" {
			blocks = append(blocks, telegram.Line(telegram.Plain(text)))
		}
	}
	return telegram.NewMessage(append(blocks, telegram.Line(telegram.Plain(w.words.troubles.do+do)))...)
}

func (w writer) silent(service string, since time.Time) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.silent(service), since, "", t.silentMeans[service], t.silentDo(service))
}

func (w writer) part(service, name, reason string, since time.Time) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.part(service, name), since, reason, t.partMeans, t.partDo)
}

func (w writer) canary(partition int32, sent time.Time) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.canary, sent, t.canaryIn(strconv.Itoa(int(partition))), t.canaryMeans, t.canaryDo)
}

func (w writer) route(chat telegram.Chat, r refusal) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.route(strconv.FormatInt(chat.ID, 10)), r.since, r.reason, t.routeMeans, t.routeDo)
}

func (w writer) dead(l *letters) telegram.Message {
	t := w.words.troubles
	stream := w.words.others
	if l.Stream != "" {
		stream = place(l.Stream)
	}
	return w.trouble(t.dead(w.words.number(l.Count), stream), l.First, l.Class+": "+l.Reason, t.deadMeans, t.deadDo)
}

// failure is the message of a schema file that can't be loaded.
func (w writer) failure(f schemas.Failure) telegram.Message {
	p := f.Problem
	text := ": "
	if p.Line > 0 {
		text += w.words.line + " " + w.words.number(int64(p.Line)) + ", "
	}
	text += p.Message
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	stays := w.words.unchecked
	if f.InForce != nil {
		stays = w.words.stays(w.moment(f.InForce.LoadedAt, "15:04"))
	}
	return telegram.NewMessage(telegram.Line(
		telegram.Plain("🟠 "), telegram.Bold(path.Base(p.File)+" "+w.words.notLoaded), telegram.Plain(text+". "+stays),
	), telegram.Line(telegram.Code(p.File)))
}

func (w writer) mendedFile(file string, at time.Time) telegram.Message {
	return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(path.Base(file)+" "+w.words.loaded), telegram.Plain(" · "+w.moment(at, "15:04"))),
		telegram.Line(telegram.Code(file)))
}

// troubleName is what a trouble is about, by its ID.
func (w writer) troubleName(id string) string {
	kind, name, _ := strings.Cut(id, "/")
	switch kind + "/" {
	case silentPrefix:
		return w.words.troubles.silent(name)
	case partPrefix:
		service, part, _ := strings.Cut(name, "/")
		return w.words.troubles.part(service, part)
	case routePrefix:
		return w.words.troubles.route(name)
	case deadPrefix:
		stream, class, _ := strings.Cut(name, " ")
		return stream + ": " + class
	case "canary/":
		return w.words.troubles.canary
	case filePrefix:
		return path.Base(name) + " " + w.words.notLoaded
	case remarkPrefix:
		_, name, _ = strings.Cut(name, "/")
		return name
	}
	return id
}

// troubleMessage is the message of a trouble of our own, with what people decided of it.
func (s *sender) troubleMessage(w writer, id string, c *life.Card) telegram.Message {
	t := s.troubles[id]
	if t == nil || !c.Alive() {
		if file, ok := strings.CutPrefix(id, filePrefix); ok {
			return w.mendedFile(file, c.OverAt)
		}
		return telegram.NewMessage(telegram.Line(telegram.Plain("🟢 "), telegram.Bold(w.words.troubles.again(w.troubleName(id))), telegram.Plain(" · "+w.moment(c.OverAt, "15:04"))))
	}
	m := t.message(w)
	w.quiet = t.last
	if _, state := w.state(t.severity, c); state != "" {
		m.Blocks = append(m.Blocks, telegram.Line(telegram.Italic(state)))
	}
	m.Blocks = append(m.Blocks, w.notes(c)...)
	m.Buttons = w.buttons(id, c)
	return m
}
