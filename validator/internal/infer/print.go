package infer

import (
	"encoding/json"
	"strings"

	"datawatch/pkg/event"
)

// width is how long a line may be that holds a whole object.
const width = 120

// render writes a document as by hand: what is short in one line, the rest indented by two.
func render(m members) []byte {
	var b strings.Builder
	block(&b, m, 0)
	b.WriteByte('\n')
	return []byte(b.String())
}

func write(b *strings.Builder, v any, indent, used int) {
	if text := inline(v); used+len(text) <= width {
		b.WriteString(text)
		return
	}
	switch v := v.(type) {
	case members:
		block(b, v, indent)
	case []any:
		column(b, v, indent)
	default:
		b.WriteString(inline(v))
	}
}

func block(b *strings.Builder, m members, indent int) {
	inner := strings.Repeat("  ", indent+1)
	b.WriteString("{")
	for i, p := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		name := string(event.AppendString(nil, p.name)) + ": "
		b.WriteString("\n" + inner + name)
		if p.name == "properties" {
			if properties, ok := p.value.(members); ok {
				block(b, properties, indent+1)
				continue
			}
		}
		write(b, p.value, indent+1, len(inner)+len(name)+1)
	}
	b.WriteString("\n" + strings.Repeat("  ", indent) + "}")
}

// column writes a list: what holds objects one below the other, anything else as a paragraph.
func column(b *strings.Builder, items []any, indent int) {
	inner := strings.Repeat("  ", indent+1)
	b.WriteString("[")
	line := width
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		text := inline(item)
		_, object := item.(members)
		if line += len(" ,") + len(text); line > width || object {
			b.WriteString("\n" + inner)
			line = len(inner) + len(text) + len(",")
		} else {
			b.WriteByte(' ')
		}
		write(b, item, indent+1, len(inner)+1)
	}
	b.WriteString("\n" + strings.Repeat("  ", indent) + "]")
}

// inline is a value in one line.
func inline(v any) string {
	switch v := v.(type) {
	case members:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = string(event.AppendString(nil, p.name)) + ": " + inline(p.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = inline(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return string(event.AppendString(nil, v))
	case json.Number:
		return v.String()
	case nil:
		return "null"
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return "null"
}
