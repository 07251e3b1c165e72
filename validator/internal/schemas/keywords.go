package schemas

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"datawatch/pkg/cel"
	"datawatch/pkg/config"
)

// within says what a keyword's value holds.
type within int

const (
	plain     within = iota // no schemas
	schema                  // a schema
	schemaMap               // schemas by name
	schemas                 // a list of schemas, or one schema
)

// keywords are those of drafts 4 to 2020-12 and ours. A keyword of another draft than the file's is known here, since
// taking it from there is no spelling mistake.
var keywords = map[string]within{
	"$schema": plain, "$id": plain, "id": plain, "$ref": plain, "$anchor": plain, "$recursiveRef": plain, "$recursiveAnchor": plain,
	"$dynamicRef": plain, "$dynamicAnchor": plain, "$vocabulary": plain, "$comment": plain, "$defs": schemaMap, "definitions": schemaMap,
	"title": plain, "description": plain, "default": plain, "examples": plain, "deprecated": plain, "readOnly": plain, "writeOnly": plain,
	"type": plain, "enum": plain, "const": plain, "format": plain,
	"multipleOf": plain, "maximum": plain, "exclusiveMaximum": plain, "minimum": plain, "exclusiveMinimum": plain,
	"maxLength": plain, "minLength": plain, "pattern": plain, "contentEncoding": plain, "contentMediaType": plain, "contentSchema": schema,
	"items": schemas, "prefixItems": schemas, "additionalItems": schema, "unevaluatedItems": schema, "contains": schema,
	"maxContains": plain, "minContains": plain, "maxItems": plain, "minItems": plain, "uniqueItems": plain,
	"properties": schemaMap, "patternProperties": schemaMap, "additionalProperties": schema, "unevaluatedProperties": schema,
	"propertyNames": schema, "maxProperties": plain, "minProperties": plain, "required": plain,
	"dependencies": schemaMap, "dependentRequired": plain, "dependentSchemas": schemaMap,
	"allOf": schemas, "anyOf": schemas, "oneOf": schemas, "not": schema, "if": schema, "then": schema, "else": schema,
	keyRules: plain,
}

// Keywords of ours. All but x-rules stand at the root only.
const (
	keyRules    = "x-rules"
	keySeverity = "x-severity"
	keyOwner    = "x-owner"
	keyRunbook  = "x-runbook"
	keyPII      = "x-pii"
)

var rootKeywords = []string{keySeverity, keyOwner, keyRunbook, keyPII}

// foreign keywords belong to others (OpenAPI, editors) and resemble one of JSON Schema's.
var foreign = map[string]bool{"example": true, "nullable": true, "name": true, "note": true, "notes": true, "optional": true}

var (
	knownKeywords = slices.Sorted(maps.Keys(keywords))
	knownFormats  = slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(jsonschema.Formats)), slices.Collect(maps.Keys(formats)))))
)

// Known are the keywords that may stand in any schema, those of the root alone, and the formats, each by name.
func Known() (anywhere, root, formats []string) {
	return slices.Clone(knownKeywords), slices.Sorted(slices.Values(rootKeywords)), slices.Clone(knownFormats)
}

// checkKeywords looks through every schema of a file for words that are nearly a keyword, or a format: the library
// would take them as remarks and judge less than the author thinks.
func checkKeywords(d *document) []Problem {
	c := &keywordCheck{document: d}
	c.schema(d.root, true)
	return c.problems
}

type keywordCheck struct {
	document *document
	problems []Problem
}

func (c *keywordCheck) add(severity cel.Severity, offset int, message, hint string) {
	c.problems = append(c.problems, c.document.problem(severity, offset, message, hint))
}

func (c *keywordCheck) schema(n *node, root bool) {
	if !n.isObject() {
		return
	}
	for _, m := range n.members {
		holds, known := keywords[m.name]
		switch {
		case slices.Contains(rootKeywords, m.name):
			if !root {
				c.add(cel.Error, m.offset, fmt.Sprintf("%q stands inside the schema", m.name), "it goes to the root of the file")
			}
		case !known:
			c.unknown(m)
		case holds == schema:
			c.schema(m.node, false)
		case holds == schemaMap:
			for _, named := range m.node.members {
				c.schema(named.node, false)
			}
		case holds == schemas:
			c.schema(m.node, false)
			for _, item := range m.node.items {
				c.schema(item, false)
			}
		}
	}
	c.format(n)
	c.required(n)
	c.id(n)
}

// id finds absolute $ids that URLs resolved against them don't begin with: the library would look for the schema behind its own
// $id without an end, and the stack's end is the process's.
func (c *keywordCheck) id(n *node) {
	names := []string{"$id"}
	if draft, _ := c.document.root.get("$schema").text(); strings.Contains(draft, "draft-04") {
		names = append(names, "id")
	}
	for _, name := range names {
		text, _ := n.get(name).text()
		u, err := url.Parse(text)
		if err != nil || !u.IsAbs() || strings.HasPrefix(text, "urn:") {
			continue
		}
		plain := u.ResolveReference(&url.URL{})
		plain.Fragment, plain.RawFragment = "", ""
		if written, _, _ := strings.Cut(text, "#"); written != plain.String() {
			c.add(cel.Error, n.get(name).offset, fmt.Sprintf("%s %q isn't in its plain form", name, text), plain.String()+"?")
		}
	}
}

func (c *keywordCheck) unknown(m member) {
	if foreign[m.name] {
		return
	}
	candidates := knownKeywords
	if strings.HasPrefix(m.name, "x-") {
		candidates = append([]string{keyRules}, rootKeywords...)
	}
	if near := config.Nearest(m.name, candidates); near != "" {
		c.add(cel.Error, m.offset, fmt.Sprintf("%q", m.name), near+"?")
	}
}

func (c *keywordCheck) format(n *node) {
	format := n.get("format")
	name, ok := format.text()
	if !ok {
		return
	}
	if _, known := jsonschema.Formats[name]; known || formats[name] != nil {
		return
	}
	if near := config.Nearest(name, knownFormats); near != "" {
		c.add(cel.Error, format.offset, fmt.Sprintf("format %q", name), near+"?")
		return
	}
	c.add(cel.Warning, format.offset, fmt.Sprintf("format %q is unknown: it accepts everything", name), "known: "+strings.Join(knownFormats, ", "))
}

// required finds names that properties has nearly: a schema that asks for what can never come by that name.
func (c *keywordCheck) required(n *node) {
	required, properties := n.get("required"), n.get("properties")
	if required == nil || properties == nil || !properties.isObject() {
		return
	}
	names := make([]string, 0, len(properties.members))
	for _, m := range properties.members {
		names = append(names, m.name)
	}
	for _, item := range required.items {
		name, ok := item.text()
		if !ok || slices.Contains(names, name) {
			continue
		}
		if near := config.Nearest(name, names); near != "" {
			c.add(cel.Warning, item.offset, fmt.Sprintf("required %q isn't in properties", name), near+"?")
		}
	}
}

// absoluteID is the root's $id where it is an absolute URL.
func absoluteID(root *node) string {
	if root == nil {
		return ""
	}
	for _, name := range []string{"$id", "id"} {
		if id, ok := root.get(name).text(); ok {
			if u, err := url.Parse(id); err == nil && u.IsAbs() {
				u.Fragment = ""
				return u.String()
			}
		}
	}
	return ""
}
