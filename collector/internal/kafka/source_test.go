package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestWhatIsWrittenAfterTheFirstStartIsCapturedEvenIfItWasKilledBeforeTheFirstRecord(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 2, nil)
		k.send(t, message(topic, 0, "old-0"), message(topic, 1, "old-1"))
		c := newCapture()
		killed := errors.New("killed")
		c.refuse = func(b source.Batch) error {
			if len(b.Events) > 0 {
				return killed
			}
			return nil
		}
		stop := c.run(t, k.config(nil))
		c.awaitBegun(t)
		_ = stop()
		k.send(t, message(topic, 0, "new-0"), message(topic, 1, "new-1"))
		c.refuse = nil
		c.run(t, k.config(nil))
		c.awaitValues(t, "new-0", "new-1")
	})
}

func TestStartEarliestReadsWhatIsThere(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	topic := k.topic(t, "orders", 2, nil)
	k.send(t, message(topic, 0, "a"), message(topic, 0, "b"), message(topic, 1, "c"))
	c := newCapture()
	c.run(t, k.config(func(cfg *Config) { cfg.Start = startEarliest }))
	c.awaitValues(t, "a", "b", "c")
}

func TestTopicsAndPartitionsThatComeLaterAreReadFromTheirBeginning(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		c := newCapture()
		stop := c.run(t, k.config(nil)) // there is no topic yet: the source has run all the same
		c.awaitBegun(t)
		while := k.topic(t, "while-it-runs", 1, nil)
		k.send(t, message(while, 0, "a"))
		c.awaitValues(t, "a")
		if err := k.admin.CreatePartitions(while, 2, nil, false); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, 20*time.Second, func() error {
			_, _, err := k.producer.SendMessage(message(while, 1, "b"))
			return err
		})
		c.awaitValues(t, "a", "b")
		_ = stop()
		away := k.topic(t, "while-it-was-away", 1, nil)
		k.send(t, message(away, 0, "c"))
		c.run(t, k.config(nil))
		c.awaitValues(t, "a", "b", "c")
	})
}

func TestRecreatedTopicIsANewEpochBehindAGap(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("away=%v", away), func(t *testing.T) {
				k := newCompany(t, addr)
				topic := k.topic(t, "orders", 1, nil)
				c := newCapture()
				stop := c.run(t, k.config(nil))
				c.awaitBegun(t)
				k.send(t, message(topic, 0, "a"), message(topic, 0, "b"))
				c.awaitValues(t, "a", "b")
				before := c.at(t, topic+"/0")
				if away {
					_ = stop()
				}
				if err := k.admin.DeleteTopic(topic); err != nil {
					t.Fatal(err)
				}
				k.topic(t, "orders", 1, nil)
				k.send(t, message(topic, 0, "c"), message(topic, 0, "d"), message(topic, 0, "e"), message(topic, 0, "f"))
				if away {
					c.run(t, k.config(nil))
				}
				c.awaitValues(t, "a", "b", "c", "d", "e", "f")
				gap, body := c.awaitGap(t, gapRecreated)
				if body.Lost != nil || gap.Position() != event.OffsetPosition(before.Epoch, 2) {
					t.Errorf("gap %s: %+v", gap.ID, body)
				}
				var last string
				for _, e := range c.all() {
					if e.Position() <= last {
						t.Errorf("position %s came behind %s", e.Position(), last)
					}
					last = e.Position()
				}
				testrig.Eventually(t, 10*time.Second, func() error {
					if after := c.at(t, topic+"/0"); after.Offset != 4 || after.Epoch <= before.Epoch || after.TopicID == before.TopicID {
						return fmt.Errorf("progress went from %+v to %+v", before, after)
					}
					return nil
				})
			})
		}
	})
}

// expire has a topic with offsets 0 to 5 of which a source has read 2, and the cluster holds those from 4 on.
func expire(t *testing.T, k *company) (*capture, string) {
	topic := k.topic(t, "orders", 1, nil)
	c := newCapture()
	stop := c.run(t, k.config(nil))
	c.awaitBegun(t)
	k.send(t, message(topic, 0, "a"), message(topic, 0, "b"))
	c.awaitValues(t, "a", "b")
	testrig.Eventually(t, 10*time.Second, func() error {
		if at := c.at(t, topic+"/0"); at.Offset != 2 {
			return fmt.Errorf("%+v", at)
		}
		return nil
	})
	_ = stop()
	for _, v := range []string{"c", "d", "e", "f"} {
		k.send(t, message(topic, 0, v))
	}
	if err := k.admin.DeleteRecords(topic, map[int32]int64{0: 4}); err != nil {
		t.Fatal(err)
	}
	return c, topic
}

func TestExpiredOffsetsAreAGapAndCaptureGoesOn(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		c, topic := expire(t, k)
		epoch := c.at(t, topic+"/0").Epoch
		c.run(t, k.config(nil))
		c.awaitValues(t, "a", "b", "e", "f")
		gap, body := c.awaitGap(t, gapExpired)
		if body.Lost == nil || *body.Lost != 2 || gap.Position() != event.OffsetPosition(epoch, 2) {
			t.Errorf("gap %s: %+v", gap.ID, body)
		}
	})
}

func TestOnGapStopStaysAtTheGap(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	c, topic := expire(t, k)
	before := len(c.all())
	s := New(Options{Name: "k", Config: k.config(func(cfg *Config) { cfg.OnGap = gapStop }), Internal: internal(), Reporter: c})
	err := waitEnd(t, s, c)
	var stopped *source.StoppedError
	if !errors.As(err, &stopped) || !strings.Contains(err.Error(), "on_gap: continue") {
		t.Errorf("Run returned %v", err)
	}
	if len(c.all()) != before || c.at(t, topic+"/0").Offset != 2 {
		t.Error("something was committed behind the gap")
	}
}

func TestRecordLargerThanTheBrokerTakesSaysSoAndThePartitionGoesOn(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 1, map[string]string{"max.message.bytes": "33554432"})
		c := newCapture()
		c.run(t, k.config(nil))
		c.awaitBegun(t)
		large := strings.Repeat("x", int(internal().MaxRecordBytes)+1)
		k.send(t, message(topic, 0, "a"))
		k.send(t, message(topic, 0, large))
		k.send(t, message(topic, 0, "b"))
		c.awaitValues(t, "a", large, "b")
		for _, e := range c.all() {
			if want := len(e.Value) > 1; (e.Size > 0) != want || want && e.Size != int64(len(large)) {
				t.Errorf("%s with %d bytes has the size %d", e.ID, len(e.Value), e.Size)
			}
		}
	})
}

// A batch of some kilobytes: a record of 200 MB, and thirty of 1 MB behind it.
func TestBatchThatUnfoldsToHundredsOfMegabytesGrowsNobodyAndItsRecordsComeAllTheSame(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "blobs", 1, nil)
		c := newCapture()
		c.run(t, k.config(nil))
		c.awaitBegun(t)
		const large, many, size = 200 << 20, 30, 1 << 20
		records := []testrig.Repeated{{Key: []byte("k"), Value: 'a', Times: 1}, {Key: []byte("k"), Value: 'x', Times: large}}
		for range many {
			records = append(records, testrig.Repeated{Key: []byte("k"), Value: 'b', Times: size})
		}
		peak := testrig.PeakHeap()
		testrig.SendUnfolding(t, addr, topic, 0, records...)
		k.send(t, message(topic, 0, "behind"))
		testrig.Eventually(t, time.Minute, func() error {
			if n := len(c.all()); n != many+3 {
				return fmt.Errorf("%d records", n)
			}
			return nil
		})
		if most := peak(); most > 300<<20 { // with the thirty, which the test keeps
			t.Errorf("the heap grew to %d MB", most>>20)
		}
		for i, e := range c.all() {
			want := int64(0)
			if i == 1 {
				want = large + 1
			}
			if e.Size != want || e.Unreadable != "" || len(e.Headers) > 0 || i > 1 && i < many+2 && len(e.Value) != size {
				t.Errorf("record %d: %d bytes, of the size %d, %d headers", i, len(e.Value), e.Size, len(e.Headers))
			}
		}
	})
}

func TestRecordsKeepWhatTheyHold(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		created := k.topic(t, "created", 1, nil)
		appended := k.topic(t, "appended", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
		c := newCapture()
		c.run(t, k.config(nil))
		c.awaitBegun(t)
		at := time.UnixMilli(1700000000123).UTC()
		k.send(t,
			&sarama.ProducerMessage{Topic: created, Timestamp: at, Key: sarama.ByteEncoder{0xff, 0}, Value: nil, Headers: []sarama.RecordHeader{
				{Key: []byte("b"), Value: []byte("1")}, {Key: []byte("a"), Value: nil}, {Key: []byte("b"), Value: []byte{}},
			}},
			&sarama.ProducerMessage{Topic: created, Timestamp: at, Key: sarama.ByteEncoder{}, Value: sarama.ByteEncoder{}},
			&sarama.ProducerMessage{Topic: appended, Timestamp: at, Value: sarama.StringEncoder("x")},
		)
		testrig.Eventually(t, 30*time.Second, func() error {
			if n := len(c.all()); n != 3 {
				return fmt.Errorf("%d records", n)
			}
			return nil
		})
		found := map[string]event.Raw{}
		for _, e := range c.all() {
			found[string(e.Stream)+e.Position()[strings.IndexByte(e.Position(), '.'):]] = e
		}
		first := found["k/"+created+"."+fmt.Sprintf("%019d", 0)]
		if first.Value != nil || string(first.Key) != "\xff\x00" || string(first.RecordKey) != "k/"+created+"\n\xff\x00" {
			t.Errorf("key %q, record key %q, value %v", first.Key, first.RecordKey, first.Value)
		}
		if got := fmt.Sprintf("%q", first.Headers); got != fmt.Sprintf("%q", []event.Header{{Name: "b", Value: []byte("1")}, {Name: "a"}, {Name: "b", Value: []byte{}}}) ||
			first.Headers[1].Value != nil || first.Headers[2].Value == nil {
			t.Errorf("headers %q", first.Headers)
		}
		if !first.Time.Equal(at) || first.TimestampType != createTime {
			t.Errorf("time %s %s", first.Time, first.TimestampType)
		}
		second := found["k/"+created+"."+fmt.Sprintf("%019d", 1)]
		if second.Key == nil || second.Value == nil || string(second.RecordKey) != "k/"+created+"\n" {
			t.Errorf("empty became null: key %v, value %v", second.Key, second.Value)
		}
		third := found["k/"+appended+"."+fmt.Sprintf("%019d", 0)]
		embedded := strings.HasSuffix(t.Name(), "/embedded") // it stores times of creation only
		if !embedded && (third.TimestampType != appendTime || time.Since(third.Time).Abs() > time.Minute) {
			t.Errorf("time %s %s", third.Time, third.TimestampType)
		}
		if third.Key != nil || string(third.RecordKey) != "k/"+appended+"\n#0" {
			t.Errorf("key %v, record key %q", third.Key, third.RecordKey)
		}
	})
}

func TestOnlyCommittedRecordsAreCaptured(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 1, nil)
		c := newCapture()
		c.run(t, k.config(nil))
		c.awaitBegun(t)
		producer := k.transactional(t, "orders")
		transact := func(end func() error, values ...string) {
			t.Helper()
			if err := producer.BeginTxn(); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if _, _, err := producer.SendMessage(message(topic, 0, v)); err != nil {
					t.Fatal(err)
				}
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
		}
		transact(producer.CommitTxn, "a", "b")
		transact(producer.AbortTxn, "void-1", "void-2")
		transact(producer.AbortTxn, "void-3")
		transact(producer.CommitTxn, "c")
		transact(producer.AbortTxn, "void-4")
		c.awaitValues(t, "a", "b", "c")
		testrig.Eventually(t, 10*time.Second, func() error { // nothing is left to be read, so nothing can seem lost later
			if at := c.at(t, topic+"/0"); at.Offset != 12 {
				return fmt.Errorf("progress is %+v", at)
			}
			return nil
		})
	})
}

func TestClusterIsLeftAsItWas(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	topic := k.topic(t, "orders", 1, nil)
	c := newCapture()
	stop := c.run(t, k.config(func(cfg *Config) {
		cfg.Topics = append(cfg.Topics, "not-there", k.prefix+".missing")
		cfg.ConsumerGroup = noGroup
	}))
	c.awaitBegun(t)
	k.send(t, message(topic, 0, "a"))
	c.awaitValues(t, "a")
	_ = stop()
	groups, err := k.admin.ListConsumerGroups()
	if err != nil {
		t.Fatal(err)
	}
	topics, err := k.admin.ListTopics()
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 0 || len(topics) != 1 {
		t.Errorf("groups %v, topics %v", groups, topics)
	}
}

func TestLateBatchesOfManyPartitionsAllCome(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		const partitions, each, size = 8, 24, 512 << 10 // more than a fetch brings, and than one partition may bring in it
		topic := k.topic(t, "orders", partitions, nil)
		c := newCapture()
		stop := c.run(t, k.config(nil))
		c.awaitBegun(t)
		_ = stop()
		value := strings.Repeat("v", size)
		for range each {
			for p := range int32(partitions) {
				k.send(t, message(topic, p, value))
			}
		}
		c.run(t, k.config(nil))
		testrig.Eventually(t, 60*time.Second, func() error {
			if n := len(c.values()); n != partitions*each {
				return fmt.Errorf("%d of %d", n, partitions*each)
			}
			return nil
		})
	})
}

func TestCheckTellsWhatWouldBeRead(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	k.topic(t, "orders", 3, nil)
	s := New(Options{Name: "k", Config: k.config(nil), Internal: internal(), Reporter: newCapture()})
	findings := s.Check(t.Context())
	if len(findings) != 2 || findings[0].Err != nil || findings[1].Err != nil || !strings.HasPrefix(findings[1].Detail, "1 topics with 3 partitions") {
		t.Errorf("%+v", findings)
	}
	s = New(Options{Name: "k", Config: k.config(func(cfg *Config) { cfg.Addresses = []string{"127.0.0.1:1"} }), Internal: internal(), Reporter: newCapture()})
	if findings := s.Check(t.Context()); len(findings) != 1 || findings[0].Err == nil || findings[0].Remedy == "" {
		t.Errorf("%+v", findings)
	}
}
