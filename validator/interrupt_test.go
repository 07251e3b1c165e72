package validator_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	"datawatch/validator"
)

// interrupter ends a command when it has begun to read: it says then since when clean holds events.
type interrupter struct {
	bytes.Buffer
	interrupt context.CancelFunc
}

func (i *interrupter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("clean holds events since")) {
		i.interrupt()
	}
	return i.Buffer.Write(p)
}

// TestCommandsThatReadThePastAreInterruptedCleanly: they say so, write nothing, and leave files as they were.
func TestCommandsThatReadThePastAreInterruptedCleanly(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newTraffic(t, addr)
		var records []broker.Record
		for i := range 500 {
			records = append(records, w.clean(order(i)))
		}
		w.publish(records...)
		load := func() (validator.Config, error) {
			c := validator.DefaultConfig()
			return c, config.Load(w.config, &c)
		}
		for _, line := range []string{"replay", "infer --stream shop-db/public.orders", "explain shop-db/public.orders"} {
			words := strings.Fields(line)
			commands := validator.Service().Commands(load)
			i := slices.IndexFunc(commands, func(c *cobra.Command) bool { return c.Name() == words[0] })
			ctx, cancel := context.WithCancel(t.Context())
			errs := &interrupter{interrupt: cancel}
			var out bytes.Buffer
			cmd := commands[i]
			cmd.SetArgs(words[1:])
			cmd.SetOut(&out)
			cmd.SetErr(errs)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			err := cmd.ExecuteContext(ctx)
			cancel()
			if err == nil || err.Error() != "interrupted; nothing was written" || out.Len() > 0 {
				t.Errorf("%s: %v\n%s%s", line, err, out.String(), errs.String())
			}
		}
	})
}

// TestCommandsThatReadThePastJoinNoGroup: whoever reads in one goes on undisturbed.
func TestCommandsThatReadThePastJoinNoGroup(t *testing.T) {
	addr := testrig.Embedded(t)
	w := newTraffic(t, addr)
	var records []broker.Record
	for i := range 100 {
		records = append(records, w.clean(order(i)))
	}
	w.publish(records...)
	admin, err := sarama.NewClusterAdmin(strings.Split(addr, ","), sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	before, err := admin.ListConsumerGroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"replay testdata/schemas --last 50", "infer --stream shop-db/public.orders", "explain shop-db/public.orders --schemas testdata/schemas", "wrong"} {
		w.run(daemon.ExitOK, strings.Fields(line)...)
	}
	after, err := admin.ListConsumerGroups()
	if err != nil || len(after) != len(before) {
		t.Errorf("groups before %v, after %v, %v", before, after, err)
	}
}
