package embedded_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"datawatch/pkg/broker/embedded"
)

// parentEnv makes the test binary a program that starts a broker on the data
// folder it names, says so, and goes on until somebody kills it.
const parentEnv = "EMBEDDED_TEST_PARENT"

func TestMain(m *testing.M) {
	embedded.MainIfChild()
	if dir, isParent := os.LookupEnv(parentEnv); isParent {
		os.Exit(parentMain(dir))
	}
	os.Exit(m.Run())
}

type child struct {
	PID  int
	Addr string
}

func parentMain(dir string) int {
	p, err := embedded.Start(context.Background(), embedded.StartOptions{DataDir: dir})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(child{p.PID(), p.Addr()}); err != nil {
		panic(err)
	}
	<-p.Done()
	return 0
}
