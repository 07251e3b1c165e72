package telegram

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessageIsEscapedOnce(t *testing.T) {
	m := NewMessage(
		Line(Plain("🔴 "), Bold("a < b && c > d")),
		Line(Plain("at "), Code(`"total"`), Plain(": got "), Code("1</code><b>2"), Plain("")),
		Blank(),
		Pre("{\"id\": 1,\n <x>}\n"),
		Line(Italic("see "), Link("the runbook", `https://wiki.example/a?x=1&y="2"`), Link("nowhere", "javascript:alert(1)")),
	)
	const want = `🔴 <b>a &lt; b &amp;&amp; c &gt; d</b>
at <code>&quot;total&quot;</code>: got <code>1&lt;/code&gt;&lt;b&gt;2</code>

<pre>{&quot;id&quot;: 1,
 &lt;x&gt;}</pre>
<i>see </i><a href="https://wiki.example/a?x=1&amp;y=&quot;2&quot;">the runbook</a>nowhere`
	if got := m.HTML(); got != want {
		t.Errorf("HTML:\n%s\nwant:\n%s", got, want)
	}
	const wantPlain = "🔴 a < b && c > d\nat \"total\": got 1</code><b>2\n\n{\"id\": 1,\n <x>}\nsee the runbook (https://wiki.example/a?x=1&y=\"2\")nowhere"
	if got := m.Plain(); got != wantPlain {
		t.Errorf("Plain:\n%s\nwant:\n%s", got, wantPlain)
	}
}

func TestValueStaysOnItsLine(t *testing.T) {
	m := NewMessage(Line(Code("a\r\n🔴 all is lost\x00\u202eevil\xff")))
	if got, want := m.Plain(), "a↵🔴 all is lost\ufffd\ufffdevil\ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMessageThatIsTooLongLosesWholeBlocks(t *testing.T) {
	blocks := []Block{Line(Bold("head"))}
	for i := range 100 {
		blocks = append(blocks, Line(Code(fmt.Sprintf("%03d %s", i, strings.Repeat("é", 96)))))
	}
	blocks = append(blocks, Pre(strings.Repeat("x", 50)).Ranked(Detail), Line(Italic("foot")).Ranked(Head))
	m := Message{Blocks: blocks, More: func(n int) Block { return Line(Plain(fmt.Sprintf("… and %d more", n))) }}
	html := m.HTML()
	f, err := parseHTML(html)
	if err != nil {
		t.Fatal(err)
	}
	if n := units(f.text); n > maxUnits || n < maxUnits-120 {
		t.Errorf("%d units of %d", n, maxUnits)
	}
	lines := strings.Split(f.text, "\n")
	if lines[0] != "head" || lines[len(lines)-1] != "foot" {
		t.Errorf("head and foot must stay: %q … %q", lines[0], lines[len(lines)-1])
	}
	kept := len(lines) - 3
	if want := fmt.Sprintf("… and %d more", 101-kept); lines[len(lines)-2] != want {
		t.Errorf("got %q, want %q", lines[len(lines)-2], want)
	}
	if strings.Contains(f.text, "xxx") {
		t.Error("the block of the lowest rank must go first")
	}
}

func TestFirstBlockThatIsTooLongIsShortenedInItsMiddle(t *testing.T) {
	for _, first := range []Block{Pre(strings.Repeat("🔴<", 4000) + "end"), Line(Bold(strings.Repeat("a&", 5000)), Code("x"), Plain(strings.Repeat("b", 5000)))} {
		m := NewMessage(first, Line(Plain("second")))
		f, err := parseHTML(m.HTML())
		if err != nil {
			t.Fatal(err)
		}
		if n := units(f.text); n > maxUnits || n < 1000 || !strings.Contains(f.text, ellipsis) {
			t.Errorf("%d units", n)
		}
	}
}

func TestShortenKeepsBothEndsAndWholeCharacters(t *testing.T) {
	cases := []struct {
		text string
		most int
		want string
	}{
		{"short", 5, "short"},
		{"0123456789", 7, "0123…89"},
		{"🔴🔴🔴🔴🔴", 6, "🔴🔴…"},
		{"e\u0301e\u0301e\u0301e\u0301", 5, "e\u0301…"},
		{"abcdef", 2, "…"},
		{"abcdef", 0, ""},
	}
	for _, c := range cases {
		if got := Shorten(c.text, c.most); got != c.want || units(got) > max(c.most, 0) {
			t.Errorf("Shorten(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestButtonThatTelegramWouldRefuseIsAnError(t *testing.T) {
	wrong := []Button{{Text: "x", Data: strings.Repeat("é", 33)}, {Data: "x"}, {Text: "x"}, {Text: "x", Data: "a", URL: "https://a.example"}}
	for _, b := range wrong {
		if _, err := keyboardOf([][]Button{{b}}); err == nil {
			t.Errorf("%+v: no error", b)
		}
	}
	if _, err := keyboardOf([][]Button{{{Text: "Ack", Data: Action("ack", strings.Repeat("x", 60))}}}); err != nil {
		t.Error(err)
	}
}

// FuzzUserDataNeverChangesTheFormatting puts any text into every place, and reads the message back as Telegram does.
func FuzzUserDataNeverChangesTheFormatting(f *testing.F) {
	f.Add("plain", "<b>", 10)
	f.Add("</code><a href=\"http://x.example\">", "&lt;&#60;&", 4096)
	f.Add("a\n\nb\u2028", "🔴\u202e\xff\x00", 5000)
	f.Fuzz(func(t *testing.T, a, b string, repeat int) {
		if repeat < 0 || repeat > 5000 || len(a)*repeat > 1<<20 {
			return
		}
		long := strings.Repeat(a, repeat)
		m := NewMessage(
			Line(Bold(a), Plain(b), Code(a), Italic(b), Link(a, "https://x.example/"+b)),
			Pre(b), Line(Code(long)), Pre(long), Line(Plain(a), Plain(b)),
		)
		html := m.HTML()
		if !utf8.ValidString(html) {
			t.Fatalf("not UTF-8: %q", html)
		}
		got, err := parseHTML(html)
		if err != nil {
			t.Fatalf("%v in %q", err, html)
		}
		if n := units(got.text); n > maxUnits {
			t.Fatalf("%d units", n)
		}
		if n := units(m.Plain()); n > maxUnits {
			t.Fatalf("%d units as plain text", n)
		}
		if got.text != "" && len(got.parts) > 9 {
			t.Fatalf("%d formatted parts from 9 blocks and spans: %q", len(got.parts), html)
		}
		for _, p := range got.parts {
			if p.tag != "pre" && strings.ContainsAny(p.text, "\n\r") {
				t.Fatalf("a value left its line: %q", p.text)
			}
			if p.tag == "a" && !strings.HasPrefix(p.href, "https://x.example/") {
				t.Fatalf("the link leads to %q", p.href)
			}
		}
	})
}
