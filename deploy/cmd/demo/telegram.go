package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
)

// pagePort is where the chat page is when nothing else is there.
const pagePort = 8088

// The simulated chats: a person's own for the feed, a group for alerts.
const (
	feedChat   = 1001
	alertsChat = -1001000000002
)

// telegramPlace is what the configuration says of Telegram.
type telegramPlace struct {
	Token, APIURL string
	Language      string
	Feed, Alerts  int64
}

// reach asks the real Telegram once, so that a wrong token is told at once and not to the services' logs only.
func (p telegramPlace) reach(ctx context.Context) error {
	c := config.DefaultShared()
	c.Telegram.Token, c.Telegram.APIURL = config.Secret(p.Token), p.APIURL
	if found := daemon.CheckTelegram(ctx, c, "demo", config.Chat{ID: p.Feed}); found.Err != nil {
		return fmt.Errorf("%w: see TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT, or unset both to use the simulated Telegram", found.Err)
	}
	return nil
}

// languageEnv chooses the language of the messages: en or vi.
const languageEnv = "DATAWATCH_DEMO_LANGUAGE"

func language() string { return cmp.Or(os.Getenv(languageEnv), "en") }

// messenger is the simulated Telegram; sim is nil where the real one is used.
type messenger struct {
	sim   *telegramsim.Server
	page  string
	begin func() // has the shop begin
}

func (d *demo) startTelegram(ctx context.Context) error {
	if token := os.Getenv("TELEGRAM_BOT_TOKEN"); token != "" {
		chat, err := strconv.ParseInt(os.Getenv("TELEGRAM_CHAT"), 10, 64)
		if err != nil {
			return errors.New("TELEGRAM_BOT_TOKEN is set, so TELEGRAM_CHAT must be the id of a chat that the bot is in (groups have negative ids); unset both to use the simulated Telegram")
		}
		d.place.Telegram = telegramPlace{Token: token, APIURL: "https://api.telegram.org", Language: language(), Feed: chat, Alerts: chat}
		return d.place.Telegram.reach(ctx)
	}
	sim := telegramsim.New(telegramsim.Options{
		Chats: []telegramsim.Chat{
			{ID: feedChat, Type: telegramsim.Private, Title: "datawatch"},
			{ID: alertsChat, Type: telegramsim.Supergroup, Title: "Shop alerts"},
		},
		Log: d.logger("telegram"),
	})
	listener, err := listenNear(ctx, pagePort)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d.stack.Push("chat page", func(context.Context) error {
		err := server.Close() // the page's event streams never end by themselves
		if reason := <-served; !errors.Is(reason, http.ErrServerClosed) {
			err = errors.Join(err, reason)
		}
		return err
	})
	url := "http://" + listener.Addr().String()
	d.telegram.sim, d.telegram.page = sim, url+"/"
	d.place.Telegram = telegramPlace{Token: sim.Token(), APIURL: url, Language: language(), Feed: feedChat, Alerts: alertsChat}
	return nil
}

// listenNear takes the port on loopback, or any free one where it is taken.
func listenNear(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		return listener, nil
	}
	return lc.Listen(ctx, "tcp", "127.0.0.1:0")
}

// watch begins to sell, and says one line an alert until ctx is done or a service ends.
func (d *demo) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, s := range d.services {
		go func() {
			select {
			case <-s.Ended():
				cancel(s.Failure())
			case <-ctx.Done():
			}
		}()
	}
	d.telegram.begin()
	d.carts.begin(ctx, d)
	if d.telegram.sim == nil {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	var last int64
	for {
		m, err := d.telegram.sim.Await(ctx, alertsChat, func(m telegramsim.Message) bool { return m.ID > last && m.FromBot })
		if err != nil {
			return context.Cause(ctx)
		}
		last = m.ID
		first, _, _ := strings.Cut(m.Text, "\n")
		d.say("%s  %s", time.Now().Format(time.TimeOnly), first)
	}
}
