package postgres_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"datawatch/pkg/testrig/postgres"
)

// parentEnv makes the test binary a program that starts a server in the folder it
// names, says where, and goes on until it is killed.
const parentEnv = "POSTGRES_TEST_PARENT"

type started struct {
	PID int
	DSN string
}

func TestMain(m *testing.M) {
	postgres.MainIfChild()
	dir, isParent := os.LookupEnv(parentEnv)
	if !isParent {
		os.Exit(m.Run())
	}
	s, err := postgres.Start(context.Background(), postgres.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(started{s.PID(), s.DSN("postgres")}); err != nil {
		panic(err)
	}
	<-s.Done()
}
