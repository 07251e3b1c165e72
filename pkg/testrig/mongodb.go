package testrig

import (
	"context"
	"errors"
	"os"
	"testing"

	"datawatch/pkg/testrig/mongodb"
)

// mongoEnv names the user's own replica set, by a URI whose user may do everything.
const mongoEnv = "DATAWATCH_TEST_MONGODB_URI"

var sharedMongoDB shared[string]

// MongoDB gives the URI of the replica set that the tests of this process share: the user's own, or one that is started.
// Tests take databases of their own, named by [Prefix].
func MongoDB(t testing.TB) string {
	t.Helper()
	uri, err := sharedMongoDB.get(func(ctx context.Context) (string, error) {
		if uri := os.Getenv(mongoEnv); uri != "" {
			return uri, nil
		}
		s, err := mongodb.Start(ctx, mongodb.Options{})
		if err != nil {
			return "", err
		}
		stopAtEnd(func(context.Context) error { return kill(s) })
		return s.URI(), nil
	})
	requireMongoDB(t, err)
	return uri
}

// PrivateMongoDB starts a server for this test alone, which it may kill and restart.
func PrivateMongoDB(t testing.TB, o mongodb.Options) *mongodb.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), obtainTimeout)
	defer cancel()
	s, err := mongodb.Start(ctx, o)
	requireMongoDB(t, err)
	t.Cleanup(func() {
		if err := kill(s); err != nil {
			t.Errorf("testrig: %v", err)
		}
	})
	return s
}

// requireMongoDB ends the test if the server couldn't be had.
func requireMongoDB(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, mongodb.ErrUnavailable) && os.Getenv(requireEnv) != "1" {
		t.Skipf("skipped: %v", err)
	}
	require(t, err)
}
