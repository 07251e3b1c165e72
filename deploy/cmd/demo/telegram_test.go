package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"datawatch/deploy/telegramsim"
)

// TestDemoSaysWhenTheRealTelegramRefusesIt and when nothing answers.
func TestDemoSaysWhenTheRealTelegramRefusesIt(t *testing.T) {
	sim := telegramsim.New(telegramsim.Options{Chats: []telegramsim.Chat{{ID: feedChat, Type: telegramsim.Private}}})
	server := httptest.NewServer(sim)
	right := telegramPlace{Token: sim.Token(), APIURL: server.URL, Feed: feedChat}
	if err := right.reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, p telegramPlace) {
		t.Helper()
		if err := p.reach(t.Context()); err == nil || !strings.Contains(err.Error(), "see TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a wrong token", telegramPlace{Token: "1:wrong", APIURL: server.URL, Feed: feedChat})
	refused("a chat that the bot isn't in", telegramPlace{Token: sim.Token(), APIURL: server.URL, Feed: -4711})
	server.Close()
	refused("nobody there", right)
}
