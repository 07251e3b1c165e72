package e2e_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// TestCodeFromTheTerminalPairsAChat: written into a chat that nobody configured, it is answered there, once, with lines that
// the configuration takes.
func TestCodeFromTheTerminalPairsAChat(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	w.start("collector")
	line, hint := w.collector(0, "chat", "pair")
	if !strings.HasPrefix(line, "/pair ") || !strings.HasSuffix(line, "\n") || !strings.Contains(hint, "within 10 minutes") {
		t.Fatalf("printed %q and %q", line, hint)
	}
	line = strings.TrimSpace(line)
	w.types(strangersChat, "/status") // nobody answers a stranger
	w.types(strangersChat, line)
	answer := w.message(strangersChat, "feed: ")
	_, text, _ := strings.Cut(answer.Text, "telegram:\n")
	text, _, _ = strings.Cut(text, "\nYou, where")
	c := config.DefaultShared()
	if err := config.Parse("answer", []byte("broker: {addresses: [\"kafka:9092\"]}\ntelegram:\n"+text), nil, &c); err != nil || c.Telegram.Feed.ID != strangersChat || c.Telegram.Alerts.ID != strangersChat {
		t.Errorf("%v: %+v of the answer %q", err, c.Telegram, answer.Text)
	}
	w.types(strangersChat, line)
	w.message(strangersChat, "isn't known, or not any more")
	for _, m := range w.sim.Messages(strangersChat) {
		if m.FromBot && strings.Contains(m.Text, "shop-db") {
			t.Errorf("a stranger was told: %s", m.Text)
		}
	}
	if _, complaint := w.collector(daemon.ExitConfig, "chat"); !strings.Contains(complaint, "collector chat pair") {
		t.Errorf("complained: %s", complaint)
	}
	w.configure(`token: "`+w.Token+`"`, `token: ""`)
	if printed, complaint := w.collector(1, "chat", "pair"); printed != "" || !strings.Contains(complaint, "telegram.token is empty") {
		t.Errorf("without a token it prints %q, and complains: %s", printed, complaint)
	}
}

func (w *world) types(chat int64, text string) {
	w.t.Helper()
	if _, err := w.sim.Type(chat, telegramsim.Written{Text: text}); err != nil {
		w.t.Fatal(err)
	}
}

// collector runs one of its commands, which is to end so.
func (w *world) collector(exit int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.programs["collector"], append(args, "--config", w.config)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		w.t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != exit {
		w.t.Fatalf("%v exits with %d, not %d: %s%s", args, code, exit, out.String(), complaints.String())
	}
	return out.String(), complaints.String()
}
