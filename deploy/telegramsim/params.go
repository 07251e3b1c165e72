package telegramsim

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxUpload is the size of the largest file that a bot may send.
	maxUpload = 50 << 20
	// maxFields bounds everything of a request that isn't a file.
	maxFields = 4 << 20
)

// params are a method's parameters, however they came: in the query, as JSON,
// as a form or as multipart. What isn't a string in JSON is kept as its JSON
// text, so that {"message_id": 7} and {"message_id": "7"} are the same, as
// they are to Telegram.
type params struct {
	fields map[string]string
	files  map[string]upload
}

type upload struct {
	name string
	mime string
	data []byte
}

func readParams(w http.ResponseWriter, r *http.Request) (params, *failure) {
	p := params{fields: map[string]string{}, files: map[string]upload{}}
	p.add(r.URL.Query())
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+maxFields)
	kind, options, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch kind {
	case "multipart/form-data":
		err = p.readMultipart(multipart.NewReader(r.Body, options["boundary"]))
	case "application/json":
		err = p.readJSON(r.Body)
	case "application/x-www-form-urlencoded":
		err = p.readForm(r.Body)
	}
	var tooLarge *http.MaxBytesError
	var refused *failure
	switch {
	case errors.As(err, &refused):
		return p, refused
	case errors.As(err, &tooLarge):
		return p, errTooLarge
	case err != nil:
		return p, badRequest("can't parse the request: %v", err)
	}
	for _, v := range p.fields {
		if !utf8.ValidString(v) {
			return p, errNotUTF8
		}
	}
	return p, nil
}

func (p params) add(values url.Values) {
	for name, list := range values {
		p.fields[name] = list[len(list)-1]
	}
}

func (p params) readForm(body io.Reader) error {
	raw, err := readBounded(body, maxFields)
	if err != nil {
		return err
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return err
	}
	p.add(values)
	return nil
}

func (p params) readJSON(body io.Reader) error {
	raw, err := readBounded(body, maxFields)
	if err != nil {
		return err
	}
	// Before decoding, which would replace what isn't UTF-8 in silence.
	if !utf8.Valid(raw) {
		return errNotUTF8
	}
	if len(strings.TrimSpace(string(raw))) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return badRequest("can't parse JSON object")
	}
	for name, value := range object {
		var text string
		switch {
		case string(value) == "null":
		case json.Unmarshal(value, &text) == nil:
			p.fields[name] = text
		default:
			p.fields[name] = string(value)
		}
	}
	return nil
}

func (p params) readMultipart(r *multipart.Reader) error {
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if part.FileName() == "" && part.Header.Get("Content-Type") == "" {
			raw, err := readBounded(part, maxFields)
			if err != nil {
				return err
			}
			p.fields[part.FormName()] = string(raw)
			continue
		}
		raw, err := readBounded(part, maxUpload)
		if err != nil {
			return err
		}
		p.files[part.FormName()] = upload{part.FileName(), part.Header.Get("Content-Type"), raw}
	}
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(raw)) > limit {
		return nil, errTooLarge
	}
	return raw, err
}

func (p params) text(name string) string { return p.fields[name] }

func (p params) has(name string) bool { return p.fields[name] != "" }

// integer is a number, or 0 where there is none: Telegram ignores what it
// can't read here.
func (p params) integer(name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(p.fields[name]), 10, 64)
	return n
}

func (p params) flag(name string) bool {
	switch strings.ToLower(strings.TrimSpace(p.fields[name])) {
	case "true", "yes", "1":
		return true
	}
	return false
}
