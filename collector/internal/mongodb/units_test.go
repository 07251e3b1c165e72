package mongodb

import (
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

func stampOf(t, i uint32) primitive.Timestamp { return primitive.Timestamp{T: t, I: i} }

func raw(t *testing.T, text string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatal(err)
	}
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDocumentAgreesWithItsUpdate(t *testing.T) {
	for name, test := range map[string]struct {
		after, description string
		want               bool
	}{
		"a field":                {`{"a":1}`, `{"updatedFields":{"a":1},"removedFields":[]}`, true},
		"another value":          {`{"a":2}`, `{"updatedFields":{"a":1},"removedFields":[]}`, false},
		"gone":                   {`{}`, `{"updatedFields":{"a":1},"removedFields":[]}`, false},
		"inside a document":      {`{"a":{"b":1}}`, `{"updatedFields":{"a.b":1},"removedFields":[]}`, true},
		"inside, another":        {`{"a":{"b":2}}`, `{"updatedFields":{"a.b":1},"removedFields":[]}`, false},
		"inside an array":        {`{"a":[0,{"b":1}]}`, `{"updatedFields":{"a.1.b":1},"removedFields":[]}`, true},
		"past an array's end":    {`{"a":[0]}`, `{"updatedFields":{"a.1.b":1},"removedFields":[]}`, false},
		"a number that is named": {`{"a":{"1":5}}`, `{"updatedFields":{"a.1":5},"removedFields":[]}`, true},
		"a name with a dot":      {`{"a.b":1}`, `{"updatedFields":{"a.b":1},"removedFields":[]}`, true},
		"a dot further in":       {`{"x":{"a.b":{"c":1}}}`, `{"updatedFields":{"x.a.b.c":1},"removedFields":[]}`, true},
		"removed":                {`{"b":1}`, `{"updatedFields":{},"removedFields":["a"]}`, true},
		"there again":            {`{"a":1}`, `{"updatedFields":{},"removedFields":["a"]}`, false},
		"nobody can tell":        {`{"a":{"b":1}}`, `{"updatedFields":{},"removedFields":["a.b"]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := agrees(raw(t, test.after), raw(t, test.description)); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestImageBeforeShowsALaterDocument(t *testing.T) {
	h := &happening{op: opUpdate, key: raw(t, `{"_id":1}`), before: raw(t, `{"_id":1,"a":1,"b":1}`), description: raw(t, `{"updatedFields":{"a":2},"removedFields":[]}`)}
	for after, later := range map[string]bool{
		`{"_id":1,"a":2,"b":1}`: false, `{"_id":1,"b":1,"a":2}`: false, `{"_id":1,"a":2,"b":2}`: true, `{"_id":1,"a":2}`: true, `{"_id":1,"a":2,"b":1,"c":1}`: true,
	} {
		h.after = raw(t, after)
		markLater([]*happening{h})
		if h.later != later {
			t.Errorf("%s: %v", after, h.later)
		}
	}
}

func TestGlobsSelectCollections(t *testing.T) {
	s := newSelection(Config{Collections: []string{"shop.*", "lo?s.a.b", "x+.y"}, Exclude: []string{"*.tmp_*"}})
	for n, want := range map[namespace]bool{
		{"shop", "carts"}: true, {"shop", "a.b"}: true, {"shop", "tmp_1"}: false, {"shopping", "carts"}: false, {"logs", "a.b"}: true, {"logs", "axb"}: false,
		{"x+", "y"}: true, {"xx", "y"}: false, {"shop", ""}: false, {"shop", "system.views"}: false, {"shop", "a\nb"}: true,
	} {
		if got := s.includes(n); got != want {
			t.Errorf("%s: %v", n, got)
		}
	}
	for database, globs := range map[string][]string{"shop": {"shop.a", "shop.b*"}, "": {"shop.a", "crm.*"}} {
		if got := newSelection(Config{Collections: globs}).database(); got != database {
			t.Errorf("%v: database %q", globs, got)
		}
	}
	if got := newSelection(Config{Collections: []string{"*.a"}}).database(); got != "" {
		t.Errorf("*.a: database %q", got)
	}
}
