package telegram

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"datawatch/pkg/reason"
)

// outcome classifies what came of one attempt; it is also the metric's label.
type outcome string

const (
	done        outcome = "ok"
	notModified outcome = "not_modified" // an edit that changes nothing: as good as done
	logged      outcome = "logged"       // there is no token
	flood       outcome = "flood"        // again after the time that Telegram names
	network     outcome = "network"      // again, with growing pauses
	server      outcome = "server"       // the same: 5xx, or an answer that isn't Telegram's
	migrated    outcome = "migrated"     // again, to the new chat
	threadGone  outcome = "thread_gone"  // again, without the thread
	unparsed    outcome = "unparsed"     // again, as plain text
	messageGone outcome = "message_gone" // the caller sends a new one
	refused     outcome = "refused"      // somebody has to mend the chat or the token
	rejected    outcome = "rejected"     // never, as it is
	cancelled   outcome = "cancelled"
)

var outcomes = []outcome{
	done, notModified, logged, flood, network, server, migrated, threadGone, unparsed, messageGone, refused, rejected, cancelled,
}

// verdict is an outcome with what belongs to it.
type verdict struct {
	outcome outcome
	err     error
	wait    time.Duration // of a flood
	chat    int64         // of a migration
	remedy  reason.Text   // of a refusal
}

// judge reads an error of the client library. Texts are compared where the library has no type of its own, in small
// letters: https://github.com/tdlib/telegram-bot-api is where they come from.
func judge(err error) verdict {
	var tooMuch tele.FloodError
	var moved tele.GroupError
	var page *proxyError
	switch {
	case err == nil:
		return verdict{outcome: done}
	case errors.As(err, &tooMuch):
		return verdict{outcome: flood, err: err, wait: time.Duration(max(tooMuch.RetryAfter, 1)) * time.Second}
	case errors.As(err, &moved):
		return verdict{outcome: migrated, err: err, chat: moved.MigratedTo}
	case errors.As(err, &page):
		return verdict{outcome: server, err: page}
	case isNetwork(err):
		return verdict{outcome: network, err: cause(err)}
	}
	return judgeText(err)
}

var textOutcomes = []struct {
	part    string
	outcome outcome
}{
	{"message is not modified", notModified},
	{"can't parse entities", unparsed},
	{"message thread not found", threadGone},
	{"topic_deleted", threadGone},
	{"topic_closed", threadGone},
	{"message to edit not found", messageGone},
	{"message can't be edited", messageGone},
	{"message_id_invalid", messageGone},
}

func judgeText(err error) verdict {
	code, text := statusOf(err), strings.ToLower(err.Error())
	for _, t := range textOutcomes {
		if strings.Contains(text, t.part) {
			return verdict{outcome: t.outcome, err: err}
		}
	}
	switch {
	case code == http.StatusUnauthorized || code == http.StatusNotFound:
		return verdict{outcome: refused, err: err, remedy: reason.DoTelegramToken.With()}
	case code == http.StatusForbidden:
		return verdict{outcome: refused, err: err, remedy: reason.DoTelegramAdd.With()}
	case strings.Contains(text, "chat not found"):
		return verdict{outcome: refused, err: err, remedy: reason.DoTelegramChatID.With()}
	case strings.Contains(text, "rights to send"), strings.Contains(text, "chat_write_forbidden"), strings.Contains(text, "chat_restricted"):
		return verdict{outcome: refused, err: err, remedy: reason.DoTelegramWrite.With()}
	case code == http.StatusTooManyRequests:
		return verdict{outcome: flood, err: err, wait: 5 * time.Second}
	case code >= 500 || code == 0:
		return verdict{outcome: server, err: err}
	default:
		return verdict{outcome: rejected, err: err}
	}
}

var statusAtEnd = regexp.MustCompile(`\((\d{3})\)$`)

// statusOf is Telegram's error code, which the library writes at the end of its texts; 0 where there is none.
func statusOf(err error) int {
	var e *tele.Error
	if errors.As(err, &e) {
		return e.Code
	}
	m := statusAtEnd.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	return int(m[1][0]-'0')*100 + int(m[1][1]-'0')*10 + int(m[1][2]-'0')
}

func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// cause takes the URL off a network error: it says nothing that helps.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
