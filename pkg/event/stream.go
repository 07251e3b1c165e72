package event

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Stream names one table, collection or topic: "<source>/<entity>", as in "shop-db/public.orders".
type Stream string

// StreamOf joins a source's name and an entity.
func StreamOf(source, entity string) Stream { return Stream(source + "/" + entity) }

// Source is the part before the first slash.
func (s Stream) Source() string {
	source, _, _ := strings.Cut(string(s), "/")
	return source
}

// Entity is the part behind the first slash.
func (s Stream) Entity() string {
	_, entity, _ := strings.Cut(string(s), "/")
	return entity
}

// Readable is the entity in its system's own words, for people: identifiers as they are, without the percent-encoding.
func (s Stream) Readable() string {
	entity, err := url.PathUnescape(s.Entity())
	if err != nil {
		return s.Entity()
	}
	return entity
}

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// CheckSourceName tells why a name can't be a source's, or nil.
func CheckSourceName(name string) error {
	if !sourceName.MatchString(name) {
		return fmt.Errorf("%q is not a source's name: small letters, digits and dashes, beginning with a letter or digit", name)
	}
	return nil
}

// TableEntity is the entity of a PostgreSQL table: both identifiers percent-encoded (dots too), joined by a dot.
func TableEntity(schema, table string) string {
	return escape(schema, false) + "." + escape(table, false)
}

// TableOf is the PostgreSQL table that an entity is of. An error is url's: the entity isn't one that TableEntity made.
func TableOf(entity string) (schema, table string, err error) {
	schema, table, _ = strings.Cut(entity, ".")
	if schema, err = url.PathUnescape(schema); err == nil {
		table, err = url.PathUnescape(table)
	}
	return schema, table, err
}

// CollectionEntity is the entity of a MongoDB collection; the dots inside a collection's name stay.
func CollectionEntity(database, collection string) string {
	return escape(database, false) + "." + escape(collection, true)
}

// TopicEntity is the entity of a Kafka topic; its dots stay.
func TopicEntity(topic string) string { return escape(topic, true) }

// escape percent-encodes the bytes outside [A-Za-z0-9_-], and dots unless they are kept.
func escape(identifier string, keepDots bool) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || keepDots && c == '.'
	}
	var b strings.Builder
	b.Grow(len(identifier))
	for i := range len(identifier) {
		if c := identifier[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
