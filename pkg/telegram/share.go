package telegram

import (
	"slices"

	"datawatch/pkg/config"
)

// Telegram counts what a bot sends, whichever service sends it: each service keeps to a share of every limit. How the limits
// are shared out follows from the configuration, which all services read, and from how many processes of a service run
// (Among): no process waits for another.

// weights are what each service has to tell, in relation to the others.
type weights map[string]int

const (
	collectorService    = "collector"
	preprocessorService = "preprocessor"
	validatorService    = "validator"
)

var (
	overallWeights = weights{collectorService: 5, validatorService: 4, preprocessorService: 1}
	// The feed, and what a chat follows; the validator only answers there.
	feedWeights = weights{collectorService: 16, validatorService: 1}
	// Alerts; the others tell there of what only they see.
	alertWeights = weights{validatorService: 16, collectorService: 2, preprocessorService: 2}
	ownerWeights = weights{validatorService: 16, collectorService: 1}
)

// of is a service's share of a limit, at least one; a service that isn't one of datawatch's three has all of it.
func (w weights) of(service string, limit int) int {
	if _, known := overallWeights[service]; !known {
		return limit
	}
	all := 0
	for _, weight := range w {
		all += weight
	}
	return max(1, limit*w[service]/all)
}

// chatWeights are those of a chat, by what goes there.
func chatWeights(c config.Telegram, is func(id int64) bool) weights {
	sum := weights{}
	add := func(w weights) {
		for service, weight := range w {
			sum[service] += weight
		}
	}
	alerts := slices.ContainsFunc(c.AlertChats(), func(to config.Chat) bool { return is(to.ID) })
	switch {
	case is(c.Alerts.ID):
		add(alertWeights)
	case alerts:
		add(ownerWeights)
	}
	if is(c.Feed.ID) || !alerts {
		add(feedWeights)
	}
	return sum
}

// SharedChats tells of the groups where the feed and alerts go to one chat, and how many of Telegram's 20 messages a minute
// are left to each; empty where there is none.
func SharedChats(c config.Telegram) []SharedChat {
	var shared []SharedChat
	for _, to := range c.AlertChats() {
		if to.ID == 0 || to.ID != c.Feed.ID || !(Chat{ID: to.ID}).group() {
			continue
		}
		w := chatWeights(c, func(id int64) bool { return id == to.ID })
		one := SharedChat{Chat: to.ID, Feed: w.of(collectorService, groupLimit), Alerts: w.of(validatorService, groupLimit)}
		if !slices.Contains(shared, one) {
			shared = append(shared, one)
		}
	}
	return shared
}

// SharedChat is a group that gets the feed and alerts.
type SharedChat struct {
	Chat         int64
	Feed, Alerts int // messages a minute
}

// Among says that n processes of this service run, this one included: each keeps to an equal part of the service's share.
// Until it is said, this one is alone.
func (c *Client) Among(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = max(n, 1)
	if n == c.peers {
		return
	}
	c.peers = n
	c.metrics.peers.Set(float64(n))
	for id, l := range c.lanes {
		l.budget.allow(c.share(id))
		if l.awake {
			c.rouse(l)
		}
	}
}

// share is how many of groupLimit this process may use in a chat.
func (c *Client) share(chat int64) int {
	is := func(id int64) bool { return id != 0 && c.present(id) == chat }
	return max(1, chatWeights(c.options.Config, is).of(c.options.Service, groupLimit)/c.peers)
}

// overall is how many messages a second this process may send to all chats together.
func (c *Client) overall() int { return max(1, overallWeights.of(c.options.Service, allLimit)/c.peers) }
