package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// TelegramPart is Telegram's name in /readyz.
const TelegramPart = "telegram"

// OpenTelegram makes a service's client, which tells health how Telegram is. It doesn't ask Telegram yet: see
// telegram.Client.AwaitReach.
func OpenTelegram(c config.Shared, service string, env Env) (*telegram.Client, error) {
	client, err := telegram.New(telegram.Options{
		Config: c.Telegram, Instance: c.Instance, Service: service, Log: env.Log, Metrics: env.Metrics,
		Report: func(err error) {
			if err != nil {
				env.Health.Set(TelegramPart, Degraded, reason.Why(err))
				return
			}
			env.Health.Set(TelegramPart, Ready, reason.Text{})
		},
	})
	if err != nil {
		return nil, err
	}
	if client.LogsOnly() {
		env.Log.Warn("telegram.token is empty: messages go to this log; set it, and the chats telegram.feed and telegram.alerts, to get them in Telegram")
		env.Health.Set(TelegramPart, Ready, reason.NoToken.With())
	} else {
		env.Health.Set(TelegramPart, Degraded, reason.NotReached.With())
	}
	return client, nil
}

// CheckTelegram asks Telegram whether the bot is known and is in the chats.
func CheckTelegram(ctx context.Context, c config.Shared, service string, chats ...config.Chat) Finding {
	finding := Finding{What: "telegram"}
	if c.Telegram.Token == "" {
		finding.Detail = "no token: messages go to the log"
		return finding
	}
	client, err := telegram.New(telegram.Options{Config: c.Telegram, Service: service, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		finding.Err = err
		return finding
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	defer func() { _ = client.Stop(ctx) }() // nothing was sent
	finding.Err, finding.Remedy = client.Probe(ctx, ChatsOf(chats...)...), "see telegram.token, telegram.api_url, telegram.proxy and the chats' ids"
	finding.Detail = fmt.Sprintf("the bot is in %d chats", len(ChatsOf(chats...)))
	for _, shared := range telegram.SharedChats(c.Telegram) {
		finding.Detail += fmt.Sprintf("; warning: the feed and alerts go to one group, %d, which takes 20 messages a minute: %d are left to the feed and %d to alerts (give telegram.feed a chat of its own)",
			shared.Chat, shared.Feed, shared.Alerts)
	}
	return finding
}

// ChatsOf are the chats that are set, each once.
func ChatsOf(chats ...config.Chat) []telegram.Chat {
	var set []telegram.Chat
	seen := map[int64]bool{0: true}
	for _, c := range chats {
		if !seen[c.ID] {
			seen[c.ID] = true
			set = append(set, telegram.ChatOf(c))
		}
	}
	return set
}
