package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/testrig/mongodb"
)

// standIn is a program named mongod that takes a mongod's arguments: it checks them, and has SecantusDB serve, whose set
// has a name of its own.
const standIn = `#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    --bind_ip) host=$2;; --port) port=$2;; --dbpath) data=$2;; --replSet) set=$2;;
    *) echo "mongod: unknown option $1" >&2; exit 2;;
  esac
  shift 2
done
[ "$set" ] || { echo "mongod: no replica set" >&2; exit 2; }
[ -d "$data" ] || { echo "mongod: $data doesn't exist" >&2; exit 100; }
exec "%s" -c 'import sys; from secantus.cli import main; sys.exit(main())' --host "$host" --port "$port" --storage-path "$data/s"
`

func TestMachinesOwnMongodIsPreferredWhereThatIsWanted(t *testing.T) {
	env, err := mongodb.Fetch(t.Context())
	if errors.Is(err, mongodb.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mongod"), fmt.Appendf(nil, standIn, filepath.Join(env, "bin", "python")), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	s, err := mongodb.Start(t.Context(), mongodb.Options{Mongod: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(s.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	if _, err := client.Database("shop").Collection("carts").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
}
