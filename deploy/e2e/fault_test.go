package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/deploy/shop"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
	"datawatch/pkg/testrig/mongodb"
)

// TestFaultyNetworkLosesAndRepeatsNothing sells while each connection of the services (to PostgreSQL, MongoDB, the company's
// Kafka and their own) is cut and slowed at random, and then holds datawatch.clean against what was written.
func TestFaultyNetworkLosesAndRepeatsNothing(t *testing.T) {
	mongoServer := testrig.PrivateMongoDB(t, mongodb.Options{})
	brokers, internal, company := twoFacedKafka(t)
	servers := places{DSN: testrig.Postgres(t).Database(t), Company: brokers, Internal: brokers, Mongo: mongoServer.URI()}
	dsn := parse(t, servers.DSN)
	database := newWire(t, "PostgreSQL", dsn.Host)
	documents := newWire(t, "MongoDB", mongoServer.Addr())
	dsn.Host = database.addr()
	w := newWorldOf(t, servers, places{
		DSN: dsn.String(), Company: company.addr(), Internal: internal.addr(),
		// Discovery would lead around the proxy.
		Mongo: "mongodb://" + documents.addr() + "/?directConnection=true&serverSelectionTimeoutMS=3000",
	}, telegramsim.Limits{})

	s, err := shop.Open(t.Context(), shop.Options{DSN: w.DSN, Kafka: []string{w.Company}, Pace: 8 * time.Millisecond, Mistakes: 50, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.OpenCarts(t.Context(), w.Mongo); err != nil {
		t.Fatal(err)
	}
	w.start()
	selling, stop := context.WithCancel(t.Context())
	var open sync.WaitGroup
	open.Go(func() {
		if err := s.Run(selling); !errors.Is(err, context.Canceled) {
			t.Errorf("shop: %v", err)
		}
	})
	wires := []*wire{database, documents, company, internal}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for n, until := 0, time.Now().Add(testrig.Soak()); n < 2*len(wires) || time.Now().Before(until); n++ {
		wires[n%len(wires)].disturb(t, random)
	}
	stop()
	open.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	testrig.WhileMoving(t, time.Minute, func() (int, error) {
		events, err := w.holdsTheShop()
		return events, errors.Join(err, w.holdsTheCarts())
	})
	t.Logf("%s; clean holds %s", wires, w.summary())
}

// twoFacedKafka is a Kafka with a listener each for datawatch's own connections and for those to the company's Kafka, both
// behind wires, and one that nothing disturbs. What a client is told of other brokers leads through its own wire.
func twoFacedKafka(t *testing.T) (undisturbed string, internal, company *wire) {
	t.Helper()
	behind := map[string]string{"INTERNAL": testrig.FreeAddress(t), "COMPANY": testrig.FreeAddress(t)}
	internal = newWire(t, "datawatch's Kafka", behind["INTERNAL"])
	company = newWire(t, "the company's Kafka", behind["COMPANY"])
	server := testrig.KafkaServerOf(t, kafka.Options{Listeners: map[string]kafka.Listener{
		"INTERNAL": {Address: behind["INTERNAL"], Advertised: internal.addr()},
		"COMPANY":  {Address: behind["COMPANY"], Advertised: company.addr()},
	}})
	return server.Addr(), internal, company
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// holdsTheCarts checks that clean has each cart's history: the cart with its first item, each further item, and the order
// that it became, the last with the cart as it is.
func (w *world) holdsTheCarts() error {
	stream := event.StreamOf("shop-mongo", event.CollectionEntity(shop.CartsDatabase, shop.CartsCollection))
	events, err := w.clean()
	if err != nil {
		return err
	}
	histories := map[string][]*event.Clean{}
	for _, e := range events {
		if e.Stream == stream {
			histories[string(e.Change.Key)] = append(histories[string(e.Change.Key)], e)
		}
	}
	ctx := w.t.Context()
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(w.Mongo))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	found, err := client.Database(shop.CartsDatabase).Collection(shop.CartsCollection).Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	var carts []cart
	if err := found.All(ctx, &carts); err != nil {
		return err
	}
	if len(carts) == 0 || len(carts) != len(histories) {
		return fmt.Errorf("clean has %d carts, MongoDB %d", len(histories), len(carts))
	}
	for _, c := range carts {
		if err := c.holds(histories[fmt.Sprintf(`{"_id":%q}`, c.ID.Hex())]); err != nil {
			return fmt.Errorf("cart %s: %w", c.ID.Hex(), err)
		}
	}
	return nil
}

// cart is a cart as MongoDB has it, and but for its id as clean shows it.
type cart struct {
	ID      primitive.ObjectID `bson:"_id" json:"-"`
	Status  string             `bson:"status" json:"status"`
	OrderID int64              `bson:"order_id" json:"order_id"`
	Items   []struct {
		SKU      string `bson:"sku" json:"sku"`
		Quantity int64  `bson:"quantity" json:"quantity"`
	} `bson:"items" json:"items"`
}

func (c cart) holds(history []*event.Clean) error {
	want := len(c.Items)
	if c.Status == "ordered" {
		want++
	}
	if len(history) != want {
		return fmt.Errorf("%d events, not %d", len(history), want)
	}
	for i, e := range history {
		if op := e.Change.Op; op == event.Insert != (i == 0) || op != event.Insert && op != event.Update {
			return fmt.Errorf("event %d is a %s", i, op)
		}
		if i > 0 && e.ID <= history[i-1].ID {
			return fmt.Errorf("%s stands behind %s", e.ID, history[i-1].ID)
		}
	}
	var last cart
	if err := json.Unmarshal(history[len(history)-1].Change.After, &last); err != nil {
		return err
	}
	last.ID = c.ID
	got, _ := json.Marshal(last) // texts and numbers
	is, _ := json.Marshal(c)
	if !bytes.Equal(got, is) {
		return fmt.Errorf("ends with %s, is %s", got, is)
	}
	return nil
}
