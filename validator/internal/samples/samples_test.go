package samples_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"datawatch/validator/internal/samples"
	"datawatch/validator/internal/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func outcomes(t *testing.T, dir string, files ...string) []samples.Outcome {
	t.Helper()
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := samples.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = samples.Pick(all, dir, files); err != nil {
		t.Fatal(err)
	}
	judged, err := samples.Judge(t.Context(), dir, set, all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range judged {
		judged[i].Took = 0
	}
	return judged
}

// TestSamplesThatDontDoAsTheyHaveToAreTold holds which samples pass, and what is said of those that don't.
func TestSamplesThatDontDoAsTheyHaveToAreTold(t *testing.T) {
	judged := outcomes(t, "testdata")
	for name, write := range map[string]func(*bytes.Buffer) error{
		"outcomes.golden":       func(b *bytes.Buffer) error { return samples.Write(b, judged) },
		"outcomes.golden.data":  func(b *bytes.Buffer) error { return samples.WriteJSON(b, judged) },
		"outcomes.golden.junit": func(b *bytes.Buffer) error { return samples.WriteJUnit(b, judged) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", name), b.Bytes())
	}
}

func TestJUnitReportIsXMLThatCountsFailures(t *testing.T) {
	var b bytes.Buffer
	if err := samples.WriteJUnit(&b, outcomes(t, "testdata")); err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Tests    int        `xml:"tests,attr"`
			Failures int        `xml:"failures,attr"`
			Failed   []struct{} `xml:"testcase>failure"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	tests, failures, failed := 0, 0, 0
	for _, s := range report.Suites {
		tests, failures, failed = tests+s.Tests, failures+s.Failures, failed+len(s.Failed)
	}
	if tests != 13 || failures != failed || failures != 9 {
		t.Errorf("%d tests, %d failures, %d failure elements", tests, failures, failed)
	}
}

func TestFilesNarrowWhatIsJudged(t *testing.T) {
	below := "testdata/_tests/shop-db/public.orders/"
	if got := outcomes(t, "testdata", below+"valid/row.json"); len(got) != 1 || got[0].Problem != "" {
		t.Errorf("one file: %+v", got)
	}
	if got := outcomes(t, "testdata", below+"valid"); len(got) != 4 {
		t.Errorf("a folder: %d samples", len(got))
	}
	if _, err := samples.Pick(nil, "testdata", []string{"elsewhere.json"}); err == nil {
		t.Error("a file that is no sample is accepted")
	}
}

func TestFolderWithoutSamplesSaysWhereTheyLie(t *testing.T) {
	if _, err := samples.Find(t.TempDir()); !errors.Is(err, samples.ErrNoSamples) {
		t.Error(err)
	}
}
