package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kfake"
)

// clusterLog gives the cluster's complaints to a slog.Logger. What it says about
// single requests would be noise.
type clusterLog struct {
	log    *slog.Logger
	errors atomic.Int64 // how many errors it told
}

func (l *clusterLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.errors.Add(1)
		l.log.Error(fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn(fmt.Sprintf(format, args...))
	}
}

// relay logs what the child process writes to its standard error: the JSON lines
// of its own logger at their levels, and everything else (a panic, say) as errors.
func relay(r io.Reader, log *slog.Logger) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			logLine(log, line)
		}
		if err != nil {
			return
		}
	}
}

func logLine(log *slog.Logger, line string) {
	var record map[string]any
	if json.Unmarshal([]byte(line), &record) != nil {
		log.Error(line)
		return
	}
	var level slog.Level
	text, _ := record[slog.LevelKey].(string)
	if level.UnmarshalText([]byte(text)) != nil {
		level = slog.LevelError
	}
	msg, _ := record[slog.MessageKey].(string)
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey} {
		delete(record, key)
	}
	attrs := make([]slog.Attr, 0, len(record))
	for key, value := range record {
		attrs = append(attrs, slog.Any(key, value))
	}
	log.LogAttrs(context.Background(), level, msg, attrs...)
}
