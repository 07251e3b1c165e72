package normalize

import (
	"bytes"
	"encoding/json"
	"strings"
)

// avroType is a type of an Avro schema (https://avro.apache.org/docs/1.12.0/specification/).
type avroType struct {
	kind     string // a primitive's name, or record, enum, array, map, fixed, union
	fields   []avroField
	symbols  []string
	items    *avroType   // of an array or a map
	branches []*avroType // of a union
	size     int         // of a fixed
	logical  string
	scale    int
	connect  *connectSchema // what Kafka Connect says that the value means; nil where it doesn't
}

type avroField struct {
	name string // as JSON, with quotes
	of   *avroType
}

// avro decodes payloads by a schema.
type avro struct{ root *avroType }

func newAvro(s *Schema) (decoder, *Error) {
	p := &avroParser{named: map[string]*avroType{}}
	for _, r := range s.References {
		if _, err := p.parse([]byte(r.Text), ""); err != nil {
			return nil, in("reference "+r.Name, err)
		}
	}
	root, err := p.parse([]byte(s.Text), "")
	if err != nil {
		return nil, err
	}
	return &avro{root}, nil
}

type avroParser struct {
	named map[string]*avroType
	depth int
}

var avroPrimitives = map[string]bool{
	"null": true, "boolean": true, "int": true, "long": true, "float": true, "double": true, "bytes": true, "string": true,
}

// avroSchema is a schema's object in JSON.
type avroSchema struct {
	Type      json.RawMessage `json:"type"`
	Name      string          `json:"name"`
	Namespace *string         `json:"namespace"`
	Fields    []struct {
		Name string          `json:"name"`
		Type json.RawMessage `json:"type"`
	} `json:"fields"`
	Symbols     []string          `json:"symbols"`
	Items       json.RawMessage   `json:"items"`
	Values      json.RawMessage   `json:"values"`
	Size        int               `json:"size"`
	Logical     string            `json:"logicalType"`
	Scale       int               `json:"scale"`
	ConnectName string            `json:"connect.name"`
	Parameters  map[string]string `json:"connect.parameters"`
}

// parse reads a schema: a name, a union or an object. space is the namespace around it.
func (p *avroParser) parse(text []byte, space string) (*avroType, *Error) {
	if p.depth++; p.depth > maxNested {
		return nil, wrong(Limit, "types nested more than %d deep", maxNested)
	}
	defer func() { p.depth-- }()
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, wrong(Malformed, "a type is missing")
	}
	switch text[0] {
	case '"':
		var name string
		if err := json.Unmarshal(text, &name); err != nil {
			return nil, wrong(Malformed, "%v", err)
		}
		return p.find(name, space)
	case '[':
		var branches []json.RawMessage
		if err := json.Unmarshal(text, &branches); err != nil {
			return nil, wrong(Malformed, "%v", err)
		}
		union := &avroType{kind: "union"}
		for _, b := range branches {
			branch, err := p.parse(b, space)
			if err != nil {
				return nil, err
			}
			union.branches = append(union.branches, branch)
		}
		return union, nil
	}
	s := new(avroSchema)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, wrong(Malformed, "%v", err)
	}
	return p.object(s, space)
}

func (p *avroParser) find(name, space string) (*avroType, *Error) {
	if avroPrimitives[name] {
		return &avroType{kind: name}, nil
	}
	if t, ok := p.named[fullName(name, space)]; ok {
		return t, nil
	}
	if t, ok := p.named[name]; ok {
		return t, nil
	}
	return nil, wrong(Malformed, "no type %q", name)
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

func (p *avroParser) object(s *avroSchema, space string) (*avroType, *Error) {
	var kind string
	if json.Unmarshal(s.Type, &kind) != nil { // {"type": {…}} and {"type": […]} are what is inside
		return p.parse(s.Type, space)
	}
	t := &avroType{kind: kind, logical: s.Logical, scale: s.Scale, symbols: s.Symbols, size: s.Size}
	if s.ConnectName != "" && kind != "record" {
		t.connect = &connectSchema{Name: s.ConnectName, Parameters: s.Parameters}
	}
	var err *Error
	switch kind {
	case "record", "error", "enum", "fixed":
		if s.Namespace != nil {
			space = *s.Namespace
		}
		name := fullName(s.Name, space)
		p.named[name] = t
		if at := strings.LastIndexByte(name, '.'); at >= 0 {
			space = name[:at]
		}
		if kind == "error" {
			t.kind = "record"
		}
		if kind == "record" && s.ConnectName == "io.debezium.data.VariableScaleDecimal" {
			t.connect = &connectSchema{Name: s.ConnectName}
		}
		if t.size < 0 {
			return nil, wrong(Malformed, "a fixed of %d bytes", t.size)
		}
		for _, f := range s.Fields {
			of, err := p.parse(f.Type, space)
			if err != nil {
				return nil, in("field "+f.Name, err)
			}
			t.fields = append(t.fields, avroField{string(appendName(nil, f.Name)), of})
		}
		return t, nil
	case "array":
		t.items, err = p.parse(s.Items, space)
	case "map":
		t.items, err = p.parse(s.Values, space)
	default:
		if !avroPrimitives[kind] {
			return p.find(kind, space)
		}
	}
	return t, err
}
