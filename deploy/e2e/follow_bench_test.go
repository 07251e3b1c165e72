package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// mostUntilTold is how long it may take from a commit to its message, in 95 of 100 cases.
const mostUntilTold = time.Second

// BenchmarkFollowedTransactionIsTold is the time from a commit to its message in a chat that follows it, while others write
// many times what the feed of everything may tell; Telegram's limits are the real ones. It fails beyond mostUntilTold.
func BenchmarkFollowedTransactionIsTold(b *testing.B) {
	w := newWorld(b, testrig.Embedded(b), telegramsim.Limits{})
	const testers = strangersChat // they have joined: a chat of alerts leaves a feed little
	w.configure("  feed: {chat: 1001}", fmt.Sprintf("  feed: {chat: 1001}\n  allow: [%d]", testers))
	mine, others := w.connect(), w.connect()
	for _, sql := range []string{"CREATE TABLE mine (id bigint PRIMARY KEY, note text)", "CREATE TABLE others (id bigint PRIMARY KEY, note text)"} {
		if _, err := mine.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	w.start()
	if _, err := w.sim.Type(testers, telegramsim.Written{Text: "/follow mine"}); err != nil {
		b.Fatal(err)
	}
	w.message(testers, "until")
	ctx, cancel := context.WithCancel(b.Context())
	written, ended := 0, make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := others.Exec(b.Context(), "INSERT INTO others VALUES ($1, 'noise')", written); err != nil {
				ended <- err
				return
			}
			written++
			time.Sleep(4 * time.Millisecond)
		}
		ended <- nil
	}()
	w.message(feedChat, "more than this chat takes") // far over its budget
	var took []time.Duration
	next := 0
	for b.Loop() {
		for range 12 { // with the answer to /follow as many as a group takes of a feed in a minute
			began := time.Now()
			if _, err := mine.Exec(b.Context(), "INSERT INTO mine VALUES ($1, $2)", next, fmt.Sprintf("number %d.", next)); err != nil {
				b.Fatal(err)
			}
			w.message(testers, fmt.Sprintf("number %d.", next))
			took = append(took, time.Since(began))
			next++
			time.Sleep(1100 * time.Millisecond) // a chat takes one a second
		}
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	p95 := took[min(len(took)*95/100, len(took)-1)]
	b.ReportMetric(float64(p95.Milliseconds()), "p95-ms")
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(written), "others")
	if p95 > mostUntilTold {
		b.Errorf("from commit to message: p95 %s, more than %s", p95, mostUntilTold)
	}
	if n := w.sim.Stats().Floods; n > 0 {
		b.Errorf("Telegram had to say %d times that it is too much", n)
	}
	if !strings.Contains(texts(w.sim.Messages(feedChat)), "others") {
		b.Error("the feed of everything told nothing")
	}
}

func (w *world) connect() *pgx.Conn {
	w.t.Helper()
	db, err := pgx.Connect(w.t.Context(), w.DSN)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}
