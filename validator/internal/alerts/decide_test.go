package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts"
)

// reads waits until some message contains each text, and gives its id.
func (w *world) reads(a *api, contains ...string) (id int) {
	w.t.Helper()
	testrig.Eventually(w.t, 60*time.Second, func() error {
		messages, _ := a.sent()
	next:
		for i, m := range messages {
			for _, text := range contains {
				if !strings.Contains(m.text, text) {
					continue next
				}
			}
			id = i + 1
			return nil
		}
		return fmt.Errorf("no message with %q: %+v", contains, messages)
	})
	return id
}

// TestGroupsOfOneTransactionAreOneMessageUntilTheirRowsAreRight: three rules, one transaction, 30 rows.
func TestGroupsOfOneTransactionAreOneMessageUntilTheirRowsAreRight(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	var all []*event.Violation
	var rows []int
	transaction := "81422"
	for n := 1; n <= 30; n++ {
		rows = append(rows, n)
		for _, rule := range []string{"one", "two", "three"} {
			v := violation(n, rule, event.Critical)
			v.Transaction = &transaction
			all = append(all, v)
		}
	}
	w.publish(true, all...)
	id := w.reads(a, "30 rows wrong by one transaction", "tx 81422", "fp-one", "fp-two", "fp-three", "<b>30 rows wrong now</b>")
	if err := a.press(id, "three"); err != nil {
		t.Fatal(err)
	}
	w.reads(a, "three · public.orders.json@3f2a · fp-three")
	for _, rule := range []string{"one", "two", "three"} {
		w.mend(rule, rows...)
	}
	w.reads(a, "🟢 <b>30 rows wrong by one transaction</b>")
	messages, _ := a.sent()
	sounds := 0
	for _, m := range messages {
		if !m.silent {
			sounds++
		}
	}
	if sounds != 1 {
		t.Errorf("%d messages with sound: %+v", sounds, messages)
	}
}

// TestTheChatIsTheDesk: notes and commands.
func TestTheChatIsTheDesk(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	w.publish(true, violation(1, "total-adds-up", event.Critical), violation(2, "total-adds-up", event.Critical))
	id := w.reads(a, "<b>2 rows wrong now</b>")
	a.write(payments, id, "the import of last night")
	w.reads(a, "✎ @linh", "the import of last night")
	a.write(payments, 0, "/alerts")
	w.reads(a, "1 alert open", "<code>fp-total-adds-up</code>")
	a.write(payments, 0, "/ack fp-t")
	w.reads(a, "👁 <b>Order total", "acknowledged by @linh")
	a.write(payments, id, "/mute 3d") // an answer needs no ID
	w.reads(a, "🔇 <b>Order total", "muted until ")
	a.write(payments, 0, "/mute fp-total-adds-up soon")
	w.reads(a, "<code>/mute ID 1h, 3d or schema</code>")
	a.write(payments, 0, "/mute fp-total-adds-up schema")
	w.reads(a, "🔇 <b>Order total", "muted until the schema changes by @linh")
	a.write(payments, 0, "/unmute fp-total-adds-up")
	w.reads(a, "👁 <b>Order total")
}

// TestSamplesRowsAndAcceptance: what was found, the rows as a file, acceptance from the chat and from the command line.
func TestSamplesRowsAndAcceptance(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	w.publish(true, violation(1, "total-adds-up", event.Critical), violation(2, "total-adds-up", event.Critical))
	id := w.reads(a, "<b>2 rows wrong now</b>")
	for _, button := range []string{"Samples", "Rows"} {
		if err := a.press(id, button); err != nil {
			t.Fatal(err)
		}
	}
	testrig.Eventually(t, 30*time.Second, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.files) != 1 {
			return fmt.Errorf("%d files", len(a.files))
		}
		f := a.files[0]
		if f.chat != fmt.Sprint(payments) || f.name != "wrong-fp-total-adds-up.csv" || strings.Count(f.content, "\n") != 3 || !strings.Contains(f.content, `"{""id"":2}"`) {
			return fmt.Errorf("file %+v", f)
		}
		return nil
	})
	// A resolve with wrong rows is refused.
	a.write(payments, 0, "/resolve fp-total-adds-up")
	w.reads(a, "Rows are still wrong")
	a.write(payments, 0, "/accept fp-total-adds-up 30d known since 2019")
	w.reads(a, "✅ <b>Order total", "by @linh: known since 2019")
	if err := a.press(id, "Undo accept"); err != nil {
		t.Fatal(err)
	}
	w.reads(a, "🔴 <b>Order total")
	w.write([]broker.Record{alerts.AcceptRecord(w.topics.Control, alerts.Accept{
		Group: "fp-total-adds-up", Keys: []string{`{"id":1}`, `{"id":2}`}, By: "an", Until: time.Now().Add(24 * time.Hour), Reason: "test rows",
	})})
	w.reads(a, "2 keys accepted until", "by an: test rows", "🟢")
	w.publish(true, violation(3, "total-adds-up", event.Critical))
	w.reads(a, "🔁 <b>Order total")
}

// TestAlertsOfAChatThatRefusesComeToTheOthers, with a message that says so.
func TestAlertsOfAChatThatRefusesComeToTheOthers(t *testing.T) {
	a := newAPI(t)
	a.banned = fmt.Sprint(payments)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	w.publish(false, violation(1, "total-adds-up", event.Critical))
	for _, text := range []string{"🔴 <b>Order total", "🟠 <b>Alerts can't be delivered to chat -100789"} {
		id := w.reads(a, text)
		if messages, _ := a.sent(); messages[id-1].chat != fmt.Sprint(alerting) {
			t.Errorf("sent to %s: %s", messages[id-1].chat, messages[id-1].text)
		}
	}
}

// TestASilentServiceAndAPartOutOfOrderAreTold, and that they are well again, whichever keeper tells.
func TestASilentServiceAndAPartOutOfOrderAreTold(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.silent = 5 * time.Second
	beat := func(age time.Duration, parts ...control.Part) {
		t.Helper()
		w.write([]broker.Record{control.BeatRecord(w.topics.Control, control.Beat{Service: "preprocessor", Instance: "x", At: time.Now().Add(-age), Parts: parts})})
	}
	stop := w.start()
	w.publish(false, violation(1, "x", event.Warning))
	w.reads(a, "🟡")
	beat(10 * time.Second)
	w.reads(a, "🟠 <b>The preprocessor is silent</b>", "Nothing comes into clean", "Do: ")
	stop()
	w.start()
	again, broken := false, false
	testrig.Eventually(t, time.Minute, func() error { // as a service does
		beat(0, control.Part{Name: "schemas", Ready: true, Reason: "schema id 41 is not in the registry", Since: time.Now().Add(-2 * time.Minute)})
		messages, _ := a.sent()
		for _, m := range messages {
			again = again || strings.Contains(m.text, "🟢 <b>The preprocessor is heard again</b> · was silent ")
			broken = broken || strings.Contains(m.text, "🟠 <b>preprocessor: schemas is out of order</b>") && strings.Contains(m.text, "schema id 41")
		}
		if !again || !broken {
			return fmt.Errorf("messages %+v", messages)
		}
		return nil
	})
}

// TestDeadLettersAreToldByReasonAndCountedOnce, whichever keeper counts.
func TestDeadLettersAreToldByReasonAndCountedOnce(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	dead := func(n int) {
		t.Helper()
		var records []broker.Record
		for range n {
			records = append(records, broker.Record{
				Topic: w.topics.DeadLetter, Key: []byte("shop-kafka/payments.with.a.very.long.name.that.no.button.can.carry\nx"), Value: []byte("?"),
				Headers: []event.Header{{Name: "datawatch_error_class", Value: []byte("schema")}, {Name: "datawatch_error_reason", Value: []byte("id 41 is not there")}},
			})
		}
		w.write(records)
	}
	stop := w.start()
	w.publish(false, violation(1, "x", event.Warning))
	w.reads(a, "🟡") // the keeper has its place
	dead(3)
	w.reads(a, "<b>3 records of shop-kafka / payments.with.a.very.long.name.that.no.button.can.carry were not understood</b>", "schema: id 41 is not there")
	stop()
	dead(2)
	w.start()
	w.reads(a, "<b>5 records of shop-kafka / payments.with.a.very.long.name.that.no.button.can.carry were not understood</b>")
	if err := a.press(2, "Resolved"); err != nil {
		t.Fatal(err)
	}
	w.reads(a, "🟢 <b>shop-kafka/payments.with.a.very.long.name.that.no.button.can.carry: schema: over</b>")
	messages, _ := a.sent()
	if len(messages) != 2 {
		t.Error("told anew:", messages)
	}
}

// TestCriticalAlertsGoToTheirOwnersCriticalChat, others to the owner's.
func TestCriticalAlertsGoToTheirOwnersCriticalChat(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	const night = -100790
	w.shared.Telegram.Owners["payments"] = config.Owner{Chat: config.Chat{ID: payments}, Critical: config.Chat{ID: night}}
	w.start()
	w.publish(false, violation(1, "red", event.Critical), violation(2, "yellow", event.Warning))
	for rule, chat := range map[string]int{"red": night, "yellow": payments} {
		id := w.reads(a, "fp-"+rule)
		if messages, _ := a.sent(); messages[id-1].chat != fmt.Sprint(chat) {
			t.Errorf("%s went to %s, not %d", rule, messages[id-1].chat, chat)
		}
	}
}

// TestCommandsAnswerInBothLanguages: each that people may write, and what it needs.
func TestCommandsAnswerInBothLanguages(t *testing.T) {
	for language, said := range map[string]struct{ open, usage, acknowledged, unmuted, none, noRows, unknown string }{
		"en": {"1 alert open", "/mute ID 1h, 3d or schema", "Acknowledged", "No longer muted", "No alert is open.", "No row is wrong.", "This alert isn't known any more"},
		"vi": {"1 cảnh báo đang mở", "/mute ID 1h, 3d hoặc schema", "Đã ghi nhận", "Đã bật lại", "Không có cảnh báo nào đang mở.", "Không có dòng nào sai.", "Cảnh báo này không còn nữa"},
	} {
		t.Run(language, func(t *testing.T) {
			a := newAPI(t)
			w := newWorld(t, testrig.Embedded(t), a)
			w.shared.Telegram.Language = language
			w.start()
			w.publish(true, violation(1, "total-adds-up", event.Critical))
			w.reads(a, "🔴 <b>Order total")
			asks := func(text string, answer ...string) {
				t.Helper()
				before, _ := a.sent()
				a.write(payments, 0, text)
				testrig.Eventually(t, 30*time.Second, func() error {
					messages, _ := a.sent()
					if len(messages) != len(before)+1 {
						return fmt.Errorf("%s: %d messages behind %d", text, len(messages), len(before))
					}
					return nil
				})
				messages, _ := a.sent()
				for _, want := range answer {
					if !strings.Contains(messages[len(messages)-1].text, want) {
						t.Errorf("%s is answered %s, without %q", text, messages[len(messages)-1].text, want)
					}
				}
			}
			asks("/alerts", said.open, "<code>fp-total-adds-up</code>")
			asks("/show fp-total-adds-up", "Order total", "<code>149.97</code>")
			asks("/ack fp-total-adds-up", said.acknowledged)
			asks("/mute fp-total-adds-up 3d", "")
			asks("/mute fp-total-adds-up never", said.usage)
			asks("/unmute fp-total-adds-up", said.unmuted)
			asks("/ack nothing", said.unknown)
			asks("/wrong coupons", said.noRows)
			a.write(payments, 0, "/wrong orders")
			testrig.Eventually(t, 30*time.Second, func() error {
				a.mu.Lock()
				defer a.mu.Unlock()
				if len(a.files) != 1 || a.files[0].name != "wrong-orders.csv" || strings.Count(a.files[0].content, "\n") != 2 {
					return fmt.Errorf("files %+v", a.files)
				}
				return nil
			})
			w.mend("total-adds-up", 1)
			w.reads(a, "🟢 <b>Order total")
			asks("/alerts", said.none)
		})
	}
}
