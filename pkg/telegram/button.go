package telegram

import (
	"fmt"
	"strings"
)

// maxCallback is how many bytes a button can carry (https://core.telegram.org/bots/api#inlinekeyboardbutton). The library's
// own prefix isn't used, so all of them are ours.
const maxCallback = 64

// Button is one under a message: pressed, it comes back to the poller as a Press, or opens an address.
type Button struct {
	Text string
	Data string // at most 64 bytes; see Action
	URL  string // http or https, instead of Data
}

// Action is the data of a button: a verb and what it is about, "ack k3f9a1". Press.Action reads it back.
func Action(verb string, about ...string) string {
	return strings.Join(append([]string{verb}, about...), " ")
}

type keyboard struct {
	Rows [][]key `json:"inline_keyboard"`
}

type key struct {
	Text string `json:"text"`
	Data string `json:"callback_data,omitempty"`
	URL  string `json:"url,omitempty"`
}

func keyboardOf(rows [][]Button) (keyboard, error) {
	k := keyboard{Rows: [][]key{}}
	for _, row := range rows {
		var keys []key
		for _, b := range row {
			if len(b.Data) > maxCallback {
				return k, fmt.Errorf("button %q carries %d bytes, Telegram takes %d: %w", b.Text, len(b.Data), maxCallback, ErrRejected)
			}
			if b.Text == "" || (b.Data == "") == (b.URL == "") {
				return k, fmt.Errorf("button %q needs a text, and either data or an address: %w", b.Text, ErrRejected)
			}
			keys = append(keys, key{Text: oneLine(b.Text), Data: b.Data, URL: b.URL})
		}
		if len(keys) > 0 {
			k.Rows = append(k.Rows, keys)
		}
	}
	return k, nil
}
