package chat

import (
	"fmt"
	"slices"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

// words are the desk in one language.
type words struct {
	help []helpLine

	everything, nothing, followed, untilBy, notFollowed string
	tooMany, noFeed, notDone                            string
	pauseForm, paused, resumed                          string
	lastForm, noTables, change, changes, more           string
	noSuchTable, didYouMean, unknownCommand             string
	allIsWell, ill                                      string
	behind, sourceNever                                 string
	states                                              map[source.State]string
	runs, runMany, noSign, stoppedAt, silentSince       string
	canary, canaryAge, perSecond, seconds               string
	nothingOpen, oneOpen, open, point                   string

	recordForm, recordBegins, recordEnds, recordRuns string
	recordsAlready, recordsNothing, recordUnknown    string
	recorded, recordedAtOnce, recordedOne            string
	broken, brokenOne, recordBeyond, recordBeyondOne string
	fileTooLarge, recordTooLarge                     string
	recordTooLong, recordLacks                       string
	pairUnknown, paired, pairedUser                  string
	buttonUnknown, fileFollows, busy                 string
	notHeld, partNotHeld, partNotHeldOne             string
	compareForm, comparing, alike, differ, differOne string

	date string // Go's layout of a day
}

// helpLine is a command as /help shows it. Telegram is told of those that have a menu text.
type helpLine struct{ form, does, name, menu string }

var catalogues = map[string]*words{"en": &english, "vi": &vietnamese}

func (w *words) announced() []telegram.BotCommand {
	var out []telegram.BotCommand
	for _, h := range w.help {
		if h.menu != "" {
			out = append(out, telegram.BotCommand{Name: h.name, Description: h.menu})
		}
	}
	return out
}

// unknown answers a command that there isn't.
func (w *words) unknown(name string) string {
	var names []string
	for _, h := range w.help {
		names = append(names, h.name)
	}
	for known := range elsewhere {
		names = append(names, known)
	}
	slices.Sort(names)
	near := config.Nearest(name, names)
	if near == "" {
		near = "help"
	}
	return fmt.Sprintf(w.unknownCommand, name, near)
}

func (w *words) noTable(name, near string) string {
	text := fmt.Sprintf(w.noSuchTable, name)
	if near != "" {
		text += " " + fmt.Sprintf(w.didYouMean, near)
	}
	return text
}
