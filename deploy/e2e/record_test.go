package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// checkoutEnv makes the test binary the program that somebody tests: it buys once. Its value is the database, the Kafka and
// the total that it writes.
const checkoutEnv = "E2E_CHECKOUT"

func TestMain(m *testing.M) {
	if order, is := os.LookupEnv(checkoutEnv); is {
		if err := checkout(strings.Fields(order)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	testrig.Main(m)
}

func checkout(where []string) error {
	ctx := context.Background()
	db, err := pgx.Connect(ctx, where[0])
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(ctx) }()
	var id int64
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO orders (wallet_id, customer, status, currency, items, total, created_at)
			VALUES (7, 'An Nguyễn', 'new', 'USD', '[{"sku": "TEA-250", "price": 49.99, "quantity": 3}]', $1, now()) RETURNING id`, where[2]).Scan(&id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE wallets SET balance = balance - $1 WHERE id = 7", where[2])
		return err
	})
	if err != nil {
		return err
	}
	c := sarama.NewConfig()
	c.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(strings.Split(where[1], ","), c)
	if err != nil {
		return err
	}
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{
		Topic: "orders.placed", Key: sarama.StringEncoder(fmt.Sprint(id)), Value: sarama.StringEncoder(fmt.Sprintf(`{"orderId": %d, "total": %s}`, id, where[2])),
		Headers: []sarama.RecordHeader{{Key: []byte("datawatch-tag"), Value: []byte(os.Getenv("DATAWATCH_TAG"))}},
	})
	return errors.Join(err, producer.Close())
}

// TestRecordingHoldsATestAgainstWhatItChanged uses `collector record` as somebody would in CI: the first run writes the
// file, a second one is like it though ids and times differ, and one whose code changed is told what is different.
func TestRecordingHoldsATestAgainstWhatItChanged(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	db, err := pgx.Connect(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	execute := func(sql string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE TABLE wallets (id bigint PRIMARY KEY, customer text, balance numeric(14,2));
		CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY (START 1042) PRIMARY KEY, wallet_id bigint, customer text, status text, currency text, items jsonb, total numeric(14,2), created_at timestamptz);
		INSERT INTO wallets VALUES (7, 'An Nguyễn', 500)`)
	createTopic(t, w.Company, "orders.placed")
	w.start()
	golden := filepath.Join(t.TempDir(), "checkout.golden")
	record := func(total string, flags ...string) (code int, stdout, stderr string) {
		t.Helper()
		execute("UPDATE wallets SET balance = 500 WHERE id = 7") // not of the test: it carries no tag
		args := append([]string{"record", "--config", w.config, "--tag", "checkout test", "--expect", golden}, flags...)
		cmd := exec.CommandContext(t.Context(), w.programs["collector"], append(args, "--", os.Args[0])...)
		cmd.Env = append(os.Environ(), checkoutEnv+"="+strings.Join([]string{strings.ReplaceAll(w.DSN, " ", ""), w.Company, total}, " "))
		var out, complaints bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaints
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
	}

	if code, _, stderr := record("149.97", "--update"); code != 0 || !strings.Contains(stderr, "3 changes written") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"stream":"shop-db/public.orders","op":"insert","key":{"id":"<orders 1>"},"after":{"id":"<orders 1>","wallet_id":7,"customer":"•••","status":"new","currency":"USD","items":[{"sku":"TEA-250","price":49.99,"quantity":3}],"total":149.97,"created_at":"<time>"}}
{"stream":"shop-db/public.wallets","op":"update","key":{"id":7},"before":{"id":7,"customer":"•••","balance":500.00},"after":{"id":7,"customer":"•••","balance":350.03}}
{"stream":"shop-kafka/orders.placed","op":"message","key":"<id>","after":{"orderId":"<orders 1>","total":149.97}}
`
	if string(text) != want {
		t.Errorf("the file is\n%s", text)
	}
	if code, stdout, stderr := record("149.97"); code != 0 || !strings.Contains(stdout, "3 changes in 2 transactions and records, 0 rules broken") {
		t.Errorf("the same code again: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := record("149.98")
	for _, part := range []string{
		"✗ total-adds-up", "after.total: 149.97 → 149.98", "broken: ∅ → total-adds-up", "after.balance: 350.03 → 350.02", "after.total: 149.97 → 149.98",
	} {
		if !strings.Contains(stdout, part) {
			t.Errorf("%q isn't told", part)
		}
	}
	if code != 1 || !strings.Contains(stderr, "3 differences") {
		t.Errorf("other code: exit %d\n%s%s", code, stdout, stderr)
	}
	// The command's own failure is the recording's.
	if code, _, stderr := record("nonsense"); code != 1 || !strings.Contains(stderr, "exit status 3") {
		t.Errorf("a command that fails: exit %d\n%s", code, stderr)
	}
}

func createTopic(t *testing.T, addr, name string) {
	t.Helper()
	c := sarama.NewConfig()
	c.Admin.Timeout = 20 * time.Second
	admin, err := sarama.NewClusterAdmin(strings.Split(addr, ","), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
}
