package mongodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/mongodb"
)

// TestAnotherDeploymentBehindTheSameAddressIsAGap has a server with another's data take the place of the one that was
// read: later, with a collection of the same name, and with no complaint about the token.
func TestAnotherDeploymentBehindTheSameAddressIsAGap(t *testing.T) {
	first := testrig.PrivateMongoDB(t, mongodb.Options{})
	s, c := newShop(t, first.URI()), newCapture()
	s.insert(t, "carts", doc("_id", 1))
	stop := c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 2))
	c.await(t, 1)
	_ = stop()
	before := c.read(t)
	_ = s.client.Disconnect(t.Context()) // it would wait for the server that goes
	if err := first.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	second := testrig.PrivateMongoDB(t, mongodb.Options{Port: first.Port()})
	other := *s
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(second.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	other.client, other.db = client, client.Database(s.db.Name())
	other.insert(t, "carts", doc("_id", "of another"))

	cfg := s.config("*")
	cfg.OnGap = gapStop
	err = New(Options{Name: "shop-mongo", Config: cfg, Reporter: c}).Run(t.Context(), c.copyProgress(), c.Emit)
	if _, ok := errors.AsType[*source.StoppedError](err); !ok || len(c.gaps) > 0 {
		t.Fatalf("on_gap: stop ended with %v", err)
	}
	stop = c.run(t, s.config("*"))
	other.insert(t, "carts", doc("_id", 3))
	events := c.await(t, 3)
	expect(t, events, `insert carts {"_id":2}  -> {"_id":2}`, "gap carts", `insert carts {"_id":3}  -> {"_id":3}`)
	if len(c.gaps) != 1 || c.gaps[0] != gapReplaced || events[1].Gap.Remedy == "" {
		t.Errorf("gaps %v, %+v", c.gaps, events[1].Gap)
	}
	if after := c.read(t); after.Epoch <= before.Epoch {
		t.Errorf("epoch %s behind %s", after.Epoch, before.Epoch)
	}
	_ = stop()
	c.run(t, s.config("*")) // it is known now
	other.insert(t, "carts", doc("_id", 4))
	if got := told(c.await(t, 4)[3]); got != `insert carts {"_id":4}  -> {"_id":4}` || len(c.gaps) != 1 {
		t.Errorf("%s, gaps %v", got, c.gaps)
	}
}

// read is the progress that was committed last.
func (c *capture) read(t *testing.T) progress {
	t.Helper()
	p, err := parseProgress(c.copyProgress())
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	return *p
}

// Whoever makes every collection anew, renames or drops it, has the same deployment: the stream tells it, whether it is read
// meanwhile or later.
func TestCollectionsThatAreMadeAnewAreNoOtherDeployment(t *testing.T) {
	for _, how := range []string{opDrop, opRename, opDropDatabase} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/away=%v", how, away), func(t *testing.T) {
				s, c := newShop(t, testrig.MongoDB(t)), newCapture()
				s.insert(t, "carts", doc("_id", 0))
				stop := c.run(t, s.config("carts"))
				s.insert(t, "carts", doc("_id", 1))
				c.await(t, 1)
				if away {
					_ = stop()
				}
				s.end(t, how)
				s.insert(t, "carts", doc("_id", 2))
				if !away {
					c.await(t, 3)
					_ = stop()
				}
				c.run(t, s.config("carts"))
				s.insert(t, "carts", doc("_id", 3))
				events := c.await(t, 4)
				if op := events[1].Change.Op; op != event.Truncate {
					t.Errorf("the collection's end is a %s", op)
				}
				expect(t, events[2:], `insert carts {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
				if len(c.gaps) > 0 {
					t.Errorf("gaps %v", c.gaps)
				}
			})
		}
	}
}

// Whoever has other collections captured than before has the same deployment, and loses nothing of what both take, nor of
// what only the present ones do.
func TestOtherCollectionsInTheConfigurationAreNoOtherDeployment(t *testing.T) {
	for name, change := range map[string]func(s *shop, cfg *Config){
		"another collection": func(s *shop, cfg *Config) { cfg.Collections = []string{s.db.Name() + ".orders"} },
		"one excluded":       func(s *shop, cfg *Config) { cfg.Exclude = []string{s.db.Name() + ".c*"} },
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newShop(t, testrig.MongoDB(t)), newCapture()
			s.insert(t, "carts", doc("_id", 0))
			cfg := s.config("*")
			stop := c.run(t, cfg)
			s.insert(t, "carts", doc("_id", 1))
			c.await(t, 1)
			_ = stop()
			s.insert(t, "orders", doc("_id", 2))
			change(s, &cfg)
			c.run(t, cfg)
			s.insert(t, "orders", doc("_id", 3))
			expect(t, c.await(t, 3), `insert carts {"_id":1}  -> {"_id":1}`, `insert orders {"_id":2}  -> {"_id":2}`, `insert orders {"_id":3}  -> {"_id":3}`)
		})
	}
}

// end takes carts away.
func (s *shop) end(t *testing.T, how string) {
	t.Helper()
	s.do(t, map[string]func(context.Context) error{
		opDrop:         s.db.Collection("carts").Drop,
		opDropDatabase: s.db.Drop,
		opRename: func(ctx context.Context) error {
			return s.client.Database("admin").RunCommand(ctx, doc("renameCollection", s.db.Name()+".carts", "to", s.db.Name()+".away")).Err()
		},
	}[how])
}

func TestElectionTermThatWentBackIsAGap(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", 1))
	_ = c.run(t, s.config("*"))()
	p := c.read(t)
	if p.Term == 0 {
		t.Skip("the deployment tells no election term")
	}
	p.Term += 5
	c.progress, _ = p.source()
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 2))
	expect(t, c.await(t, 2), "gap carts", `insert carts {"_id":2}  -> {"_id":2}`)
	if len(c.gaps) != 1 || c.gaps[0] != gapRewound {
		t.Errorf("gaps %v", c.gaps)
	}
}

// Progress that was written before deployments were told apart.
func TestProgressThatKnowsNoDeploymentGoesOn(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", 1))
	_ = c.run(t, s.config("*"))()
	p := c.read(t)
	p.Term, p.Witnesses = 0, nil
	c.progress, _ = p.source()
	s.insert(t, "carts", doc("_id", 2))
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 3))
	expect(t, c.await(t, 2), `insert carts {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
	var known progress
	if err := json.Unmarshal(c.copyProgress()[entry], &known); err != nil || len(known.Witnesses) != 1 {
		t.Errorf("%+v, %v", known, err)
	}
}
