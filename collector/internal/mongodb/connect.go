package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

const (
	selectionTimeout = 10 * time.Second
	connectTimeout   = 10 * time.Second
	disconnectWithin = 5 * time.Second
)

// connect makes a client; it connects when it is first used.
func (s *Source) connect(ctx context.Context) (*mongo.Client, error) {
	o := options.Client().SetAppName("datawatch").SetServerSelectionTimeout(selectionTimeout).SetConnectTimeout(connectTimeout).
		ApplyURI(s.config.URI.Reveal()) // what it says prevails
	client, err := mongo.Connect(ctx, o)
	if err != nil {
		return nil, errors.New("connect: uri is no address, or (mongodb+srv) its name can't be resolved") // the error may quote the password
	}
	return client, nil
}

func disconnect(ctx context.Context, client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectWithin)
	defer cancel()
	_ = client.Disconnect(ctx) // there is nothing left to lose
}

// deployment is what the deployment says of itself.
type deployment struct {
	version [3]int32
	text    string // of the version
	set     string // the replica set's name
	sharded bool
	now     stamp // the latest operation
}

func (d deployment) atLeast(version ...int32) bool {
	for i, v := range version {
		if d.version[i] != v {
			return d.version[i] > v
		}
	}
	return true
}

var (
	errStandalone = errors.New("the server stands alone: change streams need a replica set")
	errTooOld     = errors.New("the server is older than MongoDB 4.4")
	errNoClock    = errors.New("the server tells no cluster time: is its replica set initiated?")
)

// unusableError says why a deployment can have no change stream, and what to do about it.
type unusableError struct {
	Err    error
	remedy string
}

func (e *unusableError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *unusableError) Unwrap() error { return e.Err }

// Remedy is what to do about it.
func (e *unusableError) Remedy() string { return e.remedy }

// usable tells why there can be no change stream here.
func (d deployment) usable() error {
	switch {
	case d.set == "" && !d.sharded:
		return &unusableError{errStandalone, "start mongod with --replSet and call rs.initiate(); one member is enough"}
	case !d.atLeast(4, 4):
		return &unusableError{fmt.Errorf("%w: it is %s", errTooOld, d.text), "upgrade the deployment"}
	case d.now == (stamp{}):
		return &unusableError{errNoClock, "call rs.initiate()"}
	default:
		return nil
	}
}

func ask(ctx context.Context, client *mongo.Client) (deployment, error) {
	var d deployment
	admin := client.Database("admin")
	var build struct {
		Version      string  `bson:"version"`
		VersionArray []int32 `bson:"versionArray"`
	}
	if err := admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return d, fmt.Errorf("ask for the version: %w", err)
	}
	d.text = build.Version
	copy(d.version[:], build.VersionArray)
	raw, err := admin.RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Raw() // hello is as late as 4.4.2
	if err != nil {
		return d, fmt.Errorf("ask for the replica set: %w", err)
	}
	d.set, _ = raw.Lookup("setName").StringValueOK()
	message, _ := raw.Lookup("msg").StringValueOK()
	d.sharded = message == "isdbgrid" // as mongos says
	d.now.T, d.now.I, _ = raw.Lookup("operationTime").TimestampOK()
	return d, nil
}

// collections are the ones that are captured, of those that are there.
func (s *Source) collections(ctx context.Context, client *mongo.Client) ([]namespace, error) {
	databases := []string{s.selection.database()}
	if databases[0] == "" {
		var err error
		if databases, err = client.ListDatabaseNames(ctx, bson.D{}); err != nil {
			return nil, fmt.Errorf("list databases: %w", err)
		}
	}
	var found []namespace
	for _, database := range databases {
		if !s.selection.includesDatabase(database) || internal(database) {
			continue
		}
		names, err := client.Database(database).ListCollectionNames(ctx, bson.D{{Key: "type", Value: "collection"}})
		if err != nil {
			return nil, fmt.Errorf("list collections of %s: %w", database, err)
		}
		for _, name := range names {
			if n := (namespace{database, name}); s.selection.includes(n) {
				found = append(found, n)
			}
		}
	}
	return found, nil
}

// internal tells the databases that no change stream shows.
func internal(database string) bool {
	return database == "admin" || database == "config" || database == "local"
}
