package mongodb

import (
	"errors"
	"strings"
	"testing"
)

func TestDeploymentsThatCanNotBeFollowedSayHowToMendIt(t *testing.T) {
	now := stamp{T: 1}
	for name, c := range map[string]struct {
		deployment deployment
		reason     error
		remedy     string
	}{
		"standalone": {deployment{version: [3]int32{8, 0, 0}, now: now}, errStandalone, "--replSet"},
		"old":        {deployment{version: [3]int32{4, 2, 9}, set: "rs", now: now}, errTooOld, "upgrade"},
		"no clock":   {deployment{version: [3]int32{4, 4, 0}, set: "rs"}, errNoClock, "rs.initiate()"},
	} {
		err := c.deployment.usable()
		var known interface{ Remedy() string }
		if !errors.Is(err, c.reason) || !errors.As(err, &known) || !strings.Contains(known.Remedy(), c.remedy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, d := range map[string]deployment{
		"4.4":     {version: [3]int32{4, 4, 0}, set: "rs", now: now},
		"sharded": {version: [3]int32{8, 0, 0}, sharded: true, now: now},
	} {
		if err := d.usable(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargeEventsAreAskedForWhereTheServerKnowsThem(t *testing.T) {
	for version, want := range map[[3]int32]bool{
		{4, 4, 29}: false, {6, 0, 8}: false, {6, 0, 9}: true, {6, 0, 20}: true, {6, 1, 0}: false, {6, 3, 2}: false, {7, 0, 0}: true, {8, 2, 1}: true,
	} {
		if got := (deployment{version: version}).splits(); got != want {
			t.Errorf("%v: %v", version, got)
		}
	}
}
