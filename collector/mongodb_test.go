package collector

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/mongodb"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/testrig"
)

// What is written while no collector runs is captured by the next one, once.
func TestDocumentsArriveInRawAcrossRestarts(t *testing.T) {
	uri := testrig.MongoDB(t)
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	db := client.Database(strings.ReplaceAll(testrig.Prefix(t), "-", "_"))
	t.Cleanup(func() {
		_ = db.Drop(context.Background())
		_ = client.Disconnect(context.Background())
	})
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, "none")
	var m mongodb.Config
	m.SetDefaults()
	m.URI, m.Collections = config.Secret(uri), []string{db.Name() + ".*"}
	c.Collector.Sources = []Source{{Name: "shop-mongo", MongoDB: &m}}
	for _, f := range check(t.Context(), c) {
		if strings.HasPrefix(f.What, "source shop-mongo") && f.Err != nil {
			t.Errorf("check says of %s: %v", f.What, f.Err)
		}
	}

	first := start(t, c)
	insert := func(id int) {
		if _, err := db.Collection("carts").InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
			t.Fatal(err)
		}
	}
	insert(1)
	awaitRaw(t, c, 1)
	first.stop()
	insert(2)
	start(t, c)
	insert(3)
	for _, r := range awaitRaw(t, c, 3) {
		raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
		if err != nil {
			t.Fatal(err)
		}
		events, err := normalize.New(normalize.Options{}).Events(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		e := events[0]
		if e.Change.Op != event.Insert || string(e.RecordKey()) != string(r.Key) || e.Stream != event.Stream("shop-mongo/"+db.Name()+".carts") {
			t.Errorf("%s %s under key %q", e.Change.Op, e.Stream, r.Key)
		}
	}
}
