package alerts

import (
	"encoding/json"
	"fmt"
	"time"

	"datawatch/pkg/telegram"
)

// sent is what people were last shown of a subject: a group, or a schema file that fails.
type sent struct {
	Version  int           `json:"version"` // 1
	Message  telegram.Ref  `json:"message"`
	Route    telegram.Chat `json:"route"` // the configured chat that it was sent to
	Text     string        `json:"text"`  // a hash of what it says
	At       time.Time     `json:"at"`
	Wrong    bool          `json:"wrong,omitempty"` // rows of the group have stood as wrong
	MendedAt time.Time     `json:"mended_at,omitzero"`

	AckBy      string    `json:"ack_by,omitempty"`
	AckAt      time.Time `json:"ack_at,omitzero"`
	MutedBy    string    `json:"muted_by,omitempty"`
	MutedUntil time.Time `json:"muted_until,omitzero"` // the message isn't edited until then
}

func readSent(state map[string][]byte) (map[string]sent, error) {
	all := make(map[string]sent, len(state))
	for key, value := range state {
		var s sent
		if err := json.Unmarshal(value, &s); err != nil {
			return nil, fmt.Errorf("read state %s: %w", key, err)
		}
		if s.Version != 1 {
			return nil, fmt.Errorf("read state %s: version %d is newer than this program", key, s.Version)
		}
		all[key[len(messagePrefix):]] = s
	}
	return all, nil
}
