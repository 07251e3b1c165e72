package mongodb_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/testrig/mongodb"
)

func TestKilledServerComesBackWithItsData(t *testing.T) {
	s, err := mongodb.Start(t.Context(), mongodb.Options{Arguments: []string{"--sync-on-commit"}})
	if errors.Is(err, mongodb.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(s.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	carts := client.Database("shop").Collection("carts")
	if _, err := carts.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := carts.CountDocuments(t.Context(), bson.D{}); err != nil || n != 1 {
		t.Fatalf("%d documents, %v", n, err)
	}
}
