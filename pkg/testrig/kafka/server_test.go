package kafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/testrig/kafka"
)

const (
	// parentEnv makes the test binary a program that starts a server in the folder
	// it names, says where, and goes on until it is killed.
	parentEnv = "KAFKA_TEST_PARENT"
	within    = 2 * time.Minute
)

func TestMain(m *testing.M) {
	dir, isParent := os.LookupEnv(parentEnv)
	if !isParent {
		os.Exit(m.Run())
	}
	s, err := kafka.Start(context.Background(), kafka.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Addr())
	<-s.Done()
}

func start(t *testing.T, o kafka.Options) *kafka.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := kafka.Start(t.Context(), o)
	if errors.Is(err, kafka.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Kill(), s.Stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// produce commits n records to a new topic in one transaction.
func produce(t *testing.T, addr, topic string, n int) {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Admin.Timeout = 20 * time.Second
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	conf.Producer.Idempotent = true
	conf.Producer.Transaction.ID = topic
	conf.Net.MaxOpenRequests = 1
	admin, err := sarama.NewClusterAdmin([]string{addr}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewSyncProducer([]string{addr}, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	if err := producer.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	for range n {
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("order")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := producer.CommitTxn(); err != nil {
		t.Fatal(err)
	}
}

// written is where a topic ends: its records, and the mark of the commit.
func written(t *testing.T, addr, topic string, want int64) int64 {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// The transaction's marker is written behind its commit's answer, of a stopped server by its next start.
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		if end == want || time.Now().After(deadline) {
			return end
		}
	}
}

func TestServersRunSideBySideAndKeepTheirRecordsWhenKilled(t *testing.T) {
	first, second := start(t, kafka.Options{}), start(t, kafka.Options{})
	produce(t, first.Addr(), "orders", 10)
	produce(t, second.Addr(), "orders", 20)
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := first.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if end := written(t, first.Addr(), "orders", 10+1); end != 10+1 {
		t.Errorf("the first server's topic ends at %d", end)
	}
	if end := written(t, second.Addr(), "orders", 20+1); end != 20+1 {
		t.Errorf("the second server's topic ends at %d", end)
	}
}

func TestStoppedServerGoesOnInItsFolder(t *testing.T) {
	dir := t.TempDir()
	s := start(t, kafka.Options{Dir: dir})
	produce(t, s.Addr(), "orders", 10)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = start(t, kafka.Options{Dir: dir})
	if end := written(t, s.Addr(), "orders", 10+1); end != 10+1 {
		t.Errorf("the topic ends at %d", end)
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	dir := t.TempDir()
	if _, err := kafka.Fetch(t.Context(), ""); err != nil && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server outlived its parent")
		}
	}
}

func TestStartThatFailsShowsWhatTheServerSaid(t *testing.T) {
	if _, err := kafka.Fetch(t.Context(), ""); err != nil && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	_, err := kafka.Start(t.Context(), kafka.Options{Dir: t.TempDir(), Settings: map[string]string{"num.partitions": "many"}})
	if err == nil || !strings.Contains(err.Error(), "num.partitions") {
		t.Errorf("Start gave %v", err)
	}
}

func TestMissingToolsSayWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DATAWATCH_CACHE", t.TempDir())
	if _, err := kafka.Fetch(t.Context(), ""); !errors.Is(err, kafka.ErrUnavailable) || !strings.Contains(err.Error(), "install Apache Maven") {
		t.Errorf("without mvn, Fetch gave %v", err)
	}
	if _, err := kafka.Start(t.Context(), kafka.Options{}); !errors.Is(err, kafka.ErrUnavailable) || !strings.Contains(err.Error(), "install Java") {
		t.Errorf("without java, Start gave %v", err)
	}
}
