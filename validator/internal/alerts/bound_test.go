package alerts_test

import (
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts/life"
)

// TestWhatIsBeyondTheBoundIsToldAsOthersWithCounts, and a group that is known goes on.
func TestWhatIsBeyondTheBoundIsToldAsOthersWithCounts(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.most = 2
	stop := w.start()
	w.publish(false, violation(1, "one", event.Critical), violation(2, "two", event.Critical))
	w.reads(a, "fp-one")
	w.publish(false, violation(3, "three", event.Critical), violation(4, "four", event.Critical), violation(5, "one", event.Critical))
	w.reads(a, "More kinds of errors than are told apart", "<b>2</b> ")
	stop()
	w.start()
	w.publish(false, violation(6, "five", event.Critical))
	w.reads(a, "More kinds of errors than are told apart", "<b>3</b> ")
	w.reads(a, "<b>2</b> ", "fp-one")
}

// TestWhatIsOverForLongLeavesTheStateAndIsNewWhenItComesAgain.
func TestWhatIsOverForLongLeavesTheStateAndIsNewWhenItComesAgain(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.times = life.DefaultTimes()
	w.times.BackWithin = 500 * time.Millisecond
	w.start()
	scanner, err := broker.NewScanner(w.shared.Broker, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scanner.Close() })
	holds := func(want int) {
		t.Helper()
		testrig.Eventually(t, 30*time.Second, func() error {
			state, err := scanner.State(t.Context(), w.topics.State, "alert")
			delete(state, "alert-signs/read")
			delete(state, "alert-digest/last")
			if err == nil && len(state) != want {
				err = fmt.Errorf("the state holds %d records", len(state))
			}
			return err
		})
	}
	w.publish(false, violation(1, "counted", event.Info))
	w.publish(true, violation(1, "over", event.Critical), violation(2, "open", event.Critical))
	w.reads(a, "fp-over")
	w.reads(a, "fp-open")
	w.mend("over", 1)
	holds(2) // the open group and its card
	w.publish(true, violation(3, "over", event.Critical))
	testrig.Eventually(t, 30*time.Second, func() error {
		messages, _ := a.sent()
		if n := len(messages); n != 3 {
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	messages, _ := a.sent()
	if got := messages[2].text; got[:len("🔴")] != "🔴" {
		t.Errorf("it isn't new: %s", got)
	}
	holds(4)
}
