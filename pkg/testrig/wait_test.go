package testrig

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/testrig/kafka"
)

// observed is a test whose end is looked at by another.
type observed struct {
	testing.TB
	failed, skipped string
}

type ended struct{}

func (o *observed) Helper() {}

func (o *observed) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
	panic(ended{})
}

func (o *observed) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
	panic(ended{})
}

func observe(t *testing.T, run func(t testing.TB)) (o *observed) {
	o = &observed{TB: t}
	defer func() {
		if r := recover(); r != nil && r != (ended{}) {
			panic(r)
		}
	}()
	run(o)
	return o
}

func TestEventuallyReturnsAsSoonAsTheConditionHolds(t *testing.T) {
	tries := 0
	begin := time.Now()
	Eventually(t, time.Minute, func() error {
		if tries++; tries < 4 {
			return errors.New("not yet")
		}
		return nil
	})
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestWhileMovingWaitsAsLongAsThereIsProgress(t *testing.T) {
	const still = 200 * time.Millisecond
	begin, asked := time.Now(), 0
	WhileMoving(t, still, func() (int, error) {
		if asked++; time.Since(begin) < 3*still {
			return asked, errors.New("not yet")
		}
		return asked, nil
	})
	o := observe(t, func(t testing.TB) {
		WhileMoving(t, still, func() (int, error) { return 7, errors.New("seven of eight") })
	})
	if !strings.Contains(o.failed, "seven of eight") {
		t.Errorf("failed with %q", o.failed)
	}
}

func TestEventuallyFailsWithTheLastError(t *testing.T) {
	tries := 0
	o := observe(t, func(t testing.TB) {
		Eventually(t, 20*time.Millisecond, func() error { tries++; return fmt.Errorf("try %d", tries) })
	})
	if want := fmt.Sprintf("try %d", tries); tries < 2 || !strings.HasSuffix(o.failed, want) {
		t.Errorf("after %d tries: %q", tries, o.failed)
	}
}

func TestMissingServerSkipsUnlessServersAreRequired(t *testing.T) {
	missing := fmt.Errorf("%w: install Java", kafka.ErrUnavailable)
	broken := errors.New("it ended")

	t.Setenv(requireEnv, "")
	if o := observe(t, func(t testing.TB) { require(t, missing) }); !strings.Contains(o.skipped, "install Java") || o.failed != "" {
		t.Errorf("a missing server: %+v", o)
	}
	if o := observe(t, func(t testing.TB) { require(t, broken) }); o.failed == "" {
		t.Error("a server that doesn't start is no failure")
	}
	t.Setenv(requireEnv, "1")
	if o := observe(t, func(t testing.TB) { require(t, missing) }); o.failed == "" {
		t.Error("a missing server is no failure where servers are required")
	}
}

func TestPrefixIsUniqueAndFitsEveryServer(t *testing.T) {
	form := regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)
	for _, name := range []string{"a", "with spaces/and ünïcode", strings.Repeat("long", 50), "--"} {
		t.Run(name, func(t *testing.T) {
			first, second := Prefix(t), Prefix(t)
			if first == second {
				t.Errorf("twice %q", first)
			}
			if !form.MatchString(first) {
				t.Errorf("%q", first)
			}
		})
	}
}

func TestSoakIsWhatTheEnvironmentSays(t *testing.T) {
	t.Setenv(soakEnv, "10m")
	if d := Soak(); d != 10*time.Minute {
		t.Errorf("soak of %v", d)
	}
	if err := os.Unsetenv(soakEnv); err != nil {
		t.Fatal(err)
	}
	if d := Soak(); d != 5*time.Second {
		t.Errorf("soak of %v by default", d)
	}
	t.Setenv(soakEnv, "soon")
	defer func() {
		if recover() == nil {
			t.Error("a soak of nonsense")
		}
	}()
	Soak()
}

func TestDSNsAreRewrittenInBothForms(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://me:secret@db:5433/postgres?sslmode=disable": "postgres://me:secret@db:5433/mine?sslmode=disable",
		"host=db user=me dbname=postgres":                       "host=db user=me dbname=postgres dbname=mine",
	} {
		if got, err := withDatabase(dsn, "mine"); err != nil || got != want {
			t.Errorf("%s became %s, %v", dsn, got, err)
		}
	}
}
