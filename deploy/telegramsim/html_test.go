package telegramsim

import (
	"errors"
	"strings"
	"testing"
)

// The texts of errors and the odd cases are those of the real server.
func TestHTMLIsReadAsTelegramReadsIt(t *testing.T) {
	tests := map[string]struct {
		html string
		want string // rendered again
		text string
	}{
		"plain":                      {"a > b & c", "a &gt; b &amp; c", "a > b & c"},
		"named entities":             {"&lt;&gt;&amp;&quot;", "&lt;&gt;&amp;\"", `<>&"`},
		"other entities are text":    {"&nbsp;&copy;&Lt;", "&amp;nbsp;&amp;copy;&amp;Lt;", "&nbsp;&copy;&Lt;"},
		"numeric entities":           {"&#65;&#x1F534;&#x41", "A🔴A", "A🔴A"},
		"too large is text":          {"&#12345678;", "&amp;#12345678;", "&#12345678;"},
		"synonyms":                   {"<strong>a</strong><em>b</em><ins>c</ins><del>d</del><strike>e</strike>", "<b>a</b><i>b</i><u>c</u><s>de</s>", "abcde"},
		"upper case":                 {"<B>a</b>", "<b>a</b>", "a"},
		"anonymous end":              {"<b>a</>", "<b>a</b>", "a"},
		"nested":                     {"<b>a<i>b</i></b>", "<b>a<i>b</i></b>", "ab"},
		"empty tag":                  {"x<b></b>", "x", "x"},
		"spoilers":                   {`<span class="tg-spoiler">a</span>b<tg-spoiler>c</tg-spoiler>`, "<tg-spoiler>a</tg-spoiler>b<tg-spoiler>c</tg-spoiler>", "abc"},
		"link":                       {`<a href="https://example.com/?a=1&amp;b=2">x</a>`, `<a href="https://example.com/?a=1&amp;b=2">x</a>`, "x"},
		"link without scheme":        {`<a href='example.com'>x</a>`, `<a href="http://example.com/">x</a>`, "x"},
		"link by its text":           {`<a>example.com</a>`, `<a href="http://example.com/">example.com</a>`, "example.com"},
		"link to localhost is text":  {`<a href="http://localhost:3000">x</a>`, "x", "x"},
		"script link is text":        {`<a href="javascript:alert(1)">x</a>`, "x", "x"},
		"code in bold wins":          {"<b>a<code>b</code>c</b>", "<b>a</b><code>b</code><b>c</b>", "abc"},
		"bold in code is lost":       {"<code>a<b>b</b></code>", "<code>ab</code>", "ab"},
		"pre":                        {"<pre>a\n b</pre>", "<pre>a\n b</pre>", "a\n b"},
		"pre with language":          {`<pre><code class="language-go">x</code></pre>`, `<pre><code class="language-go">x</code></pre>`, "x"},
		"code around pre":            {`<code class="language-go"><pre>x</pre></code>`, `<pre><code class="language-go">x</code></pre>`, "x"},
		"code in pre, no language":   {"<pre><code>x</code></pre>", "<pre>x</pre>", "x"},
		"language outside pre":       {`<code class="language-go">x</code>`, "<code>x</code>", "x"},
		"quote":                      {"<blockquote>a<b>b</b></blockquote>", "<blockquote>a<b>b</b></blockquote>", "ab"},
		"expandable quote":           {"<blockquote expandable>a</blockquote>", "<blockquote expandable>a</blockquote>", "a"},
		"quotes don't nest":          {"<blockquote>a<blockquote>b</blockquote></blockquote>", "<blockquote>ab</blockquote>", "ab"},
		"custom emoji":               {`<tg-emoji emoji-id="5368324170671202286">👍</tg-emoji>`, `<tg-emoji emoji-id="5368324170671202286">👍</tg-emoji>`, "👍"},
		"outer white space":          {" \n <b>a</b> \n", "<b>a</b>", "a"},
		"white space an entity owns": {"<b> a</b>", "<b> a</b>", " a"},
		"control characters":         {"a\tb\r\nc\x00d", "a b\nc d", "a b\nc d"},
		"direction overrides":        {"a\u202eb", "ab", "ab"},
		"unknown attributes":         {`<b aba = caba x>a</b>`, "<b>a</b>", "a"},
		"link in bold":               {`<b>a<a href="https://e.com/">b</a>c</b>`, `<b>a<a href="https://e.com/">b</a>c</b>`, "abc"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			parsed, err := parseHTML(tt.html)
			if err != nil {
				t.Fatal(err)
			}
			got := tidy(parsed)
			if got.text != tt.text || got.html() != tt.want {
				t.Errorf("%q\n got text %q, html %q\nwant text %q, html %q", tt.html, got.text, got.html(), tt.text, tt.want)
			}
		})
	}
}

func TestHTMLErrorsNameTheByte(t *testing.T) {
	tests := map[string]string{
		"🔴 <b>a":                    `Can't find end tag corresponding to start tag "b"`,
		"🔴 <b":                      "Unclosed start tag at byte offset 5",
		"a < b > c":                 `Unsupported start tag "" at byte offset 2`,
		"🔴 <int>":                   `Unsupported start tag "int" at byte offset 5`,
		"<b>a</i>":                  `Unmatched end tag at byte offset 4, expected "</b>", found "</i>"`,
		"a</b>":                     "Unexpected end tag at byte offset 1",
		"<b>a</b ":                  "Unclosed end tag at byte offset 4",
		"<i =a>":                    `Empty attribute name in the tag "i" at byte offset 0`,
		"<i a=b,>":                  "Unexpected end of name token at byte offset 5",
		`<a href="x>`:               "Unclosed start tag at byte offset 0",
		"<i a = ":                   `Unclosed start tag "i" at byte offset 0`,
		"<span>a</span>":            `Tag "span" must have class "tg-spoiler" at byte offset 0`,
		"<tg-emoji>a</tg-emoji>":    "Invalid custom emoji identifier specified",
		"&#xD83D;":                  "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units",
		"<br>":                      `Unsupported start tag "br" at byte offset 0`,
		"<p>a</p>":                  `Unsupported start tag "p" at byte offset 0`,
		"<b>half of a messa<i":      "Unclosed start tag at byte offset 18",
		"<pre><code>x</pre></code>": `Unmatched end tag at byte offset 12, expected "</code>", found "</pre>"`,
	}
	for html, want := range tests {
		_, err := parseHTML(html)
		var refused *htmlError
		if !errors.As(err, &refused) || refused.reason != want {
			t.Errorf("%q\n got %v\nwant %s", html, err, want)
		}
	}
}

func TestOnlyTheFirstHundredEntitiesAreKept(t *testing.T) {
	parsed, err := parseHTML(strings.Repeat("<b>a</b> ", 130))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(tidy(parsed).entities); got != maxEntities {
		t.Errorf("kept %d entities, want %d", got, maxEntities)
	}
}

func TestLengthCountsUTF16Units(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "đồng": 4, "🔴": 2, "👁️": 3} {
		if got := utf16Len(text); got != want {
			t.Errorf("utf16Len(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestTelegramFindsCommandsLinksAndNames(t *testing.T) {
	got := withFound(richText{text: "🔴 /ack@datawatch_bot by @linh_tran: https://example.com/a. not/this a@b.example"})
	want := []Entity{
		{Type: entityCommand, Offset: 3, Length: 18},
		{Type: entityMention, Offset: 25, Length: 10},
		{Type: entityURL, Offset: 37, Length: 21},
	}
	if len(got) != len(want) {
		t.Fatalf("found %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entity %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// FuzzHTML holds that no text breaks the parser, and that what it accepts is
// written back as something that it accepts and understands the same way.
func FuzzHTML(f *testing.F) {
	for _, seed := range []string{
		"🔴 <b>a<i>b</i></b> &lt;x&gt; &#65;",
		`<pre><code class="language-go">x</code></pre> <a href="https://e.com/?q=1&amp;r">l</a>`,
		"<blockquote expandable>a\n<code>b</code></blockquote>\t<tg-spoiler>s</tg-spoiler>",
		"<b>a<code>b</code><u>c</b></u>", "<a>example.com</a>", `<tg-emoji emoji-id="1">x</tg-emoji>`,
		"<i =a>", "&#xD83D;", "<b", "</", "<s><u> </u>\n</s>", "<b>a</b><b>b</b>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		parsed, err := parseHTML(src)
		if err != nil {
			return
		}
		first := tidy(parsed)
		again, err := parseHTML(first.html())
		if err != nil {
			t.Fatalf("%q was accepted, but not as %q: %v", src, first.html(), err)
		}
		second := tidy(again)
		if !first.equal(second) {
			t.Fatalf("%q became %q %v, then %q %v", src, first.text, first.entities, second.text, second.entities)
		}
	})
}
