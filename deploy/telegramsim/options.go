package telegramsim

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Kinds of chats, as the Bot API names them.
const (
	Private    = "private"
	Group      = "group"
	Supergroup = "supergroup"
	Channel    = "channel"
)

// Options say what the simulated Telegram is like. The zero value of each
// field has a meaning, given with it.
type Options struct {
	// Token is the bot's. Empty: one is made up, see [Server.Token].
	Token string
	// Bot is how the bot is called. Empty: datawatch, @datawatch_bot.
	Bot Person
	// Person is who sits at the page. Empty: Linh Tran, @linh.
	Person Person
	// Chats are there from the start. None: the bot has nobody to talk to.
	Chats []Chat
	// Limits are those of the real Telegram where they are zero.
	Limits Limits
	// CallbackLifetime is how long a pressed button waits for its answer.
	// Zero: 15 seconds.
	CallbackLifetime time.Duration
	// History is how many messages of a chat are kept. Zero: 10,000.
	History int
	// Clock dates messages and measures the limits. Nil: [time.Now].
	Clock func() time.Time
	// Log gets one line a refused request, at debug level. Nil: none.
	Log *slog.Logger
}

// Person is somebody in Telegram, the bot included.
type Person struct {
	ID        int64  `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name,omitempty"`
	Username  string `json:"username,omitempty"` // without @
}

// Name is first and last name.
func (p Person) Name() string { return strings.TrimSpace(p.FirstName + " " + p.LastName) }

// Chat is one that the bot is in.
type Chat struct {
	// ID is as in Telegram: above zero for a person, -100… for supergroups and
	// channels, below zero for groups.
	ID int64
	// Type is Private, Group, Supergroup or Channel. Empty: told from the ID
	// (-100… is a supergroup).
	Type string
	// Title is shown on the page; a private chat has the bot's name.
	Title string
	// Username makes a chat reachable as @username.
	Username string
	// Forum splits a supergroup into topics. General is always one of them.
	Forum  bool
	Topics []Topic
	// Admin frees the bot from privacy mode: it then hears everything that is
	// written, not only what is meant for it, and may delete it.
	Admin bool
}

// Topic is one of a forum's threads.
type Topic struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

func (o Options) withDefaults() Options {
	if o.Token == "" {
		o.Token = "7100000001:" + rand.Text()
	}
	id, _, _ := strings.Cut(o.Token, ":")
	o.Bot.ID, _ = strconv.ParseInt(id, 10, 64)
	o.Bot.FirstName = cmp.Or(o.Bot.FirstName, "datawatch")
	o.Bot.Username = cmp.Or(o.Bot.Username, "datawatch_bot")
	if o.Person == (Person{}) {
		o.Person = Person{ID: 501000042, FirstName: "Linh", LastName: "Tran", Username: "linh"}
	}
	o.Limits = o.Limits.withDefaults()
	o.CallbackLifetime = cmp.Or(o.CallbackLifetime, 15*time.Second)
	o.History = cmp.Or(o.History, 10_000)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (c Chat) withDefaults() Chat {
	switch {
	case c.Type != "":
	case c.ID > 0:
		c.Type = Private
	case strings.HasPrefix(strconv.FormatInt(c.ID, 10), "-100"):
		c.Type = Supergroup
	default:
		c.Type = Group
	}
	c.Title = cmp.Or(c.Title, "datawatch")
	return c
}
