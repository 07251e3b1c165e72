package telegram

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/config"
)

// TestServicesThatShareAChatKeepToItsLimitTogether: Telegram counts per bot, and no service knows what the others send.
func TestServicesThatShareAChatKeepToItsLimitTogether(t *testing.T) {
	const group, apart = -5, -6
	for name, c := range map[string]config.Telegram{
		"feed and alerts in one chat": {Feed: config.Chat{ID: group}, Alerts: config.Chat{ID: group}},
		"a chat of alerts":            {Feed: config.Chat{ID: apart}, Alerts: config.Chat{ID: group}},
		"a chat of the feed":          {Feed: config.Chat{ID: group}, Alerts: config.Chat{ID: apart}},
		"an owner's chat":             {Alerts: config.Chat{ID: apart}, Owners: map[string]config.Owner{"payments": {Chat: config.Chat{ID: group}}}},
		"a chat that only commands":   {Alerts: config.Chat{ID: apart}, Allow: []int64{group}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.Token, c.APIURL = testToken, "http://telegram.invalid"
				api := newFake()
				var wg sync.WaitGroup
				for _, service := range []string{collectorService, validatorService, preprocessorService} {
					r := newRig(t, func(o *Options) { o.Config, o.Service, o.Transport = c, service, api })
					defer r.stop(t)
					for i := range 15 {
						wg.Go(func() {
							if _, err := r.Send(t.Context(), Chat{ID: group}, text(fmt.Sprint(service, i)), Critical); err != nil {
								t.Error(err)
							}
						})
					}
				}
				wg.Wait()
				if sent, flood := len(api.of("sendMessage", 200)), len(api.of("sendMessage", 429)); sent != 45 || flood > 0 {
					t.Errorf("%d sent, %d times too much", sent, flood)
				}
			})
		})
	}
}

// TestProcessesOfOneServiceKeepToItsShareTogether, and one that is left alone has all of it.
func TestProcessesOfOneServiceKeepToItsShareTogether(t *testing.T) {
	const group = -5
	for _, processes := range []int{2, 3, 4} {
		synctest.Test(t, func(t *testing.T) {
			c := config.Telegram{Token: testToken, APIURL: "http://telegram.invalid", Feed: config.Chat{ID: group}, Alerts: config.Chat{ID: -6}}
			api := newFake()
			var rigs []*rig
			for range processes {
				r := newRig(t, func(o *Options) { o.Config, o.Service, o.Transport = c, collectorService, api })
				defer r.stop(t)
				r.Among(processes)
				rigs = append(rigs, r)
			}
			var wg sync.WaitGroup
			send := func(r *rig, n int) {
				for i := range n {
					wg.Go(func() {
						if _, err := r.Send(t.Context(), Chat{ID: group}, text(fmt.Sprint("change ", i)), Critical); err != nil {
							t.Error(err)
						}
					})
				}
			}
			for _, r := range rigs {
				send(r, 15)
			}
			wg.Wait()
			if sent, flood := len(api.of("sendMessage", 200)), len(api.of("sendMessage", 429)); sent != 15*processes || flood > 0 {
				t.Errorf("%d processes: %d sent, %d times too much", processes, sent, flood)
			}
			time.Sleep(2 * time.Minute)
			began := time.Now()
			send(rigs[0], 36) // with the share of all it takes two minutes
			synctest.Wait()
			rigs[0].Among(1)
			wg.Wait()
			if took, flood := time.Since(began), len(api.of("sendMessage", 429)); took > 3*time.Minute || flood > 0 {
				t.Errorf("alone again, 36 messages took %s, %d times too much", took, flood)
			}
			if n := rigs[0].count(t, "datawatch_collector_telegram_processes", ""); n != 1 {
				t.Errorf("the metric tells of %v", n)
			}
		})
	}
}

// TestGroupOfFeedAndAlertsIsKnown, since people are told of it.
func TestGroupOfFeedAndAlertsIsKnown(t *testing.T) {
	c := config.Telegram{Feed: config.Chat{ID: -5, Thread: 1}, Alerts: config.Chat{ID: -5, Thread: 2}}
	if got := SharedChats(c); len(got) != 1 || got[0] != (SharedChat{Chat: -5, Feed: 9, Alerts: 9}) {
		t.Errorf("got %v", got)
	}
	c.Feed.ID = -6
	if got := SharedChats(c); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	c.Feed.ID, c.Alerts.ID = 7, 7 // a person's chat has no limit of messages a minute
	if got := SharedChats(c); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}
