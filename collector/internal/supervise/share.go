package supervise

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// seat names one thing to be done by one collector at a time: a source, one of a source's shards, or a part that isn't a
// source. Its text form is what the collectors tell each other.
type seat struct {
	Of     string `json:"of"`              // "source shop-kafka"
	Shard  int    `json:"shard,omitempty"` // from 0
	Shards int    `json:"shards"`
}

// card is what a collector says of itself.
type card struct {
	Version int `json:"version"` // 1
	// Since is when its configuration was read, in milliseconds: where two differ in a source's shards, the later counts.
	Since int64  `json:"since"`
	Wants []seat `json:"wants"` // what its configuration names
	Holds []seat `json:"holds"` // what it does now
}

const cardVersion = 1

// share divides what the collectors name among them: evenly, each thing to one that names it, and to the one that does it
// already where that is even. What has to move is given to nobody until its holder has let go of it, which has the group
// put in order again.
func share(cards map[string]card) map[string][]seat {
	d := division{cards: cards, ids: slices.Sorted(maps.Keys(cards)), shares: map[string][]seat{}, holder: map[seat]string{}}
	for _, id := range d.ids {
		for _, s := range cards[id].Holds {
			if _, taken := d.holder[s]; !taken {
				d.holder[s] = id
			}
		}
	}
	seats := d.seats()
	for _, s := range seats { // whoever does it goes on
		if id, held := d.holder[s]; held && slices.Contains(cards[id].Wants, s) {
			d.shares[id] = append(d.shares[id], s)
		}
	}
	for _, s := range seats {
		if id, held := d.holder[s]; !held || !slices.Contains(cards[id].Wants, s) {
			id := d.least(s)
			d.shares[id] = append(d.shares[id], s)
		}
	}
	for d.even() {
	}
	for id, seats := range d.shares {
		d.shares[id] = slices.DeleteFunc(seats, func(s seat) bool { return d.waits(id, s) })
	}
	return d.shares
}

// division is work in progress of share.
type division struct {
	cards  map[string]card
	ids    []string
	shares map[string][]seat
	holder map[seat]string
}

// seats is all that is to be done. Of a source's shards, the newest configuration's number counts.
func (d division) seats() []seat {
	shards, since := map[string]int{}, map[string]int64{}
	for _, id := range d.ids {
		c := d.cards[id]
		for _, s := range c.Wants {
			if at, known := since[s.Of]; !known || c.Since > at {
				shards[s.Of], since[s.Of] = s.Shards, c.Since
			}
		}
	}
	all := map[seat]bool{}
	for _, c := range d.cards {
		for _, s := range c.Wants {
			if s.Shards == shards[s.Of] {
				all[s] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b seat) int {
		return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Shard, b.Shard))
	})
}

// least is the member with the least to do of those that name a seat.
func (d division) least(s seat) string {
	best := ""
	for _, id := range d.ids {
		if slices.Contains(d.cards[id].Wants, s) && (best == "" || len(d.shares[id]) < len(d.shares[best])) {
			best = id
		}
	}
	return best
}

// even moves one seat from a member that has at least two more than another which could do it.
func (d division) even() bool {
	for _, from := range d.ids {
		for i, s := range slices.Backward(d.shares[from]) {
			if to := d.least(s); len(d.shares[from]) >= len(d.shares[to])+2 {
				d.shares[from] = slices.Delete(slices.Clone(d.shares[from]), i, i+1)
				d.shares[to] = append(d.shares[to], s)
				return true
			}
		}
	}
	return false
}

// waits tells whether another still does it, or one of another number of its source's shards.
func (d division) waits(id string, s seat) bool {
	for held, holder := range d.holder {
		if held == s && holder != id || held.Of == s.Of && held.Shards != s.Shards {
			return true
		}
	}
	return false
}

// shareEncoded is share in the form that the broker carries. A card that can't be read wants nothing.
func shareEncoded(members map[string][]byte) map[string][]byte {
	cards := make(map[string]card, len(members))
	for id, text := range members {
		var c card
		if err := json.Unmarshal(text, &c); err != nil || c.Version != cardVersion {
			c = card{}
		}
		cards[id] = c
	}
	encoded := make(map[string][]byte, len(members))
	for id, seats := range share(cards) {
		encoded[id] = encode(seats)
	}
	return encoded
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and texts
	}
	return text
}
