package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
)

// windowEvery is how often it is looked how far the oplog reaches back.
const windowEvery = time.Minute

// watchWindow tells how much of the oplog's reach is left to what was read, until ctx is done. Where the user may not read
// the database local, and of a mongos, which has no oplog, nobody knows: it is nothing that capture needs.
func (r *reader) watchWindow(ctx context.Context) {
	reporter, ok := r.report.(source.WindowReporter)
	if !ok {
		return
	}
	tellWindow(ctx, reporter, func(ctx context.Context) (oldest, newest time.Time, err error) { return oplogReach(ctx, r.client) },
		func() time.Time {
			if at := r.readUpTo.Load(); at != 0 {
				return time.Unix(0, at)
			}
			return time.Time{}
		},
		func(err error) {
			r.log.Debug("how far the oplog reaches back isn't known", "hint", "grant read on the database local", "error", err)
		})
}

// tellWindow looks now and then, once something was read: readUpTo is zero until then.
func tellWindow(ctx context.Context, to source.WindowReporter, reach func(context.Context) (oldest, newest time.Time, err error),
	readUpTo func() time.Time, failed func(error),
) {
	ticker := time.NewTicker(windowEvery)
	defer ticker.Stop()
	for {
		if at := readUpTo(); !at.IsZero() {
			switch oldest, newest, err := reach(ctx); {
			case err != nil:
				failed(err)
			case newest.After(oldest):
				to.Window(control.Window{Left: int64(at.Sub(oldest).Seconds()), Size: int64(newest.Sub(oldest).Seconds()), Seconds: true})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// oplogReach is from when to when the oplog holds operations.
func oplogReach(ctx context.Context, client *mongo.Client) (oldest, newest time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, selectionTimeout)
	defer cancel()
	end := func(order int) (time.Time, error) {
		var entry struct {
			TS primitive.Timestamp `bson:"ts"`
		}
		o := options.FindOne().SetSort(bson.D{{Key: "$natural", Value: order}}).SetProjection(bson.D{{Key: "ts", Value: 1}})
		err := client.Database("local").Collection("oplog.rs").FindOne(ctx, bson.D{}, o).Decode(&entry)
		return time.Unix(int64(entry.TS.T), 0), err
	}
	if oldest, err = end(1); err == nil {
		newest, err = end(-1)
	}
	return oldest, newest, err
}
