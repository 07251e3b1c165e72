package feed

import (
	"time"

	"datawatch/pkg/telegram"
)

// Following is what a chat follows and until when it is silent: what has to outlive the process.
type Following struct {
	Version int           `json:"version"` // 1
	Chat    telegram.Chat `json:"chat"`
	Follows []*Follow     `json:"follows"`
	Paused  time.Time     `json:"paused,omitzero"`
}

// Follow has a chat, or a thread of it, shown what matches from now on. Following the same anew prolongs it.
func (f *Feed) Follow(chat telegram.Chat, what *Follow) error {
	v, err := f.audience.join(chat)
	if err != nil {
		return err
	}
	return v.follow(what)
}

// Unfollow ends what the chat follows by that text; "" is all of it. It tells how many ended.
func (f *Feed) Unfollow(chat telegram.Chat, text string) int {
	v := f.audience.of(chat)
	if v == nil {
		return 0
	}
	return v.unfollow(text)
}

// Pause shows a chat nothing before until, and then as numbers what it missed. A time that is over ends a pause. It tells
// false where the chat is shown nothing anyway.
func (f *Feed) Pause(chat telegram.Chat, until time.Time) bool {
	v := f.audience.of(chat)
	if v == nil {
		return false
	}
	v.backlog.pause(until)
	return true
}

// Following tells what a chat follows now.
func (f *Feed) Following(chat telegram.Chat) Following {
	out := Following{Version: 1, Chat: chat}
	if v := f.audience.of(chat); v != nil {
		out.Follows, out.Paused = v.following(time.Now()), v.backlog.pausedUntil()
	}
	return out
}

// ShowsEverything tells whether the chat is shown everything as long as it follows nothing.
func (f *Feed) ShowsEverything(chat telegram.Chat) bool {
	v := f.audience.of(chat)
	return v != nil && v.everything
}

// Adopt has a chat follow exactly what was saved, as it was told to another collector or to the process before. What can't be
// read any more, and what is over, is left out.
func (f *Feed) Adopt(saved Following) error {
	now := time.Now()
	v := f.audience.of(saved.Chat)
	if v == nil && len(saved.Follows) == 0 {
		return nil
	}
	v, err := f.audience.join(saved.Chat)
	if err != nil {
		return err
	}
	var follows []*Follow
	for _, what := range saved.Follows {
		if !now.Before(what.Until) {
			continue
		}
		own := Follow{Text: what.Text, By: what.By, Until: what.Until}
		if err := own.read(); err != nil {
			f.options.Log.Warn("not followed any more", "chat", saved.Chat.ID, "follow", what.Text, "error", err)
			continue
		}
		follows = append(follows, &own)
	}
	v.adopt(follows[:min(len(follows), maxFollows)])
	v.backlog.pause(saved.Paused)
	return nil
}
