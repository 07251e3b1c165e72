package validator_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawatch/pkg/daemon"
	"datawatch/validator"
)

// TestSuiteOfSixtySchemasSaysWhatItsSamplesExpect judges a folder as users have it by the code that they run: lint finds
// nothing in it, and of every file there are samples that pass and samples that fail as they say.
func TestSuiteOfSixtySchemasSaysWhatItsSamplesExpect(t *testing.T) {
	dir := filepath.Join("testdata", "suite")
	for _, args := range [][]string{{"lint", dir, "--strict"}, {"test", dir}} {
		var out, errs bytes.Buffer
		if code := daemon.Execute(validator.Service(), args, &out, &errs); code != daemon.ExitOK {
			t.Errorf("%s: exit code %d\n%s%s", args[0], code, out.String(), errs.String())
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "_") {
			return err
		}
		files++
		for _, kind := range []string{"valid", "invalid"} {
			samples, err := os.ReadDir(filepath.Join(dir, "_tests", strings.TrimSuffix(name, ".json"), kind))
			if err != nil || len(samples) == 0 {
				t.Errorf("%s has no %s sample", name, kind)
			}
		}
		return nil
	})
	if err != nil || files < 60 {
		t.Errorf("%d files, %v", files, err)
	}
}
