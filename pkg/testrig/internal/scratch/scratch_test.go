package scratch

import (
	"os"
	"testing"
)

func TestFoldersOfTheDeadAreSweptThoseOfTheLivingStay(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	living, err := New("server")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := New("server")
	if err != nil {
		t.Fatal(err)
	}
	dead.owner.Close() // as the kernel does when a process ends

	if _, err := New("server"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(living.Path); err != nil {
		t.Errorf("the folder of a living process was removed: %v", err)
	}
	if _, err := os.Stat(dead.Path); !os.IsNotExist(err) {
		t.Errorf("the folder of a dead process is still there: %v", err)
	}
	if err := living.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(living.Path); !os.IsNotExist(err) {
		t.Errorf("a removed folder is still there: %v", err)
	}
}
