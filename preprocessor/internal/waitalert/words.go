package waitalert

// words are the messages in one language.
type words struct {
	some, one, many string // of the stream, how many wait
	lost            string
	since           string
	noSchema        string // its id
	noRegistry      string // its address, the error
	kept, inLetters string // what it means
	until           string // what comes of it then
	do              string
	mendSchema      string
	mendRegistry    string
	replay          string // the stream
	goesOn          string // the stream
	waited, letters string
	replayNow       string
	minutes, hours  string
	thousands       string
	date            string // Go's layout of a day
}

const command = "preprocessor deadletters replay --class schema_unavailable --stream %s"

func wordsIn(language string) words {
	if language == "vi" {
		return words{
			some: "Bản ghi của %s đang chờ", one: "1 bản ghi của %s đang chờ", many: "%s bản ghi của %s đang chờ",
			lost: "Bản ghi của %s đang vào dead letter", since: "từ",
			noSchema: "Schema id %d không có trong registry.", noRegistry: "Schema registry %s không trả lời (%v).",
			kept: "Không mất gì: chúng sẽ đến khi có lại, các bản ghi phía sau cũng vậy.", inLetters: "Chúng được giữ trong dead letter.",
			until: "Nếu đến %s vẫn chưa có, chúng vào dead letter.", do: "Cần làm:",
			mendSchema: "đăng ký schema đó, hoặc xem vì sao nó bị xóa.", mendRegistry: "kiểm tra registry, và schema_registry trong cấu hình.",
			replay: "khi có lại, chạy " + command, goesOn: "%s đã chạy tiếp",
			waited: "Các bản ghi đã chờ %s. Không mất gì.", letters: "Những gì đến từ %s nằm trong dead letter.", replayNow: "chạy " + command,
			minutes: "%d phút", hours: "%d giờ", thousands: ".", date: "02/01",
		}
	}
	return words{
		some: "Records of %s wait", one: "1 record of %s waits", many: "%s records of %s wait",
		lost: "Records of %s become dead letters", since: "since",
		noSchema: "Schema id %d is not in the registry.", noRegistry: "The schema registry %s doesn't answer (%v).",
		kept: "Nothing is lost: they come when it is there, and so does what is behind them.", inLetters: "They are kept there.",
		until: "If it isn't there by %s, they become dead letters.", do: "Do:",
		mendSchema: "register that schema, or see why it is gone.", mendRegistry: "see to the registry, and to schema_registry in the configuration.",
		replay: "when it is there, run " + command, goesOn: "%s goes on",
		waited: "Its records have waited %s. Nothing was lost.", letters: "What came since %s is in the dead letters.", replayNow: "run " + command,
		minutes: "%d min", hours: "%d h", thousands: ",", date: "2 Jan",
	}
}
