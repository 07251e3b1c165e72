package mongodb

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
	"datawatch/pkg/testrig"
)

// TestTheOplogsReachIsReadFromTheServer.
func TestTheOplogsReachIsReadFromTheServer(t *testing.T) {
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(testrig.MongoDB(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	if _, err := client.Database("window").Collection("c").InsertOne(t.Context(), bson.D{{Key: "a", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	oldest, newest, err := oplogReach(t.Context(), client)
	if err != nil || oldest.After(newest) || time.Since(newest) > time.Minute || oldest.Unix() == 0 {
		t.Errorf("from %s to %s, %v", oldest, newest, err)
	}
}

// windows is a reporter that keeps what it is told of windows.
type windows struct {
	source.Reporter
	mu   sync.Mutex
	told []control.Window
}

func (w *windows) Window(told control.Window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, told)
}

func (w *windows) all() []control.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// TestWhatIsLeftOfTheOplogIsToldAgainAndAgain, once something was read.
func TestWhatIsLeftOfTheOplogIsToldAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told := &windows{}
		now := time.Now()
		var readUpTo atomic.Pointer[time.Time]
		readUpTo.Store(new(time.Time))
		reach := func(context.Context) (oldest, newest time.Time, err error) { return now.Add(-24 * time.Hour), now, nil }
		var watcher sync.WaitGroup
		watcher.Go(func() { tellWindow(ctx, told, reach, func() time.Time { return *readUpTo.Load() }, func(error) {}) })
		synctest.Wait()
		if got := told.all(); len(got) != 0 {
			t.Errorf("told %+v, and nothing was read", got)
		}
		anHour := now.Add(-23 * time.Hour)
		readUpTo.Store(&anHour)
		time.Sleep(windowEvery)
		synctest.Wait()
		if got, want := told.all(), []control.Window{{Left: 3600, Size: 86400, Seconds: true}}; !slices.Equal(got, want) {
			t.Errorf("told %+v, want %+v", got, want)
		}
		cancel()
		watcher.Wait()
	})
}
