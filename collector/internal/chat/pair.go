package chat

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

const (
	pairPrefix = "pair/"
	// PairTime is how long a code holds.
	PairTime = 10 * time.Minute
	// A code has 8 of 31 characters, which aren't easily taken for each other: nobody guesses it at the rate of attempts.
	pairLetters = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
	pairLength  = 8
	// pairAttempts are heard in a minute of one chat, allPairAttempts of all; more aren't even answered.
	pairAttempts    = 5
	allPairAttempts = 20
)

// pairing is what is stored of a code, under its hash.
type pairing struct {
	Version int       `json:"version"` // 1
	Until   time.Time `json:"until"`
}

func pairKey(code string) string {
	code = strings.ToUpper(strings.ReplaceAll(code, "-", ""))
	sum := sha256.Sum256([]byte(code))
	return pairPrefix + hex.EncodeToString(sum[:])
}

// NewPairing stores a code by which a chat can ask how it is to be configured, once and for a while, and returns it.
func NewPairing(ctx context.Context, c config.Broker) (code string, err error) {
	var text strings.Builder
	for i := range pairLength {
		if i == pairLength/2 {
			text.WriteByte('-')
		}
		text.WriteByte(pairLetters[below(len(pairLetters))])
	}
	value, err := json.Marshal(pairing{1, time.Now().Add(PairTime).UTC()})
	if err != nil {
		return "", err
	}
	p, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-pair")
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Close() }()
	code = text.String()
	return code, p.Publish(ctx, []broker.Record{{Topic: broker.TopicsOf(c.TopicPrefix).State, Key: []byte(pairKey(code)), Value: value}})
}

// below is a number that nobody can foresee.
func below(n int) int {
	var b [1]byte
	for {
		_, _ = rand.Read(b[:]) // it never fails
		if int(b[0]) < 256/n*n {
			return int(b[0]) % n
		}
	}
}

// attempts bound how often codes are tried.
type attempts struct {
	mu    sync.Mutex
	since time.Time
	all   int
	chats map[int64]int
}

// admit tells whether one more is heard.
func (a *attempts) admit(chat int64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chats == nil || now.Sub(a.since) >= time.Minute {
		a.since, a.all, a.chats = now, 0, map[int64]int{}
	}
	a.all++
	if a.all > allPairAttempts {
		return false
	}
	a.chats[chat]++
	return a.chats[chat] <= pairAttempts
}

// stranger hears of chats that aren't in the configuration; they may say nothing but /pair.
func (d *Desk) stranger(ctx context.Context, c telegram.Command) error {
	if c.Name != "pair" {
		return telegram.ErrIgnored
	}
	return d.command(ctx, c)
}

// pair answers a code with the lines that put the chat into the configuration.
func (d *Desk) pair(ctx context.Context, c telegram.Command) ([]telegram.Block, error) {
	if !d.attempts.admit(c.Message.Chat.ID, time.Now()) {
		d.o.Log.Warn("too many attempts to pair: not answered", "chat", c.Message.Chat.ID, "user_id", c.User.ID)
		return nil, nil
	}
	known, err := d.paired(ctx, c.Args)
	if err != nil {
		return nil, err
	}
	if !known {
		return say(d.words.pairUnknown), nil
	}
	if err := d.publish(ctx, broker.Record{Topic: d.topics.State, Key: []byte(pairKey(c.Args))}); err != nil { // once
		return nil, err
	}
	chat := fmt.Sprintf("{chat: %d}", c.Message.Chat.ID)
	if c.Message.Chat.Thread != 0 {
		chat = fmt.Sprintf("{chat: %d, thread: %d}", c.Message.Chat.ID, c.Message.Chat.Thread)
	}
	return []telegram.Block{
		telegram.Line(telegram.Plain(d.words.paired)),
		telegram.Pre("telegram:\n  feed: " + chat + "\n  alerts: " + chat + fmt.Sprintf("\n  allow: [%d]", c.Message.Chat.ID)),
		telegram.Line(telegram.Plain(d.words.pairedUser+" "), telegram.Code(fmt.Sprintf("users: [%d]", c.User.ID))),
	}, nil
}

func (d *Desk) paired(ctx context.Context, code string) (bool, error) {
	scanner, err := broker.NewScanner(d.o.Broker, "datawatch-collector")
	if err != nil {
		return false, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	key := pairKey(code)
	state, err := scanner.State(ctx, d.topics.State, key)
	if err != nil {
		return false, err
	}
	var p pairing
	value, ok := state[key]
	return ok && json.Unmarshal(value, &p) == nil && p.Version == 1 && time.Now().Before(p.Until), nil
}
