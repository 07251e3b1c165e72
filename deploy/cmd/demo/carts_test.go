package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestDemoWithoutAMongoDBSaysHowToGetOne has neither a mongod nor a Python on the PATH.
func TestDemoWithoutAMongoDBSaysHowToGetOne(t *testing.T) {
	t.Setenv("DATAWATCH_CACHE", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	d := newDemo(&out)
	d.folder = t.TempDir()
	d.carts.begin(t.Context(), d)
	<-d.carts.ended
	if err := d.carts.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "carts       none: they need a mongod, or Python 3.10 to 3.13") {
		t.Errorf("the demo said %q", out.String())
	}
}
