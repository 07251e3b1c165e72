package supervise

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func whole(names ...string) []seat {
	seats := make([]seat, len(names))
	for i, n := range names {
		seats[i] = seat{Of: n, Shards: 1}
	}
	return seats
}

func shardsOf(name string, n int) []seat {
	seats := make([]seat, n)
	for i := range seats {
		seats[i] = seat{Of: name, Shard: i, Shards: n}
	}
	return seats
}

func TestWhatIsDoneStaysWhereItIsWhenAnotherCollectorDies(t *testing.T) {
	all := whole("a", "b", "c", "d", "e", "f")
	shares := share(map[string]card{
		"x": {Wants: all, Holds: all[:2]},
		"y": {Wants: all, Holds: all[2:4]}, // z is gone with the rest
	})
	if len(shares["x"]) != 3 || len(shares["y"]) != 3 || !slices.Equal(shares["x"][:2], all[:2]) || !slices.Equal(shares["y"][:2], all[2:4]) {
		t.Errorf("%v", shares)
	}
}

func TestWhatMovesIsGivenToNobodyUntilItsHolderHasLetGo(t *testing.T) {
	all := whole("a", "b", "c", "d")
	shares := share(map[string]card{"x": {Wants: all, Holds: all}, "y": {Wants: all}})
	if len(shares["x"]) != 2 || len(shares["y"]) != 0 {
		t.Errorf("at first: %v", shares)
	}
	shares = share(map[string]card{"x": {Wants: all, Holds: shares["x"]}, "y": {Wants: all}})
	if len(shares["x"]) != 2 || len(shares["y"]) != 2 {
		t.Errorf("then: %v", shares)
	}
}

func TestShardsOfTheNewestConfigurationCountAndWaitForTheOld(t *testing.T) {
	old, now := shardsOf("k", 2), shardsOf("k", 3)
	shares := share(map[string]card{"x": {Since: 1, Wants: old, Holds: old}, "y": {Since: 2, Wants: now}})
	if len(shares["x"]) != 0 || len(shares["y"]) != 0 {
		t.Errorf("while the old ones are at work: %v", shares)
	}
	shares = share(map[string]card{"x": {Since: 1, Wants: old}, "y": {Since: 2, Wants: now}})
	if len(shares["x"]) != 0 || len(shares["y"]) != 3 {
		t.Errorf("then: %v", shares)
	}
}

// TestSharesAreEvenAndSettle puts groups of any kind in order until nothing changes.
func TestSharesAreEvenAndSettle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		wants := shardsOf("k", 1+random.IntN(4))
		for i := range random.IntN(8) {
			wants = append(wants, whole(fmt.Sprintf("s%d", i))...)
		}
		cards := map[string]card{}
		for i := range 1 + random.IntN(4) {
			c := card{Wants: wants}
			if i == 0 && random.IntN(2) == 0 {
				c.Holds = wants[:random.IntN(len(wants)+1)]
			}
			cards[fmt.Sprint(i)] = c
		}
		var shares map[string][]seat
		for round := 0; ; round++ {
			shares = share(cards)
			settled := true
			for id, c := range cards {
				settled = settled && slices.Equal(c.Holds, shares[id])
				c.Holds = shares[id]
				cards[id] = c
			}
			if settled {
				break
			}
			if round > 4 {
				t.Fatalf("doesn't settle: %v", shares)
			}
		}
		least, most, total := len(wants), 0, 0
		for id := range cards {
			n := len(shares[id])
			least, most, total = min(least, n), max(most, n), total+n
		}
		if total != len(wants) || most-least > 1 {
			t.Fatalf("%d of %d seats, from %d to %d a member: %v", total, len(wants), least, most, shares)
		}
	}
}
