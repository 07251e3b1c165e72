package alerts

import (
	"path"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/telegram"
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
	source            func(name string) string
	sourceMeans       string
	sourceDo          string
	lag               func(name, span string) string
	lagMeans, lagDo   string
	outbox            func(name, percent string) string
	outboxIs          func(bytes, most string) string
	outboxMeans       string
	outboxDo          string
	window            func(name string) string
	windowIs          func(left, size string) string
	windowMeans       string
	oplogIs           func(left, size string) string
	oplogDo           string
	windowDo          string
	gap               func(source string, streams int, more bool) string
	gapLost           func(n string) string
	gapSome           string
	do                string
	again             func(name string) string
	several           func(n string) string
	near, over        map[string]func(name string) string // by the ID's prefix: what it is in a line, and that it is over
	was               map[string]string                   // by the ID's prefix, of what lasted: what it was, before from when to when
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
	source:      func(name string) string { return name + " is not being read" },
	sourceMeans: "Nothing is lost yet: reading goes on where it stopped, as long as the source still holds what came since.",
	sourceDo:    "run collector check.",
	lag:         func(name, span string) string { return name + " is " + span + " behind, and doesn't catch up" },
	lagMeans:    "What changes there is shown and checked that much later. Nothing is lost as long as the source holds it.",
	lagDo:       "see whether the source writes more than usual, and whether collector and broker have CPU and network to spare; a source of Kafka can be split (shards).",
	outbox:      func(name, percent string) string { return "The outbox of " + name + " is " + percent + " full" },
	outboxIs:    func(bytes, most string) string { return bytes + " of " + most + " wait in the database." },
	outboxMeans: "When it is full, capture stops: changes from then on are a gap. The application's writes are fine.",
	outboxDo:    "see why the collector doesn't get on (/status, its log), or raise outbox.max_bytes.",
	window:      func(name string) string { return name + " won't hold back much longer what is to be read" },
	windowIs:    func(left, size string) string { return left + " of " + size + " are left of what its slot holds back." },
	oplogIs: func(left, size string) string {
		return left + " of the " + size + " that the oplog reaches back are left."
	},
	oplogDo:     "see why the collector doesn't get on (/status, its log), or make the oplog larger (replSetResizeOplog).",
	windowMeans: "Beyond that the server removes what wasn't read: those changes are lost, and a gap.",
	windowDo:    "see why the collector doesn't get on (/status, its log), or raise max_slot_wal_keep_size.",
	gap: func(source string, streams int, more bool) string {
		switch {
		case more:
			return source + ": a gap in more than " + strconv.Itoa(streams) + " streams"
		case streams == 1:
			return source + ": a gap"
		}
		return source + ": a gap in " + strconv.Itoa(streams) + " streams"
	},
	gapLost: func(n string) string { return n + " changes from then were not captured." },
	gapSome: "Changes from then may not have been captured: they were never checked, and aren't in clean.",
	do:      "Do: ",
	again:   func(name string) string { return name + ": over" },
	near: map[string]func(string) string{
		lagPrefix: func(name string) string { return name + " is behind" }, outboxPrefix: func(name string) string { return "The outbox of " + name + " is nearly full" },
		windowPrefix: func(name string) string { return name + " won't hold back much longer what is to be read" },
	},
	several: func(n string) string { return "datawatch: " + n + " troubles at once" },
	was: map[string]string{
		sourcePrefix: "wasn't read", lagPrefix: "was behind", outboxPrefix: "was nearly full", windowPrefix: "was near its end", silentPrefix: "was silent",
		partPrefix: "was out of order", routePrefix: "weren't delivered there", canaryPrefix: "didn't come through", filePrefix: "wasn't loaded",
	},
	over: map[string]func(string) string{
		silentPrefix: func(service string) string { return "The " + service + " is heard again" },
		partPrefix:   func(part string) string { return strings.Replace(part, "/", ": ", 1) + " is in order again" },
		routePrefix:  func(chat string) string { return "Alerts can be delivered to chat " + chat + " again" },
		canaryPrefix: func(string) string { return "Changes come through to the verdict again" },
		sourcePrefix: func(name string) string { return name + " is being read again" },
		lagPrefix:    func(name string) string { return name + " has caught up" },
		outboxPrefix: func(name string) string { return "The outbox of " + name + " has room again" },
		windowPrefix: func(name string) string { return name + " holds back enough again" },
	},
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
	part:       func(service, part string) string { return service + ": " + part + " đang gặp sự cố" },
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
	source:      func(name string) string { return name + " hiện không được đọc" },
	sourceMeans: "Chưa mất gì: khi đọc lại sẽ tiếp tục từ chỗ đã dừng, miễn là nguồn còn giữ dữ liệu.",
	sourceDo:    "chạy collector check.",
	lag:         func(name, span string) string { return name + " bị chậm " + span + " và chưa bắt kịp" },
	lagMeans:    "Thay đổi ở đó hiện ra và được kiểm tra chậm chừng ấy. Chưa mất gì, chừng nào nguồn còn giữ.",
	lagDo:       "xem nguồn có ghi nhiều hơn thường lệ không, collector và broker còn dư CPU và mạng không; nguồn Kafka có thể chia nhỏ (shards).",
	outbox:      func(name, percent string) string { return "Outbox của " + name + " đã đầy " + percent },
	outboxIs: func(bytes, most string) string {
		return bytes + " trên " + most + " đang chờ trong cơ sở dữ liệu."
	},
	outboxMeans: "Khi đầy, việc thu nhận dừng lại: thay đổi từ lúc đó bị thiếu. Ứng dụng vẫn ghi bình thường.",
	outboxDo:    "xem vì sao collector không theo kịp (/status, log), hoặc tăng outbox.max_bytes.",
	window:      func(name string) string { return name + " sắp không giữ được những gì chưa đọc" },
	windowIs: func(left, size string) string {
		return "Slot chỉ còn giữ được thêm " + left + " trên " + size + "."
	},
	oplogIs: func(left, size string) string {
		return "Chỉ còn " + left + " trong " + size + " mà oplog giữ được."
	},
	oplogDo:     "xem vì sao collector không theo kịp (/status, log), hoặc tăng cỡ oplog (replSetResizeOplog).",
	windowMeans: "Quá mức đó máy chủ xóa những gì chưa đọc: các thay đổi ấy bị mất và thành khoảng thiếu.",
	windowDo:    "xem vì sao collector không theo kịp (/status, log), hoặc tăng max_slot_wal_keep_size.",
	gap: func(source string, streams int, more bool) string {
		switch {
		case more:
			return source + ": hơn " + strconv.Itoa(streams) + " luồng có khoảng thiếu"
		case streams == 1:
			return source + ": có khoảng thiếu"
		}
		return source + ": " + strconv.Itoa(streams) + " luồng có khoảng thiếu"
	},
	gapLost: func(n string) string { return n + " thay đổi trong khoảng này không được ghi lại." },
	gapSome: "Thay đổi trong khoảng này có thể không được ghi lại: chúng không được kiểm tra và không có trong clean.",
	do:      "Cần làm: ",
	again:   func(name string) string { return name + ": đã hết" },
	near: map[string]func(string) string{
		lagPrefix: func(name string) string { return name + " đang bị chậm" }, outboxPrefix: func(name string) string { return "Outbox của " + name + " gần đầy" },
		windowPrefix: func(name string) string { return name + " sắp không giữ được những gì chưa đọc" },
	},
	several: func(n string) string { return "datawatch: " + n + " sự cố cùng lúc" },
	was: map[string]string{
		sourcePrefix: "không được đọc", lagPrefix: "bị chậm", outboxPrefix: "gần đầy", windowPrefix: "gần hết mức giữ", silentPrefix: "im lặng",
		partPrefix: "gặp sự cố", routePrefix: "không gửi được", canaryPrefix: "không đến được", filePrefix: "chưa nạp được",
	},
	over: map[string]func(string) string{
		silentPrefix: func(service string) string { return service + " đã có tín hiệu trở lại" },
		partPrefix:   func(part string) string { return strings.Replace(part, "/", ": ", 1) + " đã hoạt động lại" },
		routePrefix:  func(chat string) string { return "Đã gửi được cảnh báo đến nhóm " + chat },
		canaryPrefix: func(string) string { return "Thay đổi lại đến được khâu kiểm tra" },
		sourcePrefix: func(name string) string { return name + " đã được đọc lại" },
		lagPrefix:    func(name string) string { return name + " đã bắt kịp" },
		outboxPrefix: func(name string) string { return "Outbox của " + name + " đã có chỗ trở lại" },
		windowPrefix: func(name string) string { return name + " lại giữ được đủ" },
	},
}

func (w writer) silent(service string, since time.Time) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.silent(service), since, "", t.silentMeans[service], t.silentDo(service))
}

func (w writer) part(service string, p control.Part) telegram.Message {
	t := w.words.troubles
	return w.trouble(t.part(service, w.partName(p.Name)), p.Since, w.sentence(p.Why, p.Reason), t.partMeans, t.partDo)
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
	return w.trouble(t.dead(w.words.number(l.Count), stream), l.First, w.letter(l.Class, l.Reason), t.deadMeans, t.deadDo)
}

// failure is the message of a schema file that can't be loaded.
func (w writer) failure(f schemas.Failure) telegram.Message {
	p := f.Problem
	text := ": "
	if p.Line > 0 {
		text += w.words.line + " " + w.words.number(int64(p.Line)) + ", "
	}
	text += w.phrase(p.Message)
	if p.Hint != "" {
		text += " (" + w.phrase(p.Hint) + ")"
	}
	stays := w.words.unchecked
	if f.InForce != nil {
		stays = w.words.stays(w.moment(f.InForce.LoadedAt, "15:04"))
	}
	return telegram.NewMessage(telegram.Line(
		w.sign(), telegram.Bold(path.Base(p.File)+" "+w.words.notLoaded), telegram.Plain(text+". "+stays),
	), telegram.Line(telegram.Code(p.File)))
}

// troubleName is what a trouble is about, by its ID.
func (w writer) troubleName(id string) string {
	kind, name, _ := strings.Cut(id, "/")
	switch kind + "/" {
	case silentPrefix:
		return w.words.troubles.silent(name)
	case partPrefix:
		service, part, _ := strings.Cut(name, "/")
		return w.words.troubles.part(service, w.partName(part))
	case routePrefix:
		return w.words.troubles.route(name)
	case deadPrefix:
		stream, class, _ := strings.Cut(name, " ")
		return stream + ": " + w.letter(class, "")
	case sourcePrefix:
		return w.words.troubles.source(name)
	case lagPrefix, outboxPrefix, windowPrefix:
		return w.words.troubles.near[kind+"/"](name)
	case gapPrefix:
		source, _, _ := strings.Cut(name, " ")
		return w.words.troubles.gap(source, 1, false)
	case canaryPrefix:
		return w.words.troubles.canary
	case filePrefix:
		return path.Base(name) + " " + w.words.notLoaded
	case remarkPrefix:
		_, name, _ = strings.Cut(name, "/")
		return name
	}
	return id
}
