package cel

import (
	"maps"
	"slices"
)

// Shape is what a schema knows of a value. Shapes may point to each other in
// circles, as recursive schemas do; nil says that nothing is known.
type Shape struct {
	// Type is the kinds the value may be of; 0 is Any.
	Type Type
	// Format is JSON Schema's format of a string: "date-time".
	Format string
	// Properties are the members that the schema names. With none named, nothing
	// is checked unless Closed.
	Properties map[string]*Shape
	// Closed says that there are no members but Properties: another name is an
	// error. Otherwise it is an error where Properties has one much like it, and a
	// warning where it has not.
	Closed bool
	// Items is the shape of a list's elements.
	Items *Shape
	// MaxItems bounds a list for the estimate of the cost; 0 is unknown.
	MaxItems int
}

func (s *Shape) types() Type {
	if s == nil || s.Type == 0 {
		return Any
	}
	return s.Type
}

func (s *Shape) items() *Shape {
	if s == nil {
		return nil
	}
	return s.Items
}

// property is what is known of a member; unknown says that the schema doesn't name it.
func (s *Shape) property(name string) (shape *Shape, unknown bool) {
	if s == nil || len(s.Properties) == 0 && !s.Closed {
		return nil, false
	}
	shape, ok := s.Properties[name]
	return shape, !ok
}

func (s *Shape) names() []string { return slices.Sorted(maps.Keys(s.Properties)) }
