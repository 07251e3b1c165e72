package hide

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"

	"datawatch/pkg/event"
)

const (
	// Mark stands for what isn't shown.
	Mark = "•••"
	// Changed stands for it in the image after a change that changed it: whoever compares the two images sees that much.
	// It is shown as Mark.
	Changed = "•••\u2060"
	// maxDepth is how deep values are followed; what lies deeper is hidden where anything of the stream is.
	maxDepth = 200
)

// Places are what is hidden in a stream's values.
type Places struct{ pointers []Pointer }

// NewPlaces are the places that pointers name.
func NewPlaces(pointers []Pointer) *Places { return &Places{pointers} }

// None tells that nothing is hidden.
func (p *Places) None() bool { return len(p.pointers) == 0 }

func (p *Places) covers(place []string) bool {
	return slices.ContainsFunc(p.pointers, func(pointer Pointer) bool { return pointer.Covers(place) })
}

// Change is the change with what is hidden replaced in both images and in the keys. null stays null. The change itself
// stays as it is.
func (p *Places) Change(c *event.Change) *event.Change {
	if p.None() {
		return c
	}
	h := *c
	var was, is map[string]string
	h.Before, was = p.image(c.Before, nil)
	h.After, is = p.image(c.After, was)
	texts := textsOf(was, is)
	for _, key := range []*json.RawMessage{&h.Key, &h.MovedTo, &h.MovedFrom} {
		*key = p.key(*key, texts)
	}
	if p.covers(nil) {
		h.Encoding = ""
	}
	return &h
}

// Texts are the texts in a value that are hidden: a key that is one of them isn't to be shown either.
func (p *Places) Texts(value json.RawMessage) map[string]bool {
	_, hidden := p.image(value, nil)
	return textsOf(hidden)
}

func textsOf(all ...map[string]string) map[string]bool {
	texts := map[string]bool{}
	for _, hidden := range all {
		for _, value := range hidden {
			eachText([]byte(value), func(text string) { texts[text] = true })
		}
	}
	return texts
}

func eachText(value []byte, each func(string)) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		if text, ok := token.(string); ok && text != "" {
			each(text)
		}
	}
}

// image hides places of a value and returns what they held, by place. was is that of the image before.
func (p *Places) image(value json.RawMessage, was map[string]string) (json.RawMessage, map[string]string) {
	if value == nil || bytes.Equal(value, []byte("null")) {
		return value, nil
	}
	w := newRewriter(value)
	w.covered = p.covers
	w.was = was
	if err := w.value(nil); err != nil { // as a whole, then
		return json.RawMessage(`"` + Mark + `"`), map[string]string{"": string(value)}
	}
	return w.out, w.held
}

// idShape is what texts look like that machines give; other keys that are texts may be anybody's name or address.
var idShape = regexp.MustCompile(`^[A-Za-z0-9_.:+-]{1,64}$`)

// key hides members of a key by the row's places, and texts that are hidden in the row. Of a key that is a text alone, as
// Kafka has them, no place speaks: it is shown where it looks like an id.
func (p *Places) key(key json.RawMessage, texts map[string]bool) json.RawMessage {
	if key == nil || bytes.Equal(key, []byte("null")) {
		return key
	}
	w := newRewriter(key)
	w.covered = p.covers
	w.hidden = func(text string, place []string) bool {
		return texts[text] || len(place) == 0 && !idShape.MatchString(text)
	}
	if err := w.value(nil); err != nil {
		return json.RawMessage(`"` + Mark + `"`)
	}
	return w.out
}

// rewriter writes JSON again, members in the order in which they came, numbers digit for digit.
type rewriter struct {
	decoder *json.Decoder
	covered func(place []string) bool
	hidden  func(text string, place []string) bool // may be nil
	was     map[string]string
	held    map[string]string
	out     []byte
}

func newRewriter(value []byte) *rewriter {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	return &rewriter{decoder: d, held: map[string]string{}}
}

func (w *rewriter) value(place []string) error {
	if len(place) > maxDepth || w.covered(place) {
		return w.hide(place)
	}
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return w.object(place)
		}
		return w.array(place)
	case string:
		if w.hidden != nil && w.hidden(t, place) {
			t = Mark
		}
		w.out = event.AppendString(w.out, t)
	case json.Number:
		w.out = append(w.out, t...)
	case bool:
		w.out = strconv.AppendBool(w.out, t)
	default:
		w.out = append(w.out, "null"...)
	}
	return nil
}

// hide passes over a value and writes a mark.
func (w *rewriter) hide(place []string) error {
	var value json.RawMessage
	if err := w.decoder.Decode(&value); err != nil {
		return err
	}
	if bytes.Equal(value, []byte("null")) {
		w.out = append(w.out, value...)
		return nil
	}
	text := string(value)
	if canonical, err := event.Canonical(value); err == nil {
		text = string(canonical)
	}
	at := Pointer(place).String()
	w.held[at] = text
	mark := Mark
	if before, ok := w.was[at]; ok && before != text {
		mark = Changed
	}
	w.out = event.AppendString(w.out, mark)
	return nil
}

func (w *rewriter) object(place []string) error {
	w.out = append(w.out, '{')
	for i := 0; w.decoder.More(); i++ {
		token, err := w.decoder.Token()
		if err != nil {
			return err
		}
		if i > 0 {
			w.out = append(w.out, ',')
		}
		name, _ := token.(string)
		w.out = append(event.AppendString(w.out, name), ':')
		if err := w.value(append(slices.Clip(place), name)); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	_, err := w.decoder.Token()
	return err
}

func (w *rewriter) array(place []string) error {
	w.out = append(w.out, '[')
	for i := 0; w.decoder.More(); i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.value(append(slices.Clip(place), strconv.Itoa(i))); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	_, err := w.decoder.Token()
	return err
}
