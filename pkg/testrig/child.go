package testrig

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// childEnv holds what a child works with; that it is set makes the test program one.
const childEnv = "DATAWATCH_TEST_CHILD"

// MainIfChild makes a process that Spawn started do its work, and ends it; in every other it returns at once. Call it from
// TestMain, before Main.
func MainIfChild[With any](run func(With) error) {
	text, is := os.LookupEnv(childEnv)
	if !is {
		return
	}
	var with With
	err := json.Unmarshal([]byte(text), &with)
	if err == nil {
		err = run(with)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Spawn starts the test program as a child: a process that is there to be killed. kill ends it with SIGKILL, as does the
// test's end.
func Spawn(t testing.TB, with any) (kill func()) {
	t.Helper()
	text, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), childEnv+"="+string(text))
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			_ = command.Process.Kill() // it may have ended by itself, which the test notices by what is missing
			_ = command.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}
