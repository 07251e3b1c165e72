package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/reason"
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
		return nil, addressError(err)
	}
	return client, nil
}

// addressError says what is wrong with the address. The driver's error may quote the password; what DNS says doesn't.
func addressError(err error) error {
	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.Wrap(unknown, reason.MongoUnresolved.With()).Advise(reason.DoMongoUnresolved.With())
	}
	return reason.New(reason.MongoNoAddress.With()).Advise(reason.DoMongoUnanswered.With())
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
	term    int64 // of the last election; 0 where it isn't told
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

// splits tells whether it can send a large event in parts: from 6.0.9 and 7.0 on, and not in between
// (https://www.mongodb.com/docs/manual/reference/operator/aggregation/changeStreamSplitLargeEvent/).
func (d deployment) splits() bool {
	return d.atLeast(7, 0) || d.atLeast(6, 0, 9) && !d.atLeast(6, 1)
}

var (
	errStandalone = reason.New(reason.MongoStandalone.With()).Advise(reason.DoMongoStandalone.With())
	errTooOld     = reason.New(reason.MongoTooOld.With()).Advise(reason.DoMongoTooOld.With())
	errNoClock    = reason.New(reason.MongoNoClock.With()).Advise(reason.DoMongoNoClock.With())
)

// usable tells why there can be no change stream here.
func (d deployment) usable() error {
	switch {
	case d.set == "" && !d.sharded:
		return errStandalone
	case !d.atLeast(4, 4):
		return reason.New(reason.MongoTooOld.With(d.text)).Advise(reason.DoMongoTooOld.With())
	case d.now == (stamp{}):
		return errNoClock
	default:
		return nil
	}
}

func unanswered(err error) error {
	return reason.Wrap(err, reason.MongoUnanswered.With()).Advise(reason.DoMongoUnanswered.With())
}

func ask(ctx context.Context, client *mongo.Client) (deployment, error) {
	var d deployment
	admin := client.Database("admin")
	var build struct {
		Version      string  `bson:"version"`
		VersionArray []int32 `bson:"versionArray"`
	}
	if err := admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return d, unanswered(err)
	}
	d.text = build.Version
	copy(d.version[:], build.VersionArray)
	raw, err := admin.RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Raw() // hello is as late as 4.4.2
	if err != nil {
		return d, unanswered(err)
	}
	d.set, _ = raw.Lookup("setName").StringValueOK()
	message, _ := raw.Lookup("msg").StringValueOK()
	d.sharded = message == "isdbgrid" // as mongos says
	d.term, _ = raw.Lookup("lastWrite", "opTime", "t").AsInt64OK()
	d.now.T, d.now.I, _ = raw.Lookup("operationTime").TimestampOK()
	return d, nil
}

// collections are the ones that are captured, of those that are there.
func (s *Source) collections(ctx context.Context, client *mongo.Client) ([]listing, error) {
	databases := []string{s.selection.database()}
	if databases[0] == "" {
		var err error
		if databases, err = client.ListDatabaseNames(ctx, bson.D{}); err != nil {
			return nil, fmt.Errorf("list databases: %w", err)
		}
	}
	var found []listing
	for _, database := range databases {
		if !s.selection.includesDatabase(database) || internal(database) {
			continue
		}
		listed, err := s.list(ctx, client, database)
		if err != nil {
			return nil, err
		}
		found = append(found, listed...)
	}
	return found, nil
}

// internal tells the databases that no change stream shows.
func internal(database string) bool {
	return database == "admin" || database == "config" || database == "local"
}
