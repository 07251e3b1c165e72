package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Secret is a text that never prints itself; Reveal gives it to the client that needs it.
type Secret string

const hidden = "•••"

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue keeps slog from printing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from printing it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) parse(text string) error { *s = Secret(text); return nil }
func (s *Secret) expects() string         { return "a text" }

// Bytes is a size: "512", "64KiB", "8MiB", "2GiB", "1TiB".
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (b *Bytes) parse(text string) error {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.size {
			break
		}
		*b = Bytes(n * u.size)
		return nil
	}
	return fmt.Errorf("%q is not a size", text)
}

func (b *Bytes) expects() string { return "a size such as 8MiB or 2GiB" }

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if int64(b) >= u.size && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return "0"
}

// Duration is a time span: Go's form, and days as "7d".
type Duration time.Duration

func (d *Duration) parse(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil && n >= 0 && n < 36500 {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	span, err := time.ParseDuration(text)
	if err != nil || span < 0 {
		return fmt.Errorf("%q is not a time span", text)
	}
	*d = Duration(span)
	return nil
}

func (d *Duration) expects() string { return "a time span such as 500ms, 30s, 15m, 12h or 7d" }

// Std is the span as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	if day := 24 * time.Hour; d.Std() >= day && d.Std()%day == 0 {
		return strconv.Itoa(int(d.Std()/day)) + "d"
	}
	return d.Std().String()
}

// Zone is a time zone by its IANA name.
type Zone struct{ *time.Location }

func (z *Zone) parse(text string) error {
	location, err := time.LoadLocation(text)
	if err != nil || text == "" {
		return fmt.Errorf("%q is not a time zone", text)
	}
	z.Location = location
	return nil
}

func (z *Zone) expects() string { return "an IANA name such as Asia/Ho_Chi_Minh or UTC" }

// Clock is a time of day, "08:30".
type Clock struct{ Hour, Minute int }

func (c *Clock) parse(text string) error {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return fmt.Errorf("%q is not a time of day", text)
	}
	c.Hour, c.Minute = at.Hour(), at.Minute()
	return nil
}

func (c *Clock) expects() string { return "a time of day such as 08:30" }
