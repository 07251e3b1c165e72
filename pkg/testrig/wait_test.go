package testrig

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
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

func (o *observed) Errorf(format string, args ...any) { o.failed = fmt.Sprintf(format, args...) }

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
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		begin := time.Now()
		Eventually(t, time.Minute, func() error {
			if tries++; tries < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestEventuallyFailsWithTheLastErrorOfTwoMinutesAtLeast(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{time.Second: patience, 2 * patience: 2 * patience} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			begin := time.Now()
			o := observe(t, func(t testing.TB) {
				Eventually(t, timeout, func() error { tries++; return fmt.Errorf("try %d", tries) })
			})
			if want := fmt.Sprintf("try %d", tries); tries < 2 || !strings.HasSuffix(o.failed, want) {
				t.Errorf("after %d tries: %q", tries, o.failed)
			}
			if took := time.Since(begin); took != want {
				t.Errorf("a timeout of %v took %v", timeout, took)
			}
		})
	}
}

// TestConditionThatTakesLongIsLeftAloneAsLong: asking is not to be all that the machine does.
func TestConditionThatTakesLongIsLeftAloneAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		begin := time.Now()
		Eventually(t, time.Minute, func() error {
			time.Sleep(3 * time.Second)
			if tries++; tries < 5 {
				return errors.New("not yet")
			}
			return nil
		})
		if took := time.Since(begin); took != 5*3*time.Second+4*3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestWhileMovingWaitsAsLongAsThereIsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := 0
		begin := time.Now()
		WhileMoving(t, time.Minute, func() (int, error) {
			if far = int(time.Since(begin) / time.Minute); far < 60 {
				return far, errors.New("not there")
			}
			return far, nil
		})
		begin = time.Now()
		o := observe(t, func(t testing.TB) {
			WhileMoving(t, time.Minute, func() (int, error) { return min(int(time.Since(begin)/time.Minute), 10), errors.New("stuck") })
		})
		if took := time.Since(begin); !strings.HasSuffix(o.failed, "stuck") || took < 10*time.Minute+patience || took > 11*time.Minute+patience {
			t.Errorf("after %v: %q", took, o.failed)
		}
	})
}

func TestPromptlyWantsItOnceInThreeTimes(t *testing.T) {
	for _, c := range []struct {
		took  []time.Duration
		fails bool
		tries int
	}{
		{[]time.Duration{1}, false, 1},
		{[]time.Duration{3, 3, 2}, false, 3},
		{[]time.Duration{3, 4, 5}, true, 3},
	} {
		tries := 0
		o := observe(t, func(t testing.TB) {
			Promptly(t, 2, func() time.Duration { tries++; return c.took[tries-1] })
		})
		if (o.failed != "") != c.fails || tries != c.tries {
			t.Errorf("%v: %d tries, %q", c.took, tries, o.failed)
		}
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
